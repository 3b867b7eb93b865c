"""A comparison as tables on the terminal."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterable, Sequence

from rnnzoo.compare.comparison import Comparison, Group, Metric
from rnnzoo.compare.settings import ABSENT
from rnnzoo.compare.spread import Spread
from rnnzoo.system import console
from rnnzoo.system.console import inline, short
from rnnzoo.system.quantities import amount

ARROWS = {"max": " ↑", "min": " ↓", None: ""}
MOST = 50  # groups that are shown
WIDTH = 100  # columns where no terminal says its own
NAME = 40  # characters of a group's name, and of a setting
UNKNOWN = "?"


class Column(list[str]):
    """The cells of a column, its head first. left: whether its texts begin in one place, as words do."""

    def __init__(self, cells: Iterable[str], left: bool = False) -> None:
        super().__init__(cells)
        self.left = left

    @property
    def width(self) -> int:
        return max(map(len, self))


def show(comparison: Comparison) -> None:
    """Print what is compared, the table, what else was scored, the verdicts, and what was left out."""
    groups = comparison.groups[:MOST]
    width = shutil.get_terminal_size((WIDTH, 24)).columns
    console.print(_title(comparison))
    console.print()
    names = Column(["", *(inline(group.name, NAME) for group in groups)], left=True)
    settings = _settings(comparison, groups)
    seeds = Column(["n", *(str(len(group.runs)) for group in groups)])
    counted = [metric for metric in comparison.metrics if metric.name.rpartition("/")[2] == _tail(comparison.main)]
    score_columns, costs = [_scores(metric, groups) for metric in counted], _costs(groups)
    labels = settings if len(settings) > 1 and _width(settings) <= max(names.width + 2, width // 2) else [names]
    if _width([*labels, seeds, *score_columns, *costs]) <= width:
        _print([*labels, seeds, *score_columns, *costs])
    else:
        _print([*labels, seeds, *score_columns])
        console.print()
        _print([*labels, *costs])
    if hidden := len(comparison.groups) - len(groups):
        console.print(f"  ... and {amount(hidden, 'group')} more; --csv, --json and --md have all of them.")
    _also_scored(comparison, labels, counted, width)
    for sentences in (map(str, comparison.verdicts), comparison.notes, _left_out(comparison)):
        for line in _paragraph(sentences, width):
            console.print(line)


def _title(comparison: Comparison) -> str:
    counts = f"{amount(len(comparison.runs), 'run')} in {amount(len(comparison.groups), 'group')}"
    at = f", best on dev by {comparison.at}" if comparison.at else ""
    keys = ", ".join(comparison.keys.values())
    differ = f"; differing: {inline(keys, 200)}" if keys and len(comparison.groups) > 1 else ""
    return f"{inline(comparison.task, NAME)} on {inline(comparison.data, 100)}{at}: {counts}{differ}"


def _settings(comparison: Comparison, groups: Sequence[Group]) -> list[Column]:
    """A column for each setting that differs."""
    columns = []
    for key, name in comparison.keys.items():
        values = [group.settings.get(key, ABSENT) for group in groups]
        words = any(isinstance(value, (str, bool)) and value != ABSENT for value in values)
        columns.append(Column([inline(name, NAME), *(inline(value, NAME) for value in values)], left=words))
    return columns


def _scores(metric: Metric, groups: Sequence[Group]) -> Column:
    spreads = [group.scores[metric.name] for group in groups]
    return Column([inline(metric.name, NAME) + ARROWS[metric.mode], *scores(spreads)])


def scores(spreads: Sequence[Spread]) -> list[str]:
    """ "0.8945 ± 0.0015" with as many decimals for all, the signs under each other; or how many runs have no number."""
    means = [spread.mean for spread in spreads]
    decimals = _decimals([mean for mean in means if mean is not None])
    deviations = ["" if spread.std is None else f" ± {spread.std:,.{decimals}f}" for spread in spreads]
    width = max(map(len, deviations), default=0)
    return [
        _missing(spread) if mean is None else f"{mean:,.{decimals}f}{deviation.ljust(width)}"
        for spread, mean, deviation in zip(spreads, means, deviations, strict=True)
    ]


def _decimals(values: Sequence[float]) -> int:
    """Four for scores below 10, fewer for greater ones; more where all are small."""
    largest = max(map(abs, values), default=0.0)
    if not largest:
        return 4
    return min(
        9,
        max(0, 4 - max(0, math.floor(math.log10(largest))) if largest >= 0.1 else 3 - math.floor(math.log10(largest))),
    )


def _missing(spread: Spread) -> str:
    """Why there is no mean: "NaN in 1 of 3"."""
    if nan := spread.missing - spread.unknown:
        return f"NaN in {nan} of {len(spread.values)}"
    return f"unknown in {spread.unknown} of {len(spread.values)}" if spread.unknown else UNKNOWN


def _costs(groups: Sequence[Group]) -> list[Column]:
    """What makes a comparison fair."""
    return [
        Column(["params", *(_whole(group.costs["parameters"]) for group in groups)]),
        Column(["tokens", *(_counted(group.costs["tokens"]) for group in groups)]),
        Column(["CPU s", *(_whole(group.costs["cpu_seconds"]) for group in groups)]),
        Column(["engine", *(inline(group.engine, NAME) for group in groups)], left=True),
    ]


def _whole(spread: Spread) -> str:
    """A mean without its spread: "78,722", "9.7"."""
    mean = spread.mean
    if mean is None:
        return UNKNOWN
    return f"{mean:,.1f}" if mean < 100 and mean % 1 else f"{mean:,.0f}"


def _counted(spread: Spread) -> str:
    """A mean in millions, where there are so many: "12.3 M"."""
    mean = spread.mean
    return _whole(spread) if mean is None or mean < 1e6 else f"{mean / 1e6:,.1f} M"


def _also_scored(comparison: Comparison, labels: Sequence[Column], shown: Sequence[Metric], width: int) -> None:
    """Print the other metrics of the part that counts, as many as there is room for."""
    part = comparison.main.name.partition("/")[0]
    others = [m for m in comparison.metrics if m not in shown and m.name.partition("/")[0] == part]
    columns = [_scores(metric, comparison.groups[:MOST]) for metric in others]
    while columns and _width([*labels, *columns]) > width:
        columns.pop()
    if columns:
        console.print()
        _print([*labels, *columns])


def _tail(metric: Metric) -> str:
    return metric.name.rpartition("/")[2]


def _left_out(comparison: Comparison) -> list[str]:
    """What is not compared, and why; alike reasons together."""
    by_reason: dict[str, list[str]] = {}
    for run in comparison.left_out:
        by_reason.setdefault(run.why, []).append(str(short(run.path)))
    return [
        f"Left out: {inline(', '.join(paths[:3]), 200)}"
        + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
        + f": {inline(why, 200)}."
        for why, paths in by_reason.items()
    ]


def _paragraph(sentences: Iterable[str], width: int) -> list[str]:
    """Sentences after an empty line, if there are any, cut into lines."""
    lines = [line for sentence in sentences for line in wrapped(sentence, width)]
    return ["", *lines] if lines else []


def wrapped(sentence: str, width: int) -> list[str]:
    """A sentence in lines of at most `width` characters, indented from the second on; a command stays in one line."""
    lines, line = [], ""
    for word in re.findall(r"`[^`]*`\S*|\S+", sentence):
        if line.strip() and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = " "
        line += (" " if line else "") + word
    return [*lines, line] if line.strip() else lines


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width + 2 for column in columns)


def _print(columns: Sequence[Column]) -> None:
    for cells in zip(*columns, strict=True):
        padded = [
            cell.ljust(column.width) if column.left else cell.rjust(column.width)
            for cell, column in zip(cells, columns, strict=True)
        ]
        console.print("  " + "  ".join(padded).rstrip())
