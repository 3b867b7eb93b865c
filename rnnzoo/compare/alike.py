"""What runs must have in common to be compared: the task, the test set, and how its metrics are computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from rnnzoo.compare.collect import ComparedRun
from rnnzoo.errors import RunError
from rnnzoo.system.console import inline, short

Mode = Literal["max", "min"]
LIMITS = ("trainer.limit_test_batches", "trainer.fast_dev_run")  # settings by which a part of the test set is scored
NAMED = 3  # runs in a command that is proposed


def monitor(run: ComparedRun) -> tuple[str, Mode]:
    """The dev metric that chose a run's checkpoint, as "accuracy", and which way is better."""
    best = run.facts.get("best", {})
    return (best.get("monitor") or "val/loss").removeprefix("val/"), best.get("mode", "min")


def directions(run: ComparedRun) -> dict[str, Mode]:
    """Which way each metric is better, as far as the run says."""
    name, mode = monitor(run)
    return {"loss": "min", **run.facts.get("directions", {}), name: mode}


def scored_part(run: ComparedRun) -> str:
    """The part of the data whose scores count: "test", or "dev" where there is no other."""
    return "test" if "test" in run.facts.get("data", {}).get("sizes", {}) else "dev"


def check_alike(runs: Sequence[ComparedRun], asked: str = "...") -> None:
    """Raises: RunError that says what differs, and which runs could be compared.

    asked: the paths of the runs, as they stand in a command.
    """
    for what, kinds in _questions(runs):
        groups: dict[str, list[ComparedRun]] = {}
        for run, kind in zip(runs, kinds, strict=True):
            if kind is not None:
                groups.setdefault(kind, []).append(run)
        if len(groups) > 1:
            raise RunError(_refusal(what, groups, asked))


def _questions(runs: Sequence[ComparedRun]) -> Iterator[tuple[str, list[str | None]]]:
    """What must be one, and what it is in each run; None where a run does not say."""
    yield "task", [str(run.settings.get("task.name")) for run in runs]
    yield "test set", _test_sets(runs)
    yield "monitored metric", [" by ".join(monitor(run)) for run in runs]
    known = [directions(run) for run in runs]
    for name in dict.fromkeys(name for one in known for name in one):
        yield f"direction of {name}", [f"better {one[name]}" if name in one else None for one in known]
    scoring = [run.facts.get("scoring") for run in runs]
    for name in dict.fromkeys(name for one in scoring for name in one or ()):
        yield f"way to compute {name}", [None if one is None else one.get(name, "by its name") for one in scoring]


def _refusal(what: str, groups: Mapping[str, Sequence[ComparedRun]], asked: str) -> str:
    largest = max(groups.values(), key=len)
    others = [run for some in groups.values() if some is not largest for run in some]
    lines = "".join(f"\n  {inline(kind, 100)}: {_examples(some)}" for kind, some in [*groups.items()][:3])
    more = f"; {len(groups)} kinds in all" if len(groups) > 3 else ""
    return (
        f"these runs cannot be compared: they differ in their {inline(what, 60)}{more}.{lines}\n"
        f"  Compare runs of one kind: {_command(largest, others, asked)}"
    )


def _examples(runs: Sequence[ComparedRun]) -> str:
    return f"{runs[0].name}" + (f" and {len(runs) - 1} more" if len(runs) > 1 else "")


def _command(runs: Sequence[ComparedRun], others: Sequence[ComparedRun], asked: str) -> str:
    """The command that compares some runs, by a setting that no other run shares where there is one."""
    for key, value in runs[0].settings.items():
        alike = all(run.settings.get(key) == value for run in runs) and key not in ("seed", "name")
        if alike and not any(key in run.settings and run.settings[key] == value for run in others):
            return inline(f"rnnzoo compare {asked} --where {key}={value}", 200)
    some = " ".join(str(short(run.path)) for run in runs[:NAMED])
    return inline(f"rnnzoo compare {some}" + (" ..." if len(runs) > NAMED else ""), 300)


def _test_sets(runs: Sequence[ComparedRun]) -> list[str | None]:
    """The test set of each run: by its raw rows where all runs have kept their digest, else by the data's identity."""
    by_rows = all("scored_rows" in run.facts.get("data", {}) for run in runs)
    return [_test_set(run, by_rows) for run in runs]


def _test_set(run: ComparedRun, by_rows: bool) -> str:
    data = run.facts.get("data", {})
    part, sizes = scored_part(run), data.get("sizes", {})
    if by_rows:
        which = f"rows {data['scored_rows'][:12]}"
    else:
        which = f"{data.get('id')}" + (f", revision {found[:12]}" if (found := data.get("revision")) else "")
    count = f"{sizes[part]:,} {part} examples" if part in sizes else f"{part} examples"
    return ", ".join([which, count, *_limits(run.settings)])


def _limits(settings: Mapping[str, object]) -> list[str]:
    """What says which part of a test set is scored: how many batches, and of what; nothing where it is all of it."""
    limits = [f"{key} {settings[key]}" for key in LIMITS if settings.get(key) not in (None, False)]
    if not limits:
        return []
    rows = settings.get("data.eval_batch_size") or settings.get("data.batch_size")
    batches = {"rows": rows, "tokens": settings.get("data.batch_tokens"), "processes": settings.get("trainer.devices")}
    return limits + [f"{value} {what}" for what, value in batches.items() if value is not None]
