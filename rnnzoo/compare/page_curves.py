"""The curves of a comparison for its page: thinned to what a screen can show and a file may weigh."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rnnzoo.compare.collect import ComparedRun
from rnnzoo.compare.comparison import Comparison
from rnnzoo.compare.curves import AXES, Curves
from rnnzoo.errors import RunError
from rnnzoo.pictures.lines import thinned
from rnnzoo.system.files import JsonObject

BUDGET = 1_000_000  # bytes of all curves together, about
NUMBER = 7  # bytes of one, about
POINTS, FEWEST = 300, 8  # of a curve
STAGES = ("val", "train")
METRICS = 60  # that can be chosen


def curves_data(comparison: Comparison) -> JsonObject:
    """axes: the names of those that any run has. metrics: names, the one that counts first. tables: columns of axes.
    series: for each, its run's and its metric's number, that of the table of its axes, and its values.
    """
    read = [_read(run) for run in comparison.runs]
    axes = [axis for axis in (*AXES, "time") if any(axis in record for curves in read for record in curves.records)]
    if "train_seconds" in axes and "time" in axes:
        axes.remove("time")  # older files have it alone
    metrics = _metrics(read, comparison.main.name.partition("/")[2])
    count = sum(any(metric in record for record in curves.records) for curves in read for metric in metrics)
    most = max(FEWEST, min(POINTS, BUDGET // (NUMBER * (len(axes) + 1) * max(count, 1))))
    tables: dict[tuple[tuple[float | None, ...], ...], int] = {}
    series = []
    for run, curves in enumerate(read):
        for number, metric in enumerate(metrics):
            rows = _rows(curves, metric, most)
            if not rows:
                continue
            columns = tuple(tuple(_rounded(row.get(axis), 9) for row in rows) for axis in axes)
            table = tables.setdefault(columns, len(tables))
            series.append([run, number, table, [_rounded(row[metric], 5) for row in rows]])
    return {"axes": axes, "metrics": metrics, "tables": [list(map(list, table)) for table in tables], "series": series}


def _read(run: ComparedRun) -> Curves:
    try:
        return run.curves
    except RunError:
        return Curves()


def _metrics(read: Sequence[Curves], main: str) -> list[str]:
    """Of dev before training, the one that counts first, then the loss."""
    names = dict.fromkeys(name for curves in read for record in curves.records for name in record)
    kept = [name for name in names if name.partition("/")[0] in STAGES]

    def order(name: str) -> tuple[bool, bool, bool, str]:
        stage, _, metric = name.partition("/")
        return (metric != main, metric != "loss", stage != "val", name)

    return sorted(kept, key=order)[:METRICS]


def _rows(curves: Curves, metric: str, most: int) -> list[dict[str, float]]:
    """The records of a metric in order, of many those of its extremes."""
    rows = [record for record in curves.records if math.isfinite(record.get(metric, math.nan))]
    kept = thinned([(index, row[metric]) for index, row in enumerate(rows)], most)
    return [rows[int(index)] for index, _ in kept]


def _rounded(value: float | None, digits: int) -> float | None:
    """With so many digits; a whole number without a point. None for what is not finite."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short
