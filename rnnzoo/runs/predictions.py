"""What a run's test says of each example: predictions.parquet in its folder. Read within bounds, and without torch.

A row is a unit: an example, a sentence, or a stretch of a stream. Its columns: `id`, its place in the test part;
`input`, `truth` and `prediction`, of forecasts `history`, `low` and `high`, all texts, and `confidence`, 0 to 1, where
there are such; and float64 counts
`METRIC.COUNT`, whose sums over all rows give the metric by the statistic that the header names. The header is JSON,
under the key "rnnzoo" of the schema's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from rnnzoo.errors import RunError
from rnnzoo.system import files

FILE = "predictions.parquet"
KEY = b"rnnzoo"
FORMAT = 1
TEXTS = ("input", "truth", "prediction", "history", "low", "high")
LONGEST_TEXT = 500  # characters
MAX_BYTES, MAX_UNPACKED = 2**29, 2**31  # of a file, and of what is in it
MAX_ROWS, MAX_COLUMNS, MAX_HEADER = 10_000_000, 1000, 2**20
Mode = Literal["max", "min"]


@dataclass(frozen=True)
class CountedMetric:
    """statistic: a name in `rnnzoo.runs.statistics.STATISTICS`. columns: its counts, by their names in the file.

    mode: which values are better. signature: how it is counted, where the field has several ways.
    """

    statistic: str
    columns: tuple[str, ...]
    mode: Mode
    signature: str = ""


@dataclass(frozen=True)
class Header:
    """What the rows are of. labels: the classes in the order of their numbers, if any.

    fingerprint: of the data as they are encoded. scored_rows: the digest of the raw rows, equal for any encoding.
    """

    task: str
    unit: str
    fingerprint: str
    metrics: dict[str, CountedMetric]
    labels: tuple[str, ...] = ()
    split: str = "test"
    scored_rows: str = ""

    @property
    def columns(self) -> list[str]:
        """The columns of counts, in order."""
        return [column for metric in self.metrics.values() for column in metric.columns]

    def with_only(self, names: Sequence[str]) -> Header:
        return replace(self, metrics={name: metric for name, metric in self.metrics.items() if name in names})


@dataclass
class Block:
    """Rows of one header: ids (rows,) int64; counts (rows, columns) float64, by the header's columns.

    texts: by name, of `TEXTS`. confidence: (rows,). glue: between the texts of two rows of one unit.
    """

    ids: np.ndarray
    counts: np.ndarray
    texts: dict[str, list[str]] = field(default_factory=dict)
    confidence: np.ndarray | None = None
    glue: str = " "


def joined(blocks: Sequence[Block], add: bool = False) -> Block:
    """Blocks as one, in the order of their ids. A unit that is there again is added, or the first one stays."""
    ids = np.concatenate([block.ids for block in blocks])
    counts = np.concatenate([block.counts for block in blocks])
    texts = {name: [text for block in blocks for text in block.texts[name]] for name in blocks[0].texts}
    sure = [block.confidence for block in blocks if block.confidence is not None]
    confidence = np.concatenate(sure) if len(sure) == len(blocks) else None
    unique, first, place = np.unique(ids, return_index=True, return_inverse=True)
    if not add or len(unique) == len(ids):
        kept = {name: [rows[row] for row in first] for name, rows in texts.items()}
        return Block(unique, counts[first], kept, confidence if confidence is None else confidence[first])
    sums = np.zeros((len(unique), counts.shape[1]))
    np.add.at(sums, place, counts)
    pieces: dict[str, list[list[str]]] = {name: [[] for _ in unique] for name in texts}
    for name, rows in texts.items():
        for row, text in zip(place, rows, strict=True):
            pieces[name][row].append(text)
    whole = {name: [blocks[0].glue.join(parts) for parts in rows] for name, rows in pieces.items()}
    return Block(unique, sums, whole, confidence if confidence is None else confidence[first])


def write(path: Path, header: Header, block: Block) -> None:
    """Write the file, completely or not at all. Raises: Unwritable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"id": pa.array(block.ids, pa.int64())}
    for name, texts in block.texts.items():
        columns[name] = pa.array(map(_bounded, texts), pa.string()).dictionary_encode()
    if block.confidence is not None:
        columns["confidence"] = pa.array(block.confidence.astype(np.float32))
    names = header.columns
    columns |= {name: pa.array(block.counts[:, place], pa.float64()) for place, name in enumerate(names)}
    facts = {
        "format": FORMAT,
        "split": header.split,
        "unit": header.unit,
        "task": header.task,
        "fingerprint": header.fingerprint,
        "scored_rows": header.scored_rows,
        "rows": len(block.ids),
        "labels": list(header.labels),
        "metrics": {name: {**vars(metric), "columns": list(metric.columns)} for name, metric in header.metrics.items()},
    }
    table = pa.table(columns).replace_schema_metadata({KEY: json.dumps(facts).encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    files.write_bytes(path, sink.getvalue().to_pybytes())


def _bounded(text: str) -> str:
    """The beginning of a text, without halves of characters, which a file of UTF-8 does not take."""
    return text[:LONGEST_TEXT].encode("utf-8", "replace").decode()


@dataclass
class Predictions:
    """A file that was read: `header`, `ids`, and by need the counts of a metric, the texts and the confidence."""

    path: Path
    header: Header
    ids: np.ndarray  # (rows,) int64, rising
    _file: Any = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def counts(self, metric: str) -> np.ndarray:
        """(rows, columns) float64, what each row adds to a metric of the header. Raises: RunError."""
        columns = self._read(list(self.header.metrics[metric].columns))
        values = np.stack([_numbers(self.path, column, np.float64) for column in columns], 1)
        if not np.isfinite(values).all():
            raise _unreadable(self.path, f"a count of {metric:.100} is not a finite number")
        return values

    def texts(self, name: str) -> list[str | None] | None:
        """The rows' texts, by a name of `TEXTS`; None where the file does not say. Raises: RunError."""
        if name not in TEXTS or name not in self._file.schema_arrow.names:
            return None
        (column,) = self._read([name])
        words = [word if word is None else word[:LONGEST_TEXT] for word in column.dictionary.to_pylist()]
        return [None if place is None else words[place] for place in column.indices.to_pylist()]

    @cached_property
    def confidence(self) -> np.ndarray | None:
        """(rows,) float32; None where the file does not say. Raises: RunError."""
        if "confidence" not in self._file.schema_arrow.names:
            return None
        (column,) = self._read(["confidence"])
        return _numbers(self.path, column, np.float32)

    def _read(self, names: list[str]) -> list[Any]:
        return _columns(self.path, self._file, names, len(self.ids))


def read(path: Path) -> Predictions:
    """A run's results of single examples. path: of the run's folder, or of the file.

    Raises: RunError for a file that is not there, is too large, or does not hold what it should.
    """
    path = path / FILE if path.is_dir() else path
    try:
        content = files.read_bytes(path, MAX_BYTES)
    except OSError as error:
        raise RunError(f"cannot read {path}: {files.reason(error)}.") from error
    file = _opened(path, content)
    header, rows = _header(path, file)
    (column,) = _columns(path, file, ["id"], rows)
    ids = _numbers(path, column, np.int64)
    if not (np.diff(ids) > 0).all():
        raise _unreadable(path, "its ids do not rise")
    return Predictions(path, header, ids, file)


def _opened(path: Path, content: bytes) -> Any:
    """The parquet file, its sizes and types checked. Raises: RunError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    raw = pa.BufferReader(content)
    try:
        file = pq.ParquetFile(
            raw,
            thrift_string_size_limit=4 * MAX_HEADER,
            thrift_container_size_limit=100 * MAX_COLUMNS,
        )
        schema, facts = file.schema_arrow, file.metadata
        groups = [facts.row_group(number) for number in range(min(facts.num_row_groups, MAX_COLUMNS + 1))]
        unpacked = [group.total_byte_size for group in groups]  # of a column it is not asked: that may end the process
    except (pa.ArrowException, OSError, ValueError, RuntimeError) as error:
        raise _unreadable(path, "it is not a sound parquet file") from error
    if not 0 <= facts.num_rows <= MAX_ROWS or facts.num_columns > MAX_COLUMNS or len(groups) > MAX_COLUMNS:
        raise _unreadable(path, f"it has more than {MAX_ROWS} rows or {MAX_COLUMNS} columns or groups of rows")
    if (
        min(unpacked, default=0) < 0
        or sum(unpacked) > MAX_UNPACKED
        or sum(g.num_rows for g in groups) != facts.num_rows
    ):
        raise _unreadable(path, "what it says of its own size is too large, or does not add up")
    if len(set(schema.names)) < len(schema.names):
        raise _unreadable(path, "two of its columns have one name")
    for column in schema:
        if not _fits(column.name, column.type):
            raise _unreadable(path, f"its column {column.name[:100]!r} is {str(column.type)[:100]}")
    return file


def _fits(name: str, kind: Any) -> bool:
    """Whether a column has the type of its kind."""
    import pyarrow as pa

    if name in TEXTS:
        return bool(pa.types.is_dictionary(kind) and kind.value_type == pa.string() and kind.index_type == pa.int32())
    wanted = {"id": pa.int64(), "confidence": pa.float32()}.get(name, pa.float64())
    return bool(kind == wanted)


def _header(path: Path, file: Any) -> tuple[Header, int]:
    """The header, and the number of rows. Raises: RunError."""
    raw = (file.schema_arrow.metadata or {}).get(KEY, b"")
    try:
        if len(raw) > MAX_HEADER:
            raise ValueError("it is too long")
        facts = files.json_value(files.utf8(raw))
        if facts["format"] != FORMAT:
            raise _unreadable(path, f"its format is {facts['format']!r:.40}, and this version reads {FORMAT}")
        metrics = {_text(name): _metric(metric) for name, metric in facts["metrics"].items()}
        task, unit, fingerprint, split = (_text(facts[key]) for key in ("task", "unit", "fingerprint", "split"))
        labels, rows = tuple(map(_text, facts.get("labels", ()))), _text(facts.get("scored_rows", ""))
        header = Header(task, unit, fingerprint, metrics, labels, split, rows)
        if facts["rows"] != file.metadata.num_rows:
            raise ValueError("rows")
        if missing := set(header.columns) - set(file.schema_arrow.names) or set(header.columns) & {"id", *TEXTS}:
            raise ValueError(f"columns {missing}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable(path, "its header is not what rnnzoo writes") from error
    return header, file.metadata.num_rows


def _metric(facts: Any) -> CountedMetric:
    columns = tuple(map(_text, facts["columns"]))
    if not columns or len(columns) > MAX_COLUMNS or facts["mode"] not in get_args(Mode):
        raise ValueError("a metric")
    return CountedMetric(_text(facts["statistic"]), columns, facts["mode"], _text(facts.get("signature", "")))


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise TypeError("not a short text")
    return value


def _columns(path: Path, file: Any, names: list[str], rows: int) -> list[Any]:
    """Columns of so many rows. Raises: RunError."""
    import pyarrow as pa

    try:
        table = file.read(columns=names, use_threads=False).combine_chunks()
        columns = [table.column(name) for name in names]
        columns = [c.chunk(0) if c.num_chunks == 1 else c.combine_chunks() for c in columns]
        for column in columns:
            column.validate(full=True)  # places in a dictionary, and texts that are UTF-8
    except (pa.ArrowException, OSError, ValueError, RuntimeError, KeyError, MemoryError) as error:
        raise _unreadable(path, "it is not a sound parquet file") from error
    if any(len(column) != rows for column in columns):
        raise _unreadable(path, "its columns are not as long as it says")
    return columns


def _numbers(path: Path, column: Any, kind: type[np.generic]) -> np.ndarray:
    """A column as numpy has it; pyarrow's own way there imports pandas. Raises: RunError."""
    if column.null_count:
        raise _unreadable(path, "a number is missing in it")
    values = column.buffers()[1]
    return np.frombuffer(values if values is not None else b"", kind, len(column), column.offset * kind().itemsize)


def _unreadable(path: Path, why: str) -> RunError:
    return RunError(f"cannot read {path}: {why}.\n  Remove it, or test the run again.")
