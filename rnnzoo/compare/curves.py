"""The curves of a run, from its metrics.jsonl; a line that a crash cut short is left out and counted."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rnnzoo.errors import RunError
from rnnzoo.system import files

COUNTED_FROM_0 = ("step", "epoch")  # in the file, as Lightning counts; here they are what was done: from 1
AXES = (*COUNTED_FROM_0, "tokens_seen", "train_seconds", "cpu_seconds")
ALIASES = {"tokens": "tokens_seen", "steps": "step", "epochs": "epoch"}  # what people say for an axis
LIMIT = 2**28  # bytes of a metrics file
Record = dict[str, float]  # a line's numbers by name; NaN for what was not finite


@dataclass
class Curves:
    """The lines of a metrics.jsonl, steps and epochs counted from 1, and how many lines could not be read."""

    records: list[Record] = field(default_factory=list)
    unreadable: int = 0

    def along(self, axis: str, metric: str) -> list[tuple[float, float]]:
        """A metric's points, in the file's order; NaN where it was not finite. axis: one of AXES, or "time"."""
        return [(line[axis], line[metric]) for line in self.records if axis in line and metric in line]

    def best(self, metric: str, mode: Literal["max", "min"], axis: str, most: float) -> Record | None:
        """The line of a metric's best finite value up to a cost, the first of equal ones; None if there is none."""
        sign = 1 if mode == "min" else -1
        lines = [line for line in self.records if line.get(axis, math.inf) <= most and metric in line]
        finite = [line for line in lines if math.isfinite(line[metric])]
        return min(finite, key=lambda line: sign * line[metric], default=None)


def read_curves(path: Path, part: str = "") -> Curves:
    """The curves of a metrics.jsonl; none where there is no file. part: as "val"; lines without any of it are skipped.

    Raises: RunError for what is no file, or too large.
    """
    try:
        lines = files.read_bytes(path, LIMIT).split(b"\n")
    except FileNotFoundError:
        return Curves()
    except OSError as error:
        raise RunError(f"cannot read {path}: {files.reason(error)}.") from error
    needed, last = f'"{part}/'.encode() if part else b"", len(lines) - 1
    curves = Curves()
    for number, line in enumerate(lines):
        if not line.strip() or (needed not in line and number != last):
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
    record = {name: float(value) for name, value in values.items() if type(value) is float or _is_count(value)}
    if bad := values.get("not_finite"):
        record |= dict.fromkeys(bad, math.nan) if isinstance(bad, dict) else {}
    for axis in COUNTED_FROM_0:
        if axis in record:
            record[axis] += 1
    return record


def _is_count(value: object) -> bool:
    """Whether it is a whole number that is no less exact as a float."""
    return type(value) is int and abs(value) <= 2**53
