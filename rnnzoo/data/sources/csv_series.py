"""The user's own long series, as a table of numbers."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from rnnzoo.data.base import Columns, Source
from rnnzoo.data.readers import tables
from rnnzoo.data.readers.delimited import check_delimiter
from rnnzoo.data.readers.numbers import NumberFormat
from rnnzoo.data.readers.table import TEXT_ENDINGS
from rnnzoo.data.readers.time_column import TimeColumn
from rnnzoo.data.readers.times import read_time
from rnnzoo.data.sources.own_files import missing
from rnnzoo.data.splits import in_time
from rnnzoo.errors import DataError, nearest
from rnnzoo.limits import Count, Fraction, checked
from rnnzoo.system import files
from rnnzoo.system.paths import typed

log = logging.getLogger("rnnzoo")
PartSize = Count | Fraction  # so many rows, or a share of them
NAMELESS = re.compile(r"column \d+ without a name|Unnamed: \d+(_level_\d+)?")  # as we call one, and as pandas does
NUMBERING = frozenset({"id", "index", "idx", "no", "no.", "nr", "nr.", "#", "row", "number", "rownames"})
TRUTH = frozenset({"true", "false"})


class CsvSeries(Source):
    """Your own series: a table with a header, a row for each step in the order of time, a column for each variable.

    As in `data: {name: csv_series, path: load.csv, time_column: time, lookback: 168, horizon: 24}`.

    path: the file, .csv or .tsv. columns: the variables; if not given, all columns of numbers.
    Left out, and reported, are then the time, text without a digit, times, columns without a value or without a name,
    and those called id, index or the like that number the rows; other columns must be numbers throughout.
    time_column: times or numbers by which the rows' order is checked and gaps are found; without it, the rows are taken
    as they come. Times are ISO 8601, in full, or quarters (2024-Q1); steps are even by the clock, or are months,
    quarters, years, or working days. missing: "refuse" values and rows that are not there, or carry the values before
    them "forward". dev_size, test_size: so many rows as a whole number, or a share of them; the end is for testing,
    what is before it for dev. encoding, delimiter: of the file, see `TextFiles`.
    decimal, thousands, units, na_values: how numbers are written; see `NumberFormat`.
    """

    form = "windowed_series"

    @checked
    def __init__(
        self,
        path: str,
        columns: list[str] | None = None,
        time_column: str | None = None,
        missing: Literal["refuse", "forward"] = "refuse",
        dev_size: PartSize = 0.2,
        test_size: PartSize = 0.2,
        encoding: str = "utf-8",
        decimal: str = ".",
        thousands: str | None = None,
        units: list[str] | None = None,
        na_values: list[str | int | float] | None = None,
        delimiter: str | None = None,
    ) -> None:
        check_delimiter(delimiter)
        self.delimiter = delimiter
        if missing not in ("refuse", "forward"):
            raise ValueError(f"missing must be refuse or forward, got {missing!r}")
        try:
            "".encode(encoding)
        except LookupError:
            raise ValueError(f"encoding must be a text encoding that Python knows, got '{encoding}'") from None
        self.path, self.columns, self.time_column = typed(path), columns, time_column
        self.missing, self.dev_size, self.test_size, self.encoding = missing, dev_size, test_size, encoding
        self.numbers = NumberFormat(decimal, thousands, units or (), na_values or ())
        self._digest: str | None = None

    def read(self) -> dict[str, Columns]:
        series = self.series()
        return in_time(series, self._ends(len(next(iter(series.values())))))

    def series(self) -> dict[str, np.ndarray]:
        """The values of each variable, (steps,), in order and without gaps. Raises: DataError."""
        if wrong := missing("path", self.path):
            raise DataError(wrong)
        if self.path.suffix.lower() not in TEXT_ENDINGS:
            raise DataError(
                f"data.path: '{self.path}' is no table of numbers by its ending.\n"
                f"  Known endings: {', '.join(TEXT_ENDINGS)}."
            )
        try:
            written = tables.read(self.path, encoding=self.encoding, delimiter=self.delimiter)
            self._digest = files.sha256(self.path)
        except OSError as cause:
            raise DataError(f"cannot read {self.path}: {cause.strerror or cause}.") from cause
        names = enumerate(written.header, 1)
        header = [name if name.strip() else f"column {number} without a name" for number, name in names]
        self._known(header)
        table = replace(written, header=tuple(header)).select(header)
        variables, out = self._variables(table)
        series = self._filled({name: self._values(name, table[name]) for name in variables}, table)
        message = f"{self.path}: {len(table[header[0]])} rows"
        if self.time_column is not None:
            column = TimeColumn(self.path, self.time_column, self.numbers, fill=self.missing == "forward")
            rows_of_steps, step = column.steps(table[self.time_column])
            series = {name: values[rows_of_steps] for name, values in series.items()}
            message += f", a step is {step}" if step else ""
        left_out = f" Left out: {'; '.join(out)}." if out else ""
        log.log(logging.WARNING if out else logging.INFO, "%s. Read: %s.%s", message, ", ".join(series), left_out)
        return series

    def _known(self, header: Sequence[str]) -> None:
        """Raises: DataError for a column that is asked for and not in the header."""
        for name in [*(self.columns or ()), *([self.time_column] if self.time_column is not None else [])]:
            if header.count(name) > 1:
                raise DataError(f"{self.path} has more than one column '{name}'.\n  Give each column its own name.")
            if name not in header:
                near = nearest(name, header)
                hint = f"\n  Did you mean '{near}'?" if near else ""
                raise DataError(f"{self.path} has no column '{name}'.{hint}\n  Found: {', '.join(header)}.")

    def _variables(self, table: Columns) -> tuple[Sequence[str], list[str]]:
        """The columns to be forecast; and the names of the others, each with the reason, if none are asked for."""
        if self.columns:
            return self.columns, []
        why = {name: self._left_out(name, texts) for name, texts in table.items() if name != self.time_column}
        variables = [name for name, reason in why.items() if reason is None]
        out = [f"{name} ({reason})" for name, reason in why.items() if reason is not None]
        if not variables:
            raise DataError(
                f"{self.path} has no column of numbers.\n  Left out: {'; '.join(out) or 'none'}.\n"
                "  Values are separated by commas, in .tsv by tabs; `columns` names the variables."
            )
        return variables, out

    def _left_out(self, name: str, texts: Sequence[str]) -> str | None:
        """Why a column is certainly not a variable; None if it is one. Raises: DataError if it may be one."""
        kinds = {self._kind(text) for text in texts} - {"nothing"}
        if len(kinds) < 2 and kinds <= {"text", "times"}:
            return next(iter(kinds), "no values")
        if NAMELESS.fullmatch(name):
            return "it may be the row's number"
        values = self._values(name, texts)
        if name.strip().lower() in NUMBERING and set(np.diff(values)) <= {1}:
            return "the row's number"
        return None

    def _kind(self, text: str) -> str:
        try:
            return "nothing" if math.isnan(self.numbers.read(text)) else "number"
        except ValueError:
            if text.strip().lower() in TRUTH:
                return "truth"
            if not any(character.isdigit() for character in text):
                return "text"
        try:
            read_time(text)
            return "times"
        except ValueError:
            return "unclear"

    def _values(self, column: str, texts: Sequence[str]) -> np.ndarray:
        """The column's values, NaN where they are missing. Raises: DataError for other text, or infinity."""
        values = np.empty(len(texts))
        for row, text in enumerate(texts):
            try:
                values[row] = self.numbers.read(text)
            except ValueError:
                hints = [f"  {hint}." for hint in self.numbers.hints(text)[:2]]
                instead = "1 and 0 are numbers; " if text.strip().lower() in TRUTH else ""
                raise DataError(
                    f"{self.path}, row {row + 1}: '{column}' is {text!r:.80}, not a number.\n"
                    + "\n".join([*hints, f"  {instead}`columns` names the variables, and leaves other columns out."])
                ) from None
        return values

    def _filled(self, series: dict[str, np.ndarray], table: Columns) -> dict[str, np.ndarray]:
        """The series without missing values: refused, or carried forward."""
        gaps = {name: np.isnan(values) for name, values in series.items()}
        count = sum(int(gap.sum()) for gap in gaps.values())
        if not count:
            return series
        row, name = min((int(np.argmax(gap)), name) for name, gap in gaps.items() if gap.any())
        if self.missing == "refuse":
            written = table[name][row].strip()
            stands = f": {written!r} stands for none" if written else ""
            raise DataError(
                f"{self.path}, row {row + 1}: '{name}' has no value ({count} are missing in all){stands}.\n"
                "  `missing: forward` carries the value before on; or fill the gaps in the file."
            )
        if first := [name for name, gap in gaps.items() if gap[0]]:
            raise DataError(f"{self.path}, row 1: '{first[0]}' has no value, and none before it to carry forward.")
        log.warning("%s: %d missing values carry the value before them.", self.path, count)
        rows = np.arange(len(next(iter(series.values()))))
        return {name: values[np.maximum.accumulate(np.where(gaps[name], 0, rows))] for name, values in series.items()}

    def _ends(self, rows: int) -> tuple[int, int, int]:
        dev, test = (size if isinstance(size, int) else int(rows * size) for size in (self.dev_size, self.test_size))
        if dev + test >= rows:
            raise DataError(
                f"{self.path} has {rows} rows, of which {dev} for dev and {test} for testing leave none to train on.\n"
                "  Lower dev_size or test_size."
            )
        return rows - dev - test, rows - test, rows

    def part_name(self, part: str) -> str:
        return f"{self.path}, {part} split"

    def identity(self) -> dict[str, str | None]:
        """The file's name, and the SHA-256 of its contents."""
        return {"id": self.path.name, "revision": self._digest}
