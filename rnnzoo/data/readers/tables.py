"""Tables of text and numbers: CSV, TSV, JSON lines and Parquet, read alike for training and for prediction."""

from __future__ import annotations

import csv
import io
import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnzoo.data.readers.encodings import decoded
from rnnzoo.errors import DataError, nearest
from rnnzoo.system import files

log = logging.getLogger("rnnzoo")
Keys = tuple[str, ...]  # the options that name columns
Lines = Iterator[tuple[int, list[str]]]  # line numbers from 1, and values
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}  # that are looked for
SEPARATOR_LINE = re.compile(r"sep=([^\w\s\"]|\t)\r?\n", re.IGNORECASE)  # Excel's first line, for itself
LOOK = 2**16  # characters of a file that may be its header
ABSENT = object()  # the value of a key that a line of JSON does not have


@dataclass(frozen=True)
class Table:
    """A file's rows. header: the columns' names, in order. rows: a value for each column. lines: where rows stand."""

    path: Path
    header: tuple[str, ...]
    rows: list[Sequence[Any]]
    lines: Sequence[int]

    def select(self, columns: Sequence[str], keys: Keys = ()) -> dict[str, list]:
        """Some columns by name. keys: the options that name them, for the message.

        Raises: DataError for a column that is not there, or is twice.
        """
        where = places(self.path, self.header, columns, keys)
        found = {name: [row[place] for row in self.rows] for name, place in zip(columns, where, strict=True)}
        for name, values in found.items():
            for row, value in enumerate(values):
                if value is ABSENT:
                    has = [key for key, given in zip(self.header, self.rows[row], strict=True) if given is not ABSENT]
                    raise no_column(f"{self.path}, line {self.lines[row]},", has, name, keys)
        return found


def is_table(path: str | Path) -> bool:
    """Whether a file is a table by its ending, in any letter case."""
    return Path(path).suffix.lower() in READERS


def read(
    path: Path,
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    keys: Keys = (),
) -> Table:
    """The rows of a table, in the format that its ending says.

    columns: those that are wanted, None for all; of Parquet no other is read. encoding: of all but Parquet; see
    `decoded`. delimiter: of CSV and TSV; if not given it is found in the header, see `found_delimiter`. keys: the
    options that name the columns, for the message.
    Raises: DataError, naming the file and the line or row.
    """
    return READERS[path.suffix.lower()](path, columns, encoding, delimiter, keys)


def read_columns(
    path: Path, columns: Sequence[str], encoding: str = "utf-8", keys: Keys = (), delimiter: str | None = None
) -> dict[str, list]:
    """Some columns of a table, by name; see `read` and `Table.select`."""
    return read(path, columns, encoding, delimiter, keys).select(columns, keys)


def check_delimiter(delimiter: str | None) -> None:
    """Raises: ValueError for what cannot stand between values."""
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"\0'):
        raise ValueError(f"delimiter must be one character, such as ';', got {delimiter!r}")


# -- messages -------------------------------------------------------------------------------------------------------


def places(path: Path | str, header: Sequence[str], columns: Sequence[str], keys: Keys = ()) -> list[int]:
    """Where each of `columns` stands in the header. keys: the options that name them, for the message.

    Raises: DataError for a column that is not there, or is twice.
    """
    for column in columns:
        if column not in header:
            raise no_column(path, header, column, keys)
        if list(header).count(column) > 1:
            raise DataError(
                f"{path} has more than one column '{column}'.\n  Found: {', '.join(header)}.\n"
                "  Give each column its own name."
            )
    return [list(header).index(column) for column in columns]


def no_column(path: Path | str, header: Sequence[str], column: str, keys: Keys = ()) -> DataError:
    near = nearest(column, header)
    names = "names it" if len(keys) == 1 else "name the two to read"
    lone = len(header) == 1 and str(path).lower().endswith((".csv", ".tsv"))
    return DataError(
        f"{path} has no column '{column}'."
        + (f"\n  Did you mean '{near}'?" if near else "")
        + f"\n  Found: {', '.join(header) or 'none'}."
        + ("\n  Where another character separates the values, `delimiter` names it." if lone else "")
        + (f"\n  {' and '.join(keys)} {names}." if keys else "")
    )


# -- CSV and TSV ----------------------------------------------------------------------------------------------------


def found_delimiter(path: Path, text: str, usual: str, columns: Sequence[str] | None = None) -> str:
    """What separates the values: a comma, semicolon, tab or vertical bar, by the header; `usual` where that is open.

    It is the one that parts the header so that all `columns` are in it; or the only one that parts it at all. One
    that is not usual for the file's ending is reported.
    """
    parts = {delimiter: header for delimiter in DELIMITERS if len(header := _header(text, delimiter)) > 1}
    fits = [delimiter for delimiter, header in parts.items() if columns and set(columns) <= set(header)]
    possible = fits or list(parts)
    if usual in possible or len(possible) != 1:
        return usual
    log.warning("%s: its values are separated by %s (`delimiter` names another).", path, DELIMITERS[possible[0]])
    return possible[0]


