"""Runs grouped by their recipe without the seed, with what differs between the groups, what they score and cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rnnzoo import runs
from rnnzoo.compare.alike import Mode, check_alike, directions, monitor, scored_part
from rnnzoo.compare.collect import ComparedRun, LeftOut
from rnnzoo.compare.equal_cost import COSTS, At, Measured, at_cost, at_end
from rnnzoo.compare.fairness import notes
from rnnzoo.compare.settings import chosen, differing, group_key, named
from rnnzoo.compare.sources import gather
from rnnzoo.compare.spread import Spread
from rnnzoo.errors import RunError, unknown
from rnnzoo.system.console import inline, short

if TYPE_CHECKING:
    from rnnzoo.compare.verdict import Verdict

SHOWN = 3  # paths that a message repeats


@dataclass(frozen=True)
class Metric:
    """A score: its name, as "test/accuracy" or "best/accuracy" (on dev); which way is better, None if not known."""

    name: str
    mode: Mode | None


@dataclass
class Group:
    """Runs of one recipe, one a seed, in the order of their seeds.

    name: what differs, as "gru" or "hidden_size 64". settings: the values of the keys that differ.
    scores: by the metric's name. costs: "parameters", "tokens", "cpu_seconds", "train_seconds", by name.
    engine: the paths that ran its layers, as "native".
    """

    name: str
    digest: str
    runs: list[ComparedRun]
    settings: dict[str, object]
    scores: dict[str, Spread]
    costs: dict[str, Spread]
    engine: str

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.runs if run.seed is not None]


@dataclass
class Comparison:
    """Groups of runs side by side, the best first.

    keys: the settings that differ between groups, by dotted names, each with the short name that tells it apart.
    metrics: "test/*", then "best/*" of dev, the main one of each first; with `at` "val/*" of dev alone.
    data: the test set, in words. notes: what a reader must know besides, as sentences. verdicts: see
    `rnnzoo.compare.verdict`; empty where per-example results are missing. left_out: what is not compared, and why.
    """

    groups: list[Group]
    keys: dict[str, str]
    metrics: list[Metric]
    main: Metric
    task: str
    data: str
    at: At | None = None
    notes: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def runs(self) -> list[ComparedRun]:
        return [run for group in self.groups for run in group.runs]


def compare(
    paths: Sequence[str | Path],
    at: At | None = None,
    metric: str | None = None,
    where: Mapping[str, str] | None = None,
    root: Path = runs.ROOT,
    project: str | None = None,
) -> Comparison:
    """Compare the finished runs at paths and in a project of W&B's ("ENTITY/PROJECT"), see `gather`.

    at: the cost at which dev curves are read, instead of the scores of the checkpoints kept. metric: the one that
    counts (default: the one that chose the checkpoints). where: settings, by key, that a run must have.
    Raises: RunError where there is none, or where they differ in their task, test set or metrics.
    """
    found, left_out = gather(paths, project, root)
    found = chosen(found, where or {})
    if not found:
        raise RunError(_nothing(left_out))
    check_alike(found, asked=" ".join(map(str, paths)) if len(paths) <= SHOWN else "...")
    members = _grouped(found, left_out)
    measured = _measured(members, at, left_out)
    members = [[run for run in group if run.path in measured] for group in members]
    members = [group for group in members if group]
    if not members:
        raise RunError(_nothing(left_out))
    metrics, main = _metrics(members, measured, metric)
    keys, values = differing(members)
    names = named(members, keys, values)
    groups = [
        _group(name, group, settings, [measured[run.path] for run in group], metrics)
        for name, group, settings in zip(names, members, values, strict=True)
    ]
    groups.sort(key=lambda group: _rank(group.scores[main.name], main.mode))
    of = groups[0].runs[0]
    unread = [f"{run.name}: {note}." for group in groups for run in group.runs for note in measured[run.path].notes]
    verdicts, missing = _verdicts(groups, main) if at is None else ([], [])
    return Comparison(
        groups=groups,
        keys=keys,
        metrics=metrics,
        main=main,
        task=str(of.settings.get("task.name", "unknown task")),
        data=_data(of),
        at=at,
        notes=[*notes(members), *unread, *missing],
        verdicts=verdicts,
        left_out=left_out,
    )


def _group(
    name: str,
    group: list[ComparedRun],
    settings: dict[str, object],
    measured: Sequence[Measured],
    metrics: Sequence[Metric],
) -> Group:
    """measured: of each of its runs."""
    paths = {layer.get("path") for run in group for layer in run.facts.get("engine", [])}
    return Group(
        name=name,
        digest=group[0].digest,
        runs=group,
        settings=settings,
        scores={metric.name: _spread(metric.name, [one.scores for one in measured]) for metric in metrics},
        costs={cost: Spread(tuple(one.costs.get(cost) for one in measured)) for cost in COSTS},
        engine=", ".join(sorted(path for path in paths if path)) or "unknown",
    )


def _verdicts(groups: Sequence[Group], metric: Metric) -> tuple[list[Verdict], list[str]]:
    """Whether groups differ in a metric of the test, and why it cannot be said. numpy is imported for it alone."""
    part, _, name = metric.name.rpartition("/")
    if len(groups) < 2:
        return [], []
    if part != "test":
        return [], [f"No verdict: {inline(metric.name)} is of dev, and the test alone is kept example by example."]
    from rnnzoo.compare.verdict import judge

    return judge([(group.name, group.runs) for group in groups], name)


def _grouped(found: Iterable[ComparedRun], left_out: list[LeftOut]) -> list[list[ComparedRun]]:
    """Runs by their recipe without the seed, the newest run of each seed: a repeated seed is no further sample."""
    groups: dict[tuple[str, ...], dict[object, ComparedRun]] = {}
    for run in sorted(found, key=lambda run: (run.facts.get("started", ""), str(run.path))):
        group = groups.setdefault(group_key(run), {})
        key = run.seed if run.seed is not None else run.path
        if (older := group.get(key)) is not None:
            copied = _same_run(older, run)
            if copied and older.predictions is not None and run.predictions is None:
                older, run = run, older  # what keeps results example by example says more
            why = f"{run.name} is a copy of it" if copied else f"{run.name} has its recipe and seed, and is newer"
            left_out.append(LeftOut(older.path, why))
        group[key] = run
    return [sorted(group.values(), key=lambda run: (run.seed is None, run.seed or 0)) for group in groups.values()]


def _same_run(one: ComparedRun, other: ComparedRun) -> bool:
    """Whether two are one run: a folder copied, or a folder and what W&B has of it."""
    ids = {one.wandb_id, other.wandb_id}
    return one.facts.get("started") == other.facts.get("started") or (len(ids) == 1 and ids != {""})


def _measured(groups: Iterable[Iterable[ComparedRun]], at: At | None, left_out: list[LeftOut]) -> dict[Path, Measured]:
    """Each run's scores and costs, by its folder; those that have none are left out."""
    measured = {}
    for run in (run for group in groups for run in group):
        try:
            result = at_end(run) if at is None else at_cost(run, at)
        except RunError as error:
            result = str(error).splitlines()[0].rstrip(".")
        if isinstance(result, str):
            left_out.append(LeftOut(run.path, result))
        else:
            measured[run.path] = result
    return measured


