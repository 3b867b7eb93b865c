"""The curves of a run, from its metrics.jsonl; a line that a crash cut short is left out and counted."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from rnnzoo.errors import RunError
from rnnzoo.system import files

AXES = ("step", "epoch", "tokens_seen", "train_seconds", "cpu_seconds")  # of a line; "time" is in older files, too
LIMIT = 2**28  # bytes of a metrics file
Record = dict[str, float]  # a line's numbers by name; NaN for what was not finite


@dataclass
class Curves:
    """The lines of a metrics.jsonl, and how many of them could not be read."""

    records: list[Record] = field(default_factory=list)
    unreadable: int = 0

    def along(self, axis: str, metric: str) -> list[tuple[float, float]]:
        """A metric's points, in the file's order. axis: one of AXES; epochs are counted from 0, as Lightning."""
        return [(line[axis], line[metric]) for line in self.records if axis in line and metric in line]


def read_curves(path: Path, metric: str | None = None) -> Curves:
    """The curves of a metrics.jsonl; none where there is no file. metric: leave out lines without it, unread.

    Raises: RunError for what is no file, or too large.
    """
    try:
        lines = files.read_bytes(path, LIMIT).split(b"\n")
    except FileNotFoundError:
        return Curves()
    except OSError as error:
        raise RunError(f"cannot read {path}: {files.reason(error)}.") from error
    if metric is not None:
        name = json.dumps(metric).encode()
        lines = [line for line in lines if name in line]
    curves = Curves()
    for line in lines:
        if not line.strip():
            continue
        record = _record(line)
        if record is None:
            curves.unreadable += 1
        else:
            curves.records.append(record)
    return curves


def _record(line: bytes) -> Record | None:
    """The numbers of a line; None where it is not an object of JSON."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    numbers = {name: _number(value) for name, value in values.items()}
    record = {name: value for name, value in numbers.items() if value is not None}
    bad = values.get("not_finite")
    return record | (dict.fromkeys(bad, math.nan) if isinstance(bad, dict) else {})


def _number(value: object) -> float | None:
    """A number of JSON as a float; NaN for one beyond a float's range, None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else math.nan
    except OverflowError:
        return math.nan
