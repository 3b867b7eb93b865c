"""What runs must have in common to be compared: the task, the test set, and how its metrics are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from rnnzoo.compare.collect import ComparedRun
from rnnzoo.errors import RunError


def main_metric(run: ComparedRun) -> tuple[str, Literal["max", "min"]]:
    """The test score of the metric that chose its checkpoint, and which way is better; of dev without a test split."""
    best = run.facts.get("best", {})
    name = (best.get("monitor") or "val/loss").removeprefix("val/")
    part = "test" if any(score.startswith("test/") for score in run.scores) else "best"
    return f"{part}/{name}", best.get("mode", "min")


def check_alike(found: Sequence[ComparedRun]) -> None:
    """Raises: RunError that says what differs, and which runs could be compared."""
    for what, fact in CHECKS.items():
        kinds: dict[object, list[ComparedRun]] = {}
        for run in found:
            kinds.setdefault(fact(run), []).append(run)
        if len(kinds) > 1:
            raise RunError(_refusal(what, kinds))


def _refusal(what: str, kinds: dict[object, list[ComparedRun]]) -> str:
    largest = max(kinds.values(), key=len)
    lines = [f"{kind}: {len(some)} runs, as {some[0].path}" for kind, some in kinds.items()]
    shown = "".join(f"\n  {line}" for line in lines[:2])
    return (
        f"these runs cannot be compared: they differ in their {what}.{shown}\n"
        f"  Name the runs of one kind, as in: rnnzoo compare {' '.join(str(run.path) for run in largest[:2])}"
    )


def _test_set(run: ComparedRun) -> str:
    data, settings = run.facts.get("data", {}), run.settings
    sizes = data.get("sizes", {})
    part = "test" if "test" in sizes else "dev"
    limits = [f"{key} {settings[key]}" for key in ("trainer.limit_test_batches",) if settings.get(key) is not None]
    found = data.get("revision")
    revision = [f"revision {found[:12]}"] if found else []
    return ", ".join([str(data.get("id")), *revision, f"{sizes.get(part)} {part} examples", *limits])


def _scoring(run: ComparedRun) -> str:
    scoring = run.facts.get("scoring", {})
    return ", ".join(f"{name} {how}" for name, how in sorted(scoring.items())) or "as the metrics' names say"


CHECKS: dict[str, Callable[[ComparedRun], object]] = {
    "task": lambda run: run.settings.get("task.name"),
    "test set": _test_set,
    "main metric": lambda run: " by ".join(main_metric(run)),
    "way to compute metrics": _scoring,
}