def _metrics(
    groups: Sequence[Sequence[ComparedRun]], measured: Mapping[Path, Measured], asked: str | None
) -> tuple[list[Metric], Metric]:
    """Every metric of the runs: of test first, and in each part the one that counts first; and that one, of the test
    where it is scored there and no part was asked for. Raises: RunError.
    """
    every = [run for group in groups for run in group]
    names = dict.fromkeys(name for run in every for name in measured[run.path].scores)
    modes = {name: mode for run in every for name, mode in directions(run).items()}
    tail = (asked or monitor(every[0])[0]).rpartition("/")[2]
    if not any(name.endswith(f"/{tail}") for name in names):
        raise RunError(unknown("no run has the metric", tail, {name.rpartition("/")[2] for name in names}))
    if tail not in modes:
        raise RunError(f"no run says which way {inline(tail)} is better.\n  Known of: {', '.join(sorted(modes))}.")

    def order(name: str) -> tuple[bool, bool, bool, str]:
        return (not name.startswith("test/"), not name.endswith(f"/{tail}"), name.endswith("/loss"), name)

    metrics = [Metric(name, modes.get(name.rpartition("/")[2])) for name in sorted(names, key=order)]
    exact = (asked, f"best/{tail}" if (asked or "").startswith("val/") else None, f"test/{tail}")
    named = [metric for name in exact for metric in metrics if metric.name == name]
    return metrics, next(iter(named), None) or next(metric for metric in metrics if metric.name.endswith(f"/{tail}"))


def _spread(name: str, scores: Sequence[Mapping[str, float | None]]) -> Spread:
    return Spread(tuple(one.get(name) for one in scores), unknown=sum(name not in one for one in scores))


def _rank(spread: Spread, mode: Mode | None) -> float:
    """A place in the order of groups: the best first, those without a mean last."""
    mean = spread.mean
    if mean is None:
        return math.inf
    return -mean if mode == "max" else mean


def _data(run: ComparedRun) -> str:
    """ "lhoestq/imdb, 25,000 test examples"."""
    data, part = run.facts.get("data", {}), scored_part(run)
    count = data.get("sizes", {}).get(part)
    return (data.get("id") or "unknown data") + (f", {count:,} {part} examples" if count is not None else "")


def _nothing(left_out: Sequence[LeftOut]) -> str:
    reasons = "".join(f"\n  {short(run.path)}: {run.why}." for run in left_out[:3])
    more = f"\n  ... and {len(left_out) - 3} more." if len(left_out) > 3 else ""
    return f"there is no finished run to compare.{reasons}{more}"
