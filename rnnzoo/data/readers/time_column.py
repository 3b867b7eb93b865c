"""A table's column of times: whether its rows are even steps forward, and which steps are missing."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnzoo.data.readers.numbers import NumberFormat
from rnnzoo.data.readers.times import SECOND, Time, Uneven, count_steps, microseconds, read_digits, read_time
from rnnzoo.errors import DataError

log = logging.getLogger("rnnzoo")


@dataclass(frozen=True)
class Moments:
    """Times, or numbers that stand for them, that can be compared.

    places: (rows,) float64 or int64, numbers as they are, or microseconds since 1970 in UTC. second: how many a second
    are, 1 of numbers. times: as they were read, with the offset from UTC that was written; None of numbers.
    """

    places: np.ndarray
    second: int = 1
    times: Sequence[Time] | None = None

    def taken(self, rows: np.ndarray) -> Moments:
        """Those of some rows."""
        times = None if self.times is None else [self.times[row] for row in rows]
        return Moments(self.places[rows], self.second, times)


@dataclass(frozen=True)
class TimeColumn:
    """The column `name` of a table, of times or of numbers.

    path: the table's, for messages. numbers: how it writes numbers. fill: whether missing steps may be filled.
    """

    path: Path
    name: str
    numbers: NumberFormat
    fill: bool

    def steps(self, texts: Sequence[str]) -> tuple[np.ndarray, str]:
        """(steps,) the row of each evenly spaced time: the row before, where there is none; and a step's name.

        Raises: DataError for times that repeat, go back, or are not evenly spaced, and for gaps unless they are filled.
        """
        try:
            positions, step = count_steps(self._times(texts))
        except Uneven as wrong:
            row = wrong.row
            raise DataError(
                f"{self.path}, row {row + 1}: {texts[row]} {wrong.why} the row before, {texts[row - 1]}{wrong.where}.\n"
                "  Give one row for each step, in the order of time, or leave time_column out: then rows are taken as\n"
                "  they come."
            ) from None
        counts = np.diff(positions)
        missing = int((counts - 1).sum())
        if missing and (not self.fill or missing > len(texts)):
            row = int(np.argmax(counts > 1)) + 1
            raise DataError(
                f"{self.path}, row {row + 1}: {int(counts[row - 1]) - 1} steps are missing before {texts[row]} "
                f"({missing} in all), where a step is {step}.\n"
                "  `missing: forward` fills them with the values before, unless they are more than there are rows."
            )
        if missing:
            log.warning("%s: %d missing steps of %s carry the values before them.", self.path, missing, step)
        return np.repeat(np.arange(len(texts)), [*counts, 1]), step

    def moments(self, texts: Sequence[str]) -> Moments:
        """The time of each row, in any order. Raises: DataError for what is no time, or not like the others."""
        times = self._times(texts)
        if isinstance(times, np.ndarray):
            return Moments(times)
        if len(offsets := {time.offset for time in times}) > 1:
            log.warning(
                "%s: '%s' has times of %d offsets from UTC; they are ordered in UTC.",
                self.path,
                self.name,
                len(offsets),
            )
        return Moments(np.array([microseconds(time) for time in times]), SECOND, times)

    def _times(self, texts: Sequence[str]) -> list[Time] | np.ndarray:
        """The times; or numbers, where all are numbers and not dates. Raises: DataError for what is neither."""
        if dates := read_digits(texts):
            return dates
        times = [self._time(text) for text in texts]
        for row, time in enumerate(times):
            if time is None or _sort(time) != _sort(times[0]):
                like = "" if time is None else " like those before it"
                raise DataError(
                    f"{self.path}, row {row + 1}: '{self.name}' is {texts[row]!r:.80}, not a time{like}.\n"
                    "  Times are ISO 8601, as 2016-07-01 13:00, 2016-07 or 2016-W26-5, or numbers; all with an offset\n"
                    "  from UTC, or none."
                )
        # all are like the first, as was checked; the type says a mixture
        return times if isinstance(times[0], Time) else np.array(times)  # type: ignore[return-value]

    def _time(self, text: str) -> Time | float | None:
        """A time, or a number; None for neither."""
        try:
            return None if math.isnan(number := self.numbers.read(text)) else number
        except ValueError:
            try:
                return read_time(text)
            except ValueError:
                return None


def _sort(time: Time | float | None) -> tuple[type, bool]:
    """What two times have in common if they can be compared: both numbers, or both with an offset or both without."""
    return type(time), isinstance(time, Time) and time.offset is None
