"""Runs grouped by their recipe without the seed, with what differs between the groups, what they score and cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal

from rnnzoo import runs
from rnnzoo.compare.alike import check_alike, main_metric
from rnnzoo.compare.collect import ComparedRun, LeftOut, collect
from rnnzoo.compare.settings import differing, group_key, named
from rnnzoo.errors import RunError

Mode = Literal["max", "min"]


@dataclass(frozen=True)
class Metric:
    """A score: its name, as "test/accuracy" or "best/accuracy" (on dev); which way is better, None if not known."""

    name: str
    mode: Mode | None


@dataclass(frozen=True)
class Spread:
    """A quantity over a group's runs. values: one a run, in the order of the group's runs; None where it has none."""

    values: tuple[float | None, ...]

    @property
    def known(self) -> list[float]:
        return [value for value in self.values if value is not None]

    @property
    def n(self) -> int:
        return len(self.known)

    @property
    def missing(self) -> int:
        """Runs whose value is NaN, infinite or absent: the mean is then not known."""
        return len(self.values) - self.n

    @property
    def mean(self) -> float | None:
        """None where any run has no value: a mean of the others would flatter the group."""
        return fmean(self.known) if self.known and not self.missing else None

    @property
    def std(self) -> float | None:
        """The standard deviation (n - 1); None for one run."""
        return stdev(self.known) if self.n > 1 and not self.missing else None


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


@dataclass(frozen=True)
class At:
    """An equal cost at which dev curves are read: "cpu_seconds", 300."""

    axis: str
    value: float


@dataclass
class Comparison:
    """Groups of runs side by side, the best first.

    keys: the settings that differ between groups, by dotted names, each with the short name that tells it apart.
    metrics: those of the test split, then of dev, the main one of each first; with `at` those of dev alone.
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
    verdicts: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def runs(self) -> list[ComparedRun]:
        return [run for group in self.groups for run in group.runs]


COSTS = ("parameters", "tokens", "cpu_seconds", "train_seconds")


def compare(paths: Sequence[str | Path], at: At | None = None, root: Path = runs.ROOT) -> Comparison:
    """Compare the finished runs at paths, see `collect`.

    Raises: RunError where there is none, or where they differ in their task, test set or metrics.
    """
    found, left_out = collect(paths, root)
    if not found:
        raise RunError(_nothing(left_out))
    check_alike(found)
    grouped: dict[tuple[str, ...], list[ComparedRun]] = {}
    for run in found:
        grouped.setdefault(group_key(run), []).append(run)
    members = [_one_a_seed(group, left_out) for group in grouped.values()]
    name, mode = main_metric(found[0])
    metrics = _metrics(found, name, mode)
    keys, values = differing(members)
    names = named(members, keys, values)
    groups = [
        Group(
            name=names[index],
            digest=group[0].digest,
            runs=group,
            settings=values[index],
            scores={metric.name: Spread(tuple(run.scores.get(metric.name) for run in group)) for metric in metrics},
            costs={cost: Spread(tuple(_cost(run, cost) for run in group)) for cost in COSTS},
            engine=_engine(group),
        )
        for index, group in enumerate(members)
    ]
    main = metrics[0]
    groups.sort(key=lambda group: _rank(group.scores[main.name], mode))
    return Comparison(groups, keys, metrics, main, _task(found[0]), _data(found[0]), at, left_out=left_out)


def _one_a_seed(group: list[ComparedRun], left_out: list[LeftOut]) -> list[ComparedRun]:
    """The newest run of each seed: a repeated seed is no further sample."""
    kept: dict[object, ComparedRun] = {}
    for run in sorted(group, key=lambda run: (run.facts.get("started", ""), str(run.path))):
        key = run.seed if run.seed is not None else run.path
        if key in kept:
            left_out.append(LeftOut(kept[key].path, f"{run.name} has its recipe and seed, and is newer"))
        kept[key] = run
    return sorted(kept.values(), key=lambda run: (run.seed is None, run.seed or 0))


def _metrics(found: Iterable[ComparedRun], main: str, mode: Mode) -> list[Metric]:
    """Every metric of the runs: of test first, and in each part the main one first."""
    names = dict.fromkeys(name for run in found for name in run.scores)
    tail = main.partition("/")[2]

    def order(name: str) -> tuple[bool, bool, bool, str]:
        return (not name.startswith("test/"), not name.endswith(f"/{tail}"), name.endswith("/loss"), name)

    modes: dict[str, Mode] = {"loss": "min", tail: mode}
    return [Metric(name, modes.get(name.partition("/")[2])) for name in sorted(names, key=order)]


def _cost(run: ComparedRun, cost: str) -> float | None:
    value = run.facts.get(cost)
    return float(value) if isinstance(value, (int, float)) else None


def _engine(group: Iterable[ComparedRun]) -> str:
    paths = {layer.get("path") for run in group for layer in run.facts.get("engine", [])}
    return ", ".join(sorted(path for path in paths if path)) or "unknown"


def _rank(spread: Spread, mode: Mode) -> float:
    mean = spread.mean
    if mean is None:
        return math.inf
    return -mean if mode == "max" else mean


def _task(run: ComparedRun) -> str:
    return str(run.settings.get("task.name", "unknown"))


def _data(run: ComparedRun) -> str:
    data = run.facts.get("data", {})
    sizes = data.get("sizes", {})
    part = "test" if "test" in sizes else "dev"
    return f"{data.get('id') or 'unknown data'}, {part} split of {sizes.get(part, 0):,} examples"


def _nothing(left_out: Sequence[LeftOut]) -> str:
    reasons = "".join(f"\n  {run.path}: {run.why}." for run in left_out[:3])
    more = f"\n  ... and {len(left_out) - 3} more." if len(left_out) > 3 else ""
    return f"there is no finished run to compare.{reasons}{more}"
