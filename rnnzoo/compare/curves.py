"""The curves of a run, from its metrics.jsonl; a line that a crash cut short is left out and counted."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from rnnzoo.errors import RunError
from rnnzoo.system import files

COUNTED_FROM_0 = ("step", "epoch")  # in the file, as Lightning counts; here they are what was done: from 1
AXES = (*COUNTED_FROM_0, "tokens_seen", "train_seconds", "cpu_seconds")
ALIASES = {"tokens": "tokens_seen", "steps": "step", "epochs": "epoch"}  # what people say for an axis
LIMIT = 2**26  # bytes of a metrics file
MOST_LINES = 2**20
LONGEST, NESTED = 2**16, 8  # bytes of a line, and brackets in it: of one with more nothing is read
Record = dict[str, float]  # a line's numbers by name; NaN for what was not finite


@dataclass
class Curves:
    """The lines of a metrics.jsonl, steps and epochs counted from 1, and how many lines could not be read.

    lines: as they were read; `records` has their numbers.
    """

    lines: list[dict[str, object]] = field(default_factory=list)
    unreadable: int = 0

    @cached_property
    def records(self) -> list[Record]:
        return [_record(line) for line in self.lines]

    def along(self, axis: str, metric: str) -> list[tuple[float, float]]:
        """A metric's points, in the file's order; NaN where it was not finite. axis: one of AXES, or "time"."""
        points = ((_number(line, axis), _number(line, metric)) for line in self.lines)
        return [(x, y) for x, y in points if x is not None and y is not None]

    def best(self, metric: str, mode: Literal["max", "min"], axis: str, most: float) -> Record | None:
        """The line of a metric's best finite value up to a cost, the first of equal ones; None if there is none."""
        sign, found = 1 if mode == "min" else -1, None
        least = math.inf
        for line in self.lines:
            cost, value = _number(line, axis), _number(line, metric)
            if cost is not None and cost <= most and value is not None and sign * value < least:
                least, found = sign * value, line
        return None if found is None else _record(found)

    def last(self, axis: str, most: float = math.inf) -> Record | None:
        """The line at the highest cost that is no more than `most`."""
        costs = [(cost, n) for n, line in enumerate(self.lines) if (cost := _number(line, axis)) is not None]
        at = max((pair for pair in costs if pair[0] <= most), default=None)
        return None if at is None else _record(self.lines[at[1]])


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
    if len(lines) > MOST_LINES:
        raise RunError(f"cannot read {path}: it has more than {MOST_LINES:,} lines.")
    whole = [line for line in lines if line.strip()]
    if part:
        needed = f'"{part}/'.encode()
        whole = [line for line in whole[:-1] if needed in line] + whole[-1:]  # the last may be cut short
    return _parsed(whole)


def _parsed(lines: list[bytes]) -> Curves:
    """All lines at once where they are sound; else each by itself."""
    try:
        values = json.loads(b"[" + b",".join(lines) + b"]") if all(map(_is_flat, lines)) else []
    except (ValueError, RecursionError):
        values = []
    if len(values) != len(lines):
        values = [_value(line) if _is_flat(line) else None for line in lines]
    sound = [value for value in values if isinstance(value, dict)]
    return Curves(sound, len(values) - len(sound))


def _is_flat(line: bytes) -> bool:
    """Whether it may be a line of metrics, and is cheap to read."""
    return len(line) < LONGEST and line.count(b"{") + line.count(b"[") <= NESTED


def _value(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _record(line: dict[str, object]) -> Record:
    """The numbers of a line, and NaN for those that it says were not finite."""
    bad = line.get("not_finite")
    names = [*line, *(bad if isinstance(bad, dict) else {})]
    return {name: value for name in names if (value := _number(line, name)) is not None}


def _number(line: dict[str, object], name: str) -> float | None:
    """A number of a line by its name; NaN for one that was not finite, None for what is no number."""
    value = line.get(name)
    if type(value) is float:
        return value if math.isfinite(value) else math.nan
    if type(value) is int and abs(value) <= 2**53:  # no less exact as a float
        return float(value + 1 if name in COUNTED_FROM_0 else value)
    bad = line.get("not_finite")
    return math.nan if isinstance(bad, dict) and name in bad else None
