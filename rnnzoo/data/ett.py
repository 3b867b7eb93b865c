"""Long series to forecast: transformer temperatures, and the user's own tables."""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from rnnzoo.data.base import PARTS, Columns, Source
from rnnzoo.data.sources import HubSource, csv_lines, decoded, missing, read_table, tsv_lines, without_nul
from rnnzoo.errors import DataError, nearest
from rnnzoo.limits import COUNT, Limit

log = logging.getLogger("rnnzoo")
SHARE = Limit(False, 0, 1, open_low=True, open_high=True)
Size = Annotated[int, COUNT] | Annotated[float, SHARE]  # so many rows, or a share of them
LINES = {".csv": csv_lines, ".tsv": tsv_lines}  # what reads a table, by its ending
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})


def in_time(series: Mapping[str, np.ndarray], ends: Sequence[int]) -> dict[str, Columns]:
    """Train, dev and perhaps test, one after the other; each sees the steps before its own.

    series: the values of each variable, by name. ends: the step after each part's last.
    """
    length = len(next(iter(series.values())))
    table: Any = np.empty(length, dtype=[(name, np.float64) for name in series])
    for name, values in series.items():
        table[name] = values
    place: Any = np.arange(length)
    return {
        part: {"values": table[:end], "own": place[:end] >= start}
        for part, start, end in zip(PARTS, [0, *ends], ends, strict=False)
    }


class Ett(HubSource):
    """Electricity transformer temperature: six loads and the oil temperature (OT) of one station, July 2016 on.

    Source: Zhou et al., "Informer", AAAI 2021, arXiv:2012.07436; `thuml/Time-Series-Library` on the Hub.
    The parts are the first 12 months, the next 4, and the next 4, of 30 days each, as in the papers.
    revision: the Hub's commit, branch or tag; the newest if not given.
    """

    form = "windowed_series"
    hub_id = "thuml/Time-Series-Library"
    hourly: ClassVar[int] = 1  # steps an hour

    def parts(self, parts: Any) -> dict[str, Columns]:
        table = parts["train"].data
        month = 30 * 24 * self.hourly
        names = [name for name in table.column_names if name != "date"]
        series = {name: table.column(name).to_numpy() for name in names}
        return in_time(series, (12 * month, 16 * month, 20 * month))


class EttH1(Ett):
    """The first transformer, hourly. Further: see `Ett`."""

    config = "ETTh1"


class EttH2(Ett):
    """The second transformer, hourly. Further: see `Ett`."""

    config = "ETTh2"


class EttM1(Ett):
    """The first transformer, every 15 minutes. Further: see `Ett`."""

    config = "ETTm1"
    hourly = 4


