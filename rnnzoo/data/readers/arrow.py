"""Parquet and Arrow files of any size, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from rnnzoo.data.readers.table import Keys, column_indices
from rnnzoo.errors import DataError
from rnnzoo.system import files, quantities

ROWS = 4096  # of a chunk
LARGEST = 2**28  # bytes of texts in a chunk


def chunks(path: Path, columns: Sequence[str], keys: Keys = ()) -> Iterator[dict[str, list[Any]]]:
    """Some columns of a file, in chunks of `ROWS` at most. Raises: DataError for a file that is not what it says."""
    import pyarrow

    rows = 0
    try:
        with files.opened(path) as raw:
            for batch in (_parquet if path.suffix.lower() == ".parquet" else _arrow)(path, raw, columns, keys):
                _check_size(path, batch)
                rows += batch.num_rows
                if batch.num_rows:
                    yield {name: batch.column(name).to_pylist() for name in columns}
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as cause:
        kind = "Parquet" if path.suffix.lower() == ".parquet" else "an Arrow file"
        raise DataError(f"{path}: not {kind} that can be read: {files.reason(cause)}") from cause
    if not rows:
        raise DataError(f"{path} has columns and no rows.")


def header(path: Path) -> tuple[str, ...]:
    """The names of the columns of an Arrow file. Raises: DataError."""
    import pyarrow

    try:
        with files.opened(path) as raw:
            return tuple(_opened(raw)[0].names)
    except (pyarrow.ArrowException, OSError, ValueError) as cause:
        raise DataError(f"{path}: not an Arrow file that can be read: {files.reason(cause)}") from cause


def _parquet(path: Path, raw: BinaryIO, columns: Sequence[str], keys: Keys) -> Iterator[Any]:
    """Batches of a few rows, texts as the numbers of a dictionary, so that what they unpack to is known before."""
    import pyarrow
    from pyarrow import parquet

    schema = parquet.read_schema(raw)
    column_indices(path, schema.names, columns, keys)
    nested = [name for name in columns if pyarrow.types.is_nested(schema.field(name).type)]
    if nested:
        raise DataError(
            f"{path}: column '{nested[0]}' holds lists, which a stream does not read from Parquet.\n"
            "  Write them as text with a separator, or as JSON lines, or leave out data.streaming."
        )
    raw.seek(0)
    with parquet.ParquetFile(raw, read_dictionary=list(columns), buffer_size=files.BLOCK) as file:
        yield from file.iter_batches(batch_size=ROWS, columns=list(columns))


def _arrow(path: Path, raw: BinaryIO, columns: Sequence[str], keys: Keys) -> Iterator[Any]:
    """Slices of the batches of an Arrow file."""
    schema, batches = _opened(raw)
    column_indices(path, schema.names, columns, keys)
    for batch in batches:
        batch.validate(full=True)  # offsets that lead out of the buffers
        for start in range(0, batch.num_rows, ROWS):
            yield batch.select(list(columns)).slice(start, ROWS)


def _opened(raw: BinaryIO) -> tuple[Any, Iterator[Any]]:
    """The schema and the batches of Arrow's file format, or of its stream format, which `datasets` writes."""
    import pyarrow

    is_file = raw.read(6) == b"ARROW1"
    raw.seek(0)
    if not is_file:
        stream = pyarrow.ipc.open_stream(raw)
        return stream.schema, iter(stream)
    reader = pyarrow.ipc.open_file(raw)
    return reader.schema, (reader.get_batch(number) for number in range(reader.num_record_batches))


def _check_size(path: Path, batch: Any) -> None:
    """Refuse a batch that says a few values very often, before it fills the memory. Raises: DataError."""
    import pyarrow
    from pyarrow import compute

    total = 0
    for column in batch.columns:
        if pyarrow.types.is_dictionary(column.type):
            sizes = column.dictionary
            if not (pyarrow.types.is_string(sizes.type) or pyarrow.types.is_large_string(sizes.type)):
                continue
            total += compute.sum(compute.take(compute.binary_length(sizes), column.indices)).as_py() or 0
        else:
            total += column.nbytes
    if total > LARGEST:
        raise DataError(
            f"{path} unpacks to {quantities.size(total)} in {batch.num_rows} rows, more than the "
            f"{quantities.size(LARGEST)} that are read at a time."
        )
