"""Tables of text and numbers: CSV, TSV, JSON lines and Parquet, read alike for training and for prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rnnzoo.data.readers.delimited import csv_lines, reader_of, tsv_lines
from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.readers.table import ABSENT, Keys, Table, column_indices
from rnnzoo.errors import DataError
from rnnzoo.system import files


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


def _json_lines(path: Path, columns: Sequence[str] | None, encoding: str, delimiter: str | None, keys: Keys) -> Table:
    objects: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(decoded(path, encoding).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = files.json_value(line, nan=True)
        except ValueError as cause:
            raise DataError(f"{path}, line {number}: {cause}.\n  Each line is one object.") from cause
        if not isinstance(values, dict):
            raise DataError(f"{path}, line {number}: not an object but {line.strip():.40}.\n  Each line is one object.")
        objects.append((number, values))
    header = tuple(dict.fromkeys(key for _, values in objects for key in values))
    rows: list[Sequence[Any]] = [[values.get(name, ABSENT) for name in header] for _, values in objects]
    return Table(path, header, rows, [number for number, _ in objects])


def _parquet(path: Path, columns: Sequence[str] | None, encoding: str, delimiter: str | None, keys: Keys) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        with files.opened(path) as raw, pyarrow.parquet.ParquetFile(raw) as file:
            header = tuple(file.schema_arrow.names)
            if columns is not None:
                column_indices(path, header, columns, keys)
            wanted = [name for name in header if columns is None or name in columns]
            table = file.read(columns=wanted)
        values = [table.column(index).to_pylist() for index in range(table.num_columns)]
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as cause:
        raise DataError(f"{path}: not Parquet that can be read: {files.reason(cause)}") from cause
    if not table.num_rows:
        raise DataError(f"{path} has columns and no rows.")
    unread = [None] * table.num_rows
    by_name = dict(zip(wanted, values, strict=False))
    rows: list[Sequence[Any]] = list(zip(*(by_name.get(name, unread) for name in header), strict=True))
    return Table(path, header, rows, range(1, len(rows) + 1))


READERS: dict[str, Callable[[Path, Sequence[str] | None, str, str | None, Keys], Table]] = {  # by a file's ending
    ".csv": reader_of(csv_lines, ","),
    ".tsv": reader_of(tsv_lines, "\t"),
    ".jsonl": _json_lines,
    ".json": _json_lines,
    ".parquet": _parquet,
}
