"""Tables of text and numbers: CSV, TSV, JSON lines and Parquet, read alike for training and for prediction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnzoo.data.readers import arrow
from rnnzoo.data.readers.delimited import Format, csv_lines, tsv_lines
from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.readers.lines import text_lines
from rnnzoo.data.readers.table import ABSENT, Keys, Table, column_indices, no_column
from rnnzoo.data.streaming.stream import bundled
from rnnzoo.errors import DataError
from rnnzoo.system import files, quantities

if TYPE_CHECKING:
    import pyarrow.parquet

# What a Parquet file may unpack to: so much, or so many times its size
ALWAYS_VALUES = 2**20
ALWAYS_BYTES = 2**26
MAX_RATIO = 100


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


def chunks(
    path: Path, columns: Sequence[str], encoding: str = "utf-8", keys: Keys = (), delimiter: str | None = None
) -> Iterator[dict[str, list[Any]]]:
    """The rows of `read_columns` of a file of any size, some at a time. Raises: DataError."""
    ending = path.suffix.lower()
    if ending in DELIMITED:
        return DELIMITED[ending].chunks(path, columns, encoding, delimiter, keys)
    if ending in (".parquet", ".arrow"):
        return arrow.chunks(path, columns, keys)
    return bundled(_objects(path, columns, encoding, keys), tuple(columns))


def _objects(path: Path, columns: Sequence[str], encoding: str, keys: Keys) -> Iterator[tuple[Any, ...]]:
    """The values of each line of JSON, in the order of `columns`."""
    for number, line in enumerate(text_lines(path, encoding), start=1):
        if line.strip():
            values = _object(path, number, line)
            for name in columns:
                if name not in values:
                    raise no_column(f"{path}, line {number},", list(values), name, keys)
            yield tuple(values[name] for name in columns)


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    """The object in a line. Raises: DataError for a line that is none."""
    try:
        values = files.json_value(line, nan=True)
    except ValueError as cause:
        raise DataError(f"{path}, line {number}: {cause}.\n  Each line is one object.") from cause
    if not isinstance(values, dict):
        raise DataError(f"{path}, line {number}: not an object but {line.strip():.40}.\n  Each line is one object.")
    return values


def _json_lines(path: Path, columns: Sequence[str] | None, encoding: str, delimiter: str | None, keys: Keys) -> Table:
    objects: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(decoded(path, encoding).split("\n"), start=1):
        if not line.strip():
            continue
        objects.append((number, _object(path, number, line)))
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
            _check_unpacked(path, file, wanted)
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


def _arrow(path: Path, columns: Sequence[str] | None, encoding: str, delimiter: str | None, keys: Keys) -> Table:
    header = arrow.header(path)
    found: dict[str, list[Any]] = {}
    wanted = [name for name in header if columns is None or name in columns]
    column_indices(path, header, columns or wanted, keys)
    for chunk in arrow.chunks(path, wanted, keys):
        for name, values in chunk.items():
            found.setdefault(name, []).extend(values)
    count = len(next(iter(found.values())))
    rows: list[Sequence[Any]] = list(zip(*(found.get(name, [None] * count) for name in header), strict=True))
    return Table(path, header, rows, range(1, len(rows) + 1))


def _check_unpacked(path: Path, file: pyarrow.parquet.ParquetFile, columns: Collection[str]) -> None:
    """Refuse a small file that says a few values very often, before it fills the memory. Raises: DataError.

    Texts are counted by a dictionary of them, which is read without the texts that its indices stand for.
    """
    import pyarrow.parquet
    from pyarrow import compute

    size = path.stat().st_size
    most = max(ALWAYS_BYTES, MAX_RATIO * size)
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    chunks = [c for c in chunks if c.path_in_schema in columns or c.path_in_schema.split(".")[0] in columns]
    values, unpacked = (sum(getattr(c, name) for c in chunks) for name in ("num_values", "total_uncompressed_size"))
    if values > max(ALWAYS_VALUES, 8 * size) or unpacked > most:
        raise DataError(f"{path} unpacks to {values:,} values of {quantities.size(unpacked)}, from {size:,} bytes.")
    if values * unpacked <= most:  # not much, even if each value were all of it
        return
    fields = [field for field in file.schema_arrow if field.name in columns]
    with files.opened(path) as raw:
        texts = [field.name for field in fields if _is_text(field.type)]
        table = pyarrow.parquet.ParquetFile(raw, read_dictionary=texts).read(columns=texts)
    for chunk in (chunk for column in table.columns for chunk in column.chunks):
        unpacked += compute.sum(compute.take(compute.binary_length(chunk.dictionary), chunk.indices)).as_py() or 0
    nested = [field for field in fields if pyarrow.types.is_nested(field.type) and "string" in str(field.type)]
    if unpacked > most or nested:  # texts in lists have no dictionary that could be counted
        raise DataError(f"{path} unpacks to more than {MAX_RATIO} times its size, as no data do.")


def _is_text(kind: pyarrow.DataType) -> bool:
    import pyarrow

    if pyarrow.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pyarrow.types.is_string, pyarrow.types.is_large_string, pyarrow.types.is_binary)
    return any(test(kind) for test in (*tests, pyarrow.types.is_large_binary))


DELIMITED = {".csv": Format(csv_lines, ","), ".tsv": Format(tsv_lines, "\t")}
READERS: dict[str, Callable[[Path, Sequence[str] | None, str, str | None, Keys], Table]] = {  # by a file's ending
    ".csv": DELIMITED[".csv"].read,
    ".tsv": DELIMITED[".tsv"].read,
    ".jsonl": _json_lines,
    ".json": _json_lines,
    ".parquet": _parquet,
    ".arrow": _arrow,
}
