"""What the runs of a sweep came to, read from their folders without torch. Dev scores alone: they choose."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rnnzoo.errors import RunError
from rnnzoo.runs.record import read_summary
from rnnzoo.runs.summary import Summary, is_number, well_formed
from rnnzoo.system import files

CURVE_LIMIT = 2**28  # bytes of a metrics file


def finished(folder: Path, digest: str) -> Summary | None:
    """The summary of a run that came to its end, with this recipe; None if it did not, or is not there."""
    try:
        summary = well_formed(read_summary(folder))
    except RunError:
        return None
    return summary if summary.get("status") == "finished" and summary.get("digest") == digest else None


def score(summary: Summary, metric: str | None) -> float | None:
    """The dev score of the checkpoint kept: of a metric as it is logged ("val/f1"), or of the one that chose it.

    Raises: RunError where the run has no such metric.
    """
    if metric is None or metric == summary.get("best", {}).get("monitor"):
        return summary.get("best", {}).get("score")
    metrics = summary.get("metrics", {})
    name = f"best/{metric.removeprefix('val/')}"
    if name not in metrics:
        known = ", ".join(f"val/{key[5:]}" for key in metrics if key.startswith("best/"))
        raise RunError(f"no run has the dev metric '{metric}' of sweep.metric.\n  Known: {known or 'none'}.")
    return metrics[name]


def dev_curve(folder: Path, metric: str) -> dict[int, float]:
    """A dev metric by epoch, from 1, as far as a run has come. A line cut short by a crash is left out."""
    curve = {}
    for record in _records(folder / "metrics.jsonl"):
        epoch, value = record.get("epoch"), record.get(metric)
        if isinstance(epoch, int) and isinstance(value, (int, float)) and is_number(value):
            curve[epoch + 1] = float(value)
    return curve


def _records(path: Path) -> Iterator[Mapping[str, object]]:
    with contextlib.suppress(OSError, ValueError):
        for line in files.read_text(path, CURVE_LIMIT).split("\n"):
            with contextlib.suppress(ValueError):
                if isinstance(record := files.json_value(line), dict):
                    yield record


class Mean(NamedTuple):
    """Scores of one configuration over seeds."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """The standard deviation; None for one value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def mean(values: Sequence[float | None]) -> Mean | None:
    """The mean of the scores that there are; None if there is none."""
    kept = tuple(value for value in values if value is not None and math.isfinite(value))
    return Mean(kept) if kept else None
