"""The columns of a comparison's tables: what is shown in each cell, and the number that it is sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from rnnzoo.compare.comparison import Comparison, Metric
from rnnzoo.compare.settings import ABSENT
from rnnzoo.compare.spread import Spread
from rnnzoo.compare.terminal import scores
from rnnzoo.system.console import printable
from rnnzoo.system.quantities import duration

UNKNOWN = "–"


class Cell(NamedTuple):
    """words: what is shown. value: what it is sorted by, None for words. best: whether it is the best of its column."""

    words: str
    value: float | None = None
    best: bool = False


@dataclass
class Column:
    """Its name, a cell for each row, and for metrics which way is better. colours: of each row, a group's number."""

    name: str
    cells: list[Cell]
    numbers: bool = False
    mode: Literal["max", "min"] | None = None
    colours: list[int] = field(default_factory=list)


def group_columns(comparison: Comparison) -> list[Column]:
    """A row for each group: the settings that differ, the number of seeds, scores, costs, the engine."""
    groups = comparison.groups
    columns = [Column("group", [Cell(group.name) for group in groups], colours=list(range(len(groups))))]
    if len(comparison.keys) > 1:  # one alone is the group's name
        columns += [
            Column(name, [_setting(group.settings.get(key, ABSENT)) for group in groups])
            for key, name in comparison.keys.items()
        ]
    columns.append(Column("n", [Cell(str(len(group.runs)), len(group.runs)) for group in groups], numbers=True))
    scored = {
        metric.name: _scores(metric, [group.scores[metric.name] for group in groups]) for metric in comparison.metrics
    }
    main = [column for name, column in scored.items() if _tail(name) == _tail(comparison.main.name)]
    costs = [
        Column(_words(cost), [_cost(cost, group.costs[cost].mean) for group in groups], numbers=True)
        for cost in groups[0].costs
    ]
    engine = Column("engine", [Cell(group.engine) for group in groups])
    return [*columns, *main, *costs, engine, *(column for column in scored.values() if column not in main)]


def run_columns(comparison: Comparison) -> list[Column]:
    """A row for each run: its group and seed, scores and costs."""
    rows = [
        (number, group, run, index)
        for number, group in enumerate(comparison.groups)
        for index, run in enumerate(group.runs)
    ]
    columns = [
        Column("run", [Cell(run.name) for _, _, run, _ in rows], colours=[number for number, _, _, _ in rows]),
        Column("group", [Cell(group.name) for _, group, _, _ in rows]),
        Column("seed", [_number(run.seed) for _, _, run, _ in rows], numbers=True),
    ]
    for metric in comparison.metrics:
        values = [group.scores[metric.name].values[index] for _, group, _, index in rows]
        columns.append(_best(Column(metric.name, [_number(value) for value in values], True, metric.mode)))
    for cost in comparison.groups[0].costs:
        spent = [group.costs[cost].values[index] for _, group, _, index in rows]
        columns.append(Column(_words(cost), [_cost(cost, value) for value in spent], numbers=True))
    return columns


def _scores(metric: Metric, spreads: Sequence[Spread]) -> Column:
    cells = [Cell(words.strip(), spread.mean) for words, spread in zip(scores(spreads), spreads, strict=True)]
    return _best(Column(metric.name, cells, True, metric.mode))


def _best(column: Column) -> Column:
    """The column, its best values marked, where one is better than another."""
    known = {cell.value for cell in column.cells if cell.value is not None}
    if column.mode is None or len(known) < 2:
        return column
    best = max(known) if column.mode == "max" else min(known)
    column.cells = [cell._replace(best=cell.value == best) for cell in column.cells]
    return column


def _tail(name: str) -> str:
    return name.rpartition("/")[2]


def _setting(value: object) -> Cell:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**53:
        return Cell(f"{value:g}" if isinstance(value, float) else str(value), float(value))
    return Cell(str(value))


def _number(value: float | None) -> Cell:
    return Cell(UNKNOWN) if value is None else Cell(printable(value), float(value))


def _cost(name: str, value: float | None) -> Cell:
    if value is None:
        return Cell(UNKNOWN)
    return Cell(duration(value) if name.endswith("_seconds") else f"{value:,.0f}", float(value))


def _words(cost: str) -> str:
    return {"cpu_seconds": "CPU time", "train_seconds": "training time"}.get(cost, cost)
