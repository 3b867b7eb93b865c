"""Tables of series of numbers: a row a step (long), a row a series (wide), or one file a series, read alike."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rnnzoo.data.readers import tables
from rnnzoo.data.readers.cells import as_numbers, is_empty
from rnnzoo.data.readers.labels import as_text
from rnnzoo.data.readers.numbers import NumberFormat
from rnnzoo.data.readers.recorded import Recorded, as_files, named_columns, plain, series_ids, texts
from rnnzoo.data.readers.table import ABSENT, Table, column_indices
from rnnzoo.data.readers.time_column import Moments, TimeColumn
from rnnzoo.errors import DataError, nearest

log = logging.getLogger("rnnzoo")
Layout = Literal["long", "wide", "files"]
ELAPSED = "elapsed"  # the channel of the time since the step before


@dataclass(frozen=True)
class SeriesTable:
    """How a table of series is written.

    layout: "long" has a row a step, whose series `series_id` names (without it, all are one); "wide" a row a series and
    a column a step, an empty end being no steps; "files" a row a series, whose own table `file` names, a path that
    begins at the table's folder. columns: the channels, if not given all other columns of numbers; of a wide table, the
    steps in order. time: orders the rows of a series; `elapsed` adds the time since the step before as a channel, in
    seconds, or as the numbers are. static: columns of one value a series, which are features. of_series, of_steps:
    those of what is asked for. ignored: further ones that are no channels.
    """

    layout: Layout = "long"
    series_id: str | None = None
    time: str | None = None
    columns: Sequence[str] = ()
    static: Sequence[str] = ()
    of_series: Sequence[str] = ()
    of_steps: Sequence[str] = ()
    ignored: Sequence[str] = ()
    file: str = "file"
    elapsed: bool = False
    encoding: str = "utf-8"
    delimiter: str | None = None
    numbers: NumberFormat = field(default_factory=NumberFormat)

    def read(self, path: Path) -> list[Recorded]:
        """The series, in the order in which they begin. path: a table, or a folder or pattern of one table a series.

        Raises: DataError, naming the file, the row and the column; OSError.
        """
        several = as_files(path)
        if several is not None:
            found = [self._one(file, file.stem, {}) for file in several]
        elif self.layout == "files":
            found = [*self._indexed(path)]
        elif self.layout == "wide":
            found = [*self._rows(path)]
        else:
            found = [*self._long(self._table(path))]
        first = found[0]
        for other in found:
            if other.values.dtype.names != first.values.dtype.names:
                raise DataError(
                    f"{path}: series '{other.id}' has the channels {', '.join(other.values.dtype.names or ())}, and "
                    f"'{first.id}' {', '.join(first.values.dtype.names or ())}.\n  `columns` names those to read."
                )
        return found

    def files(self, path: Path) -> list[Path]:
        """All files that a path names, itself first where it is a table."""
        if (several := as_files(path)) is not None:
            return several
        if self.layout != "files" or not path.is_file() or not tables.is_table(path):
            return [path]
        return [path, *(file for _, file in self._listed(path)[1])]

    def _table(self, path: Path) -> Table:
        table = tables.read(path, encoding=self.encoding, delimiter=self.delimiter)
        own = [name for name in (self.series_id, self.time) if name is not None]
        wanted = [*own, *self.columns, *self.static, *self.of_steps, *self.of_series]
        column_indices(path, table.header, wanted)
        if twice := [name for name in wanted if wanted.count(name) > 1]:
            raise DataError(f"the column '{twice[0]}' is asked for twice.\n  Name it under one option.")
        return table

    # -- long

    def _long(self, table: Table, fixed: str | None = None) -> Iterator[Recorded]:
        """fixed: the id of the one series that the table is, where it is one."""
        path = table.path
        cells = named_columns(table)
        ids = [fixed or path.stem] * len(table.rows)
        if self.series_id is not None and fixed is None:
            ids = series_ids(path, self.series_id, cells[self.series_id])
        names = self.columns or self._channels(path, cells)
        read = {name: as_numbers(path, name, cells[name], self.numbers) for name in names}
        units = {name: unit for name, (_, unit) in read.items() if unit}
        moments = None
        if self.time is not None:
            moments = TimeColumn(path, self.time, self.numbers, fill=False).moments(texts(cells[self.time]))
        groups: dict[str, list[int]] = {}
        for row, name in enumerate(ids):
            groups.setdefault(name, []).append(row)
        unsorted = 0
        for name, rows in groups.items():
            order = np.array(rows)
            if moments is not None:
                places = moments.places[order]
                if (np.diff(places) < 0).any():
                    unsorted += 1
                    order = order[np.argsort(places, kind="stable")]
                self._refuse_repeated(path, name, order, moments, cells)
            yield self._recorded(path, name, order, {n: v for n, (v, _) in read.items()}, cells, moments, units)
        if unsorted:
            log.warning("%s: the rows of %d series are not in the order of time, and were sorted.", path, unsorted)

    def _recorded(
        self,
        path: Path,
        name: str,
        order: np.ndarray,
        read: Mapping[str, np.ndarray],
        cells: Mapping[str, list[Any]],
        moments: Moments | None,
        units: Mapping[str, str],
    ) -> Recorded:
        added = [ELAPSED] if self.elapsed else []
        values: Any = np.empty(len(order), dtype=[(column, np.float64) for column in (*read, *added)])
        for column, numbers in read.items():
            values[column] = numbers[order]
        times = None
        if moments is not None and self.time is not None:
            moments = moments.taken(order)
            times = texts([cells[self.time][row] for row in order])
            if self.elapsed:
                values[ELAPSED] = np.diff(moments.places, prepend=moments.places[:1]) / moments.second
        fixed = {c: self._constant(path, name, c, order, cells[c]) for c in (*self.static, *self.of_series)}
        static = {column: self._static(path, column, *fixed[column]) for column in self.static}
        rows = [int(row) for row in order]
        of_steps = {column: [cells[column][row] for row in rows] for column in self.of_steps}
        of_steps |= {column: [fixed[column][1]] for column in self.of_series}
        return Recorded(name, path, int(order[0]) + 1, values, static, of_steps, times, moments, units)

    def _refuse_repeated(
        self, path: Path, name: str, order: np.ndarray, moments: Moments, cells: Mapping[str, list[Any]]
    ) -> None:
        same = np.diff(moments.places[order]) == 0
        if same.any():
            assert self.time is not None
            first, second = sorted(order[int(np.argmax(same)) :][:2] + 1)
            series = f" of series '{name}'" if self.series_id else ""
            hint = "Give one row for each time." + (
                "" if self.series_id else " `series_id` tells several series apart."
            )
            raise DataError(
                f"{path}, row {second}: '{self.time}' is {cells[self.time][second - 1]}, as in row {first}{series}.\n"
                f"  {hint}"
            )

    def _channels(self, path: Path, cells: Mapping[str, list[Any]]) -> list[str]:
        """The columns that are neither named otherwise nor without a number. Raises: DataError if there is none."""
        other = {self.series_id, self.time, *self.static, *self.of_series, *self.of_steps, *self.ignored}
        if self.layout == "files":
            other.add(self.file)
        free = [name for name in cells if name not in other]
        found = [name for name in free if any(not is_empty(cell, self.numbers) for cell in cells[name])]
        if not found:
            raise DataError(f"{path} has no column of numbers.\n  `columns` names the channels.")
        if out := [name for name in free if name not in found]:
            log.warning("%s: left out, as they have no values: %s.", path, ", ".join(out))
        return found

    def _constant(
        self, path: Path, series: str, column: str, order: np.ndarray, cells: Sequence[Any]
    ) -> tuple[int, Any]:
        """The row, from 1, and the value that a column has in all rows of a series. Raises: DataError for several."""
        first, *others = order
        for row in others:
            if plain(cells[row]) != plain(cells[first]):
                raise DataError(
                    f"{path}, row {row + 1}: '{column}' is {cells[row]!r:.80}, and {cells[first]!r:.80} in row "
                    f"{first + 1} of the same series '{series}'.\n"
                    "  It is to be the same in all rows of a series. A label a step is a matter of the task tagging;\n"
                    "  a number that changes is a channel, for `columns`."
                )
        return int(first) + 1, cells[first]

    def _static(self, path: Path, column: str, row: int, cell: Any) -> float | str:
        """A number where it is one, or else a text. Raises: DataError where there is none."""
        text = as_text(cell) if cell is not ABSENT else ""
        if not text:
            raise DataError(f"{path}, row {row}: '{column}' has no value.\n  A static column has one for each series.")
        try:
            number = self.numbers.read(text)
        except ValueError:
            return text
        return number if number == number else text

    # -- wide

    def _rows(self, path: Path) -> Iterator[Recorded]:
        table = self._table(path)
        cells = named_columns(table)
        steps = self.columns or self._channels(path, cells)
        read = np.stack([as_numbers(path, name, cells[name], self.numbers)[0] for name in steps], 1)
        ids = [str(row) for row in range(1, len(read) + 1)]
        if self.series_id is not None:
            ids = series_ids(path, self.series_id, cells[self.series_id])
            if len(set(ids)) < len(ids):
                name = next(name for name in ids if ids.count(name) > 1)
                raise DataError(f"{path}: two rows are the series '{name}'.\n  A wide table has one row a series.")
        for row, (name, numbers) in enumerate(zip(ids, read, strict=True)):
            there = np.flatnonzero(~np.isnan(numbers))
            if not len(there):
                raise DataError(f"{path}, row {row + 1}: the series '{name}' has no values.\n  Leave its row out.")
            values: Any = np.empty(there[-1] + 1, dtype=[("value", np.float64)])
            values["value"] = numbers[: there[-1] + 1]
            static = {column: self._static(path, column, row + 1, cells[column][row]) for column in self.static}
            yield Recorded(name, path, row + 1, values, static, {c: [cells[c][row]] for c in self.of_series})

    # -- one file a series

    def _listed(self, path: Path) -> tuple[Table, list[tuple[int, Path]]]:
        """The index, and each row with its file."""
        index = tables.read(path, encoding=self.encoding, delimiter=self.delimiter)
        own = [name for name in (self.series_id,) if name is not None]
        cells = index.select([self.file, *own, *self.static, *self.of_series], ("file",))
        listed = []
        for row, name in enumerate(texts(cells[self.file])):
            file = path.parent / name
            if not name or not file.is_file() or not tables.is_table(file):
                near = nearest(name, [str(other.name) for other in file.parent.glob("*")] if name else [])
                hint = f"\n  Did you mean '{near}'?" if near else ""
                raise DataError(f"{path}, row {row + 1}: '{self.file}' is {name!r:.200}, no table beside it.{hint}")
            listed.append((row, file))
        return index, listed

    def _indexed(self, path: Path) -> Iterator[Recorded]:
        index, listed = self._listed(path)
        cells = named_columns(index)
        ids = [str(file.relative_to(path.parent)) for _, file in listed]
        if self.series_id is not None:
            ids = series_ids(path, self.series_id, cells[self.series_id])
        for (row, file), name in zip(listed, ids, strict=True):
            static = {column: self._static(path, column, row + 1, cells[column][row]) for column in self.static}
            one = self._one(file, name, static)
            yield one._replace(
                row=row + 1, file=path, of_steps={**one.of_steps, **{c: [cells[c][row]] for c in self.of_series}}
            )

    def _one(self, file: Path, name: str, static: dict[str, float | str]) -> Recorded:
        """A table that is one series. static: what an index says of it; without, the file says it itself."""
        indexed = self.layout == "files"
        reader = SeriesTable(
            time=self.time,
            columns=self.columns,
            static=() if indexed else self.static,
            of_series=() if indexed else self.of_series,
            of_steps=self.of_steps,
            ignored=self.ignored,
            elapsed=self.elapsed,
            encoding=self.encoding,
            delimiter=self.delimiter,
            numbers=self.numbers,
        )
        (found,) = reader._long(reader._table(file), name)
        return found._replace(static={**found.static, **static})