def _header(text: str, delimiter: str) -> list[str]:
    try:
        return next((values for values in csv.reader(io.StringIO(text[:LOOK]), delimiter=delimiter) if values), [])
    except csv.Error:
        return []


def without_nul(path: Path, text: str) -> str:
    """The text. Raises: DataError for a NUL, which no table has but a file of another kind does."""
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"{path}, line {line}: a NUL character.\n"
            "  Is the file of another kind, or UTF-16 (`encoding: utf-16`)? If the text needs it, use JSON lines."
        )
    return text


def csv_lines(path: Path, text: str, delimiter: str = ",") -> Lines:
    """The rows of CSV: double quotes may stand round a value; blank lines are no rows."""
    limit = csv.field_size_limit(sys.maxsize)  # csv's own, 128 KiB a field, is too little for a book
    reader = csv.reader(io.StringIO(text, newline="\n"), strict=True, delimiter=delimiter)
    try:
        for values in reader:
            if values:
                yield reader.line_num, values
    except csv.Error as cause:
        raise DataError(
            f"{path}, line {reader.line_num}: not CSV: {cause}.\n"
            '  A text that holds a comma, a quote or a line feed stands in double quotes, its own quotes doubled ("").'
        ) from cause
    finally:
        csv.field_size_limit(limit)


def tsv_lines(path: Path, text: str, delimiter: str = "\t") -> Lines:
    """The rows of TSV: no quotes; blank lines are no rows."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip("\r"):
            yield number, line.removesuffix("\r").split(delimiter)


def _delimited(split: Callable[[Path, str, str], Lines], usual: str) -> Callable[..., Table]:
    def reader(path: Path, columns: Sequence[str] | None, encoding: str, delimiter: str | None, keys: Keys) -> Table:
        text = without_nul(path, decoded(path, encoding))
        if written := SEPARATOR_LINE.match(text):
            delimiter, text = delimiter or written[1], text[written.end() - 1 :]
        separator = delimiter or found_delimiter(path, text, usual, columns)
        numbered = list((split if separator == usual else csv_lines)(path, text, separator))
        (_, header), *rows = numbered
        if columns is not None:
            places(path, header, columns, keys)
        for row, (line, values) in enumerate(rows, start=1):
            if len(values) != len(header):
                raise DataError(
                    f"{path}, row {row} (line {line}): {len(values)} values, where the header has {len(header)}.\n"
                    f"  Header: {', '.join(header)}.\n"
                    "  In CSV, quote a text that holds a comma; in TSV, a text cannot hold a tab."
                )
        if not rows:
            raise DataError(f"{path} has a header and no rows.")
        return Table(path, tuple(header), [values for _, values in rows], [line for line, _ in rows])

    return reader


# -- JSON lines and Parquet -----------------------------------------------------------------------------------------


def _json_lines(path: Path, columns: Sequence[str] | None, encoding: str, delimiter: str | None, keys: Keys) -> Table:
    found: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(decoded(path, encoding).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = files.json_value(line, nan=True)
        except ValueError as cause:
            raise DataError(f"{path}, line {number}: {cause}.\n  Each line is one object.") from cause
        if not isinstance(values, dict):
            raise DataError(f"{path}, line {number}: not an object but {line.strip():.40}.\n  Each line is one object.")
        found.append((number, values))
    header = tuple(dict.fromkeys(key for _, values in found for key in values))
    rows: list[Sequence[Any]] = [[values.get(name, ABSENT) for name in header] for _, values in found]
    return Table(path, header, rows, [number for number, _ in found])


def _parquet(path: Path, columns: Sequence[str] | None, encoding: str, delimiter: str | None, keys: Keys) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        with files.opened(path) as raw, pyarrow.parquet.ParquetFile(raw) as file:
            header = tuple(file.schema_arrow.names)
            if columns is not None:
                places(path, header, columns, keys)
            wanted = [name for name in header if columns is None or name in columns]
            table = file.read(columns=wanted)
        values = [table.column(place).to_pylist() for place in range(table.num_columns)]
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as cause:
        raise DataError(f"{path}: not Parquet that can be read: {files.reason(cause)}") from cause
    if not table.num_rows:
        raise DataError(f"{path} has columns and no rows.")
    unread = [[None] * table.num_rows]
    given = {name: column for name, column in zip(wanted, values, strict=False)}
    rows: list[Sequence[Any]] = list(zip(*(given.get(name, unread[0]) for name in header), strict=True))
    return Table(path, header, rows, range(1, len(rows) + 1))


READERS: dict[str, Callable[[Path, Sequence[str] | None, str, str | None, Keys], Table]] = {
    ".csv": _delimited(csv_lines, ","),
    ".tsv": _delimited(tsv_lines, "\t"),
    ".jsonl": _json_lines,
    ".json": _json_lines,
    ".parquet": _parquet,
}