class CsvSeries(Source):
    """Your own series: a table with a header, a row for each step in the order of time, a column for each variable.

    As in `data: {name: csv_series, path: load.csv, time_column: time, lookback: 168, horizon: 24}`.

    path: the file, .csv with commas or .tsv with tabs. columns: the variables; if not given, all whose first value is
    a number, the time left out. time_column: ISO 8601 times or numbers, evenly spaced, by which the rows' order is
    checked and gaps are found; without it, the rows are taken as they come. missing: "refuse" values and rows that are
    not there, or carry the values before them "forward". dev_size, test_size: so many rows as a whole number, or a
    share of them; the end is for testing, what stands before it for dev. encoding: of the file.
    """

    form = "windowed_series"

    def __init__(
        self,
        path: str,
        columns: list[str] | None = None,
        time_column: str | None = None,
        missing: Literal["refuse", "forward"] = "refuse",
        dev_size: Size = 0.2,
        test_size: Size = 0.2,
        encoding: str = "utf-8",
    ) -> None:
        if missing not in ("refuse", "forward"):
            raise ValueError(f"missing must be refuse or forward, got {missing!r}")
        for name, size in {"dev_size": dev_size, "test_size": test_size}.items():
            if not (COUNT if isinstance(size, int) else SHARE).holds(size):
                raise ValueError(f"{name} must be {COUNT} (rows), or {SHARE} (a share of them), got {size!r}")
        try:
            "".encode(encoding)
        except LookupError:
            raise ValueError(f"encoding must be a text encoding that Python knows, got '{encoding}'") from None
        self.path, self.columns, self.time_column = Path(path), columns, time_column
        self.missing, self.dev_size, self.test_size, self.encoding = missing, dev_size, test_size, encoding
        self._digest: str | None = None

    def read(self) -> dict[str, Columns]:
        if wrong := missing("path", self.path):
            raise DataError(wrong)
        lines = LINES.get(self.path.suffix.lower())
        if lines is None:
            raise DataError(
                f"data.path: '{self.path}' is no table of numbers by its ending.\n  Known endings: {', '.join(LINES)}."
            )
        try:
            text = without_nul(self.path, decoded(self.path, self.encoding))
            self._digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError as cause:
            raise DataError(f"cannot read {self.path}: {cause.strerror or cause}.") from cause
        _, header = next(lines(self.path, text))
        self._known(header)
        table = read_table(self.path, header, lines(self.path, text))
        series = self._filled({name: self._numbers(name, table[name]) for name in self._variables(table)})
        if self.time_column is not None:
            steps = self._steps(table[self.time_column])
            series = {name: values[steps] for name, values in series.items()}
        return in_time(series, self._ends(len(next(iter(series.values())))))

    def _known(self, header: Sequence[str]) -> None:
        """Raises: DataError for a column that is asked for and not in the header."""
        for name in [*(self.columns or ()), *([self.time_column] if self.time_column is not None else [])]:
            if header.count(name) > 1:
                raise DataError(f"{self.path} has more than one column '{name}'.\n  Give each column its own name.")
            if name not in header:
                near = nearest(name, header)
                hint = f"\n  Did you mean '{near}'?" if near else ""
                raise DataError(f"{self.path} has no column '{name}'.{hint}\n  Found: {', '.join(header)}.")

    def _variables(self, table: Columns) -> Sequence[str]:
        if self.columns:
            return self.columns
        found = [name for name in table if name != self.time_column and _is_numeric(table[name])]
        if not found:
            raise DataError(
                f"{self.path} has no column of numbers.\n  Found: {', '.join(table)}.\n"
                "  Values are separated by commas, in .tsv by tabs; a decimal point is a point."
            )
        return found

    def _numbers(self, column: str, texts: Sequence[str]) -> np.ndarray:
        """The column's values, NaN where they are missing. Raises: DataError for other text, or infinity."""
        values = np.empty(len(texts))
        for row, text in enumerate(texts):
            number = _number(text)
            if number is None:
                raise DataError(f"{self.path}, row {row + 1}: '{column}' is {text!r:.80}, not a number.")
            values[row] = number
        return values

    def _filled(self, series: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The series without missing values: refused, or carried forward."""
        gaps = {name: np.isnan(values) for name, values in series.items()}
        count = sum(int(gap.sum()) for gap in gaps.values())
        if not count:
            return series
        row, name = min((int(np.argmax(gap)), name) for name, gap in gaps.items() if gap.any())
        if self.missing == "refuse":
            raise DataError(
                f"{self.path}, row {row + 1}: '{name}' has no value ({count} are missing in all).\n"
                "  `missing: forward` carries the value before on; or fill the gaps in the file."
            )
        if first := [name for name, gap in gaps.items() if gap[0]]:
            raise DataError(f"{self.path}, row 1: '{first[0]}' has no value, and none before it to carry forward.")
        log.warning("%s: %d missing values carry the value before them.", self.path, count)
        rows = np.arange(len(next(iter(series.values()))))
        return {name: values[np.maximum.accumulate(np.where(gaps[name], 0, rows))] for name, values in series.items()}

    def _steps(self, texts: Sequence[str]) -> np.ndarray:
        """(steps,) the row of each evenly spaced time: the row before, where there is none.

        Raises: DataError for times that repeat, go back, or are not evenly spaced, and for gaps unless they are filled.
        """
        times = np.empty(len(texts))
        for row, text in enumerate(texts):
            try:
                times[row] = _seconds(text)
            except ValueError:
                raise DataError(
                    f"{self.path}, row {row + 1}: '{self.time_column}' is {text!r:.80}, not a time.\n"
                    "  Times are ISO 8601, as 2016-07-01 13:00, or numbers."
                ) from None
        apart = np.diff(times)
        for wrong, told in ((apart == 0, "repeats the time"), (apart < 0, "is earlier than that")):
            if wrong.any():
                row = int(np.argmax(wrong)) + 1
                raise DataError(
                    f"{self.path}, row {row + 1}: {texts[row]} {told} of the row before, {texts[row - 1]}.\n"
                    "  Give one row for each step, in the order of time."
                )
        if not len(apart):
            return np.arange(len(times))
        step = Counter(apart.tolist()).most_common(1)[0][0]
        counts = np.round(apart / step)
        uneven = (np.abs(apart / step - counts) > 1e-3) | (counts < 1)
        if uneven.any():
            row = int(np.argmax(uneven)) + 1
            raise DataError(
                f"{self.path}, row {row + 1}: {texts[row]} is {apart[row - 1]:g} after the row before, where a step is "
                f"{step:g}.\n  Give evenly spaced times; without time_column, rows are taken as they come."
            )
        lacking = int((counts - 1).sum())
        if lacking and (self.missing == "refuse" or lacking > len(times)):
            row = int(np.argmax(counts > 1)) + 1
            raise DataError(
                f"{self.path}, row {row + 1}: {int(counts[row - 1]) - 1} steps are missing before {texts[row]} "
                f"({lacking} in all).\n"
                "  `missing: forward` fills them with the values before, unless they are more than there are rows."
            )
        if lacking:
            log.warning("%s: %d missing steps carry the values before them.", self.path, lacking)
        return np.repeat(np.arange(len(times)), [*counts.astype(int), 1])

    def _ends(self, rows: int) -> tuple[int, int, int]:
        dev, test = (size if isinstance(size, int) else int(rows * size) for size in (self.dev_size, self.test_size))
        if dev + test >= rows:
            raise DataError(
                f"{self.path} has {rows} rows, of which {dev} for dev and {test} for testing leave none to train on.\n"
                "  Lower dev_size or test_size."
            )
        return rows - dev - test, rows - test, rows

    def place(self, part: str) -> str:
        return f"{self.path}, {part} part"

    def identity(self) -> dict[str, str | None]:
        """The file's name, and the SHA-256 of its contents."""
        return {"id": self.path.name, "revision": self._digest}


def _number(text: str) -> float | None:
    """A number; NaN where it is missing; None for what is no finite number."""
    if text.strip().lower() in MISSING:
        return math.nan
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_numeric(texts: Sequence[str]) -> bool:
    """Whether the first value that is not missing is a number."""
    found = map(_number, texts)
    return next((number is not None for number in found if number is None or not math.isnan(number)), False)


def _seconds(text: str) -> float:
    """A number as it is, or an ISO 8601 time in seconds. Raises: ValueError."""
    number = _number(text)
    if number is not None and not math.isnan(number):
        return number
    time = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp()
