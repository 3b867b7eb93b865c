"""The texts to predict for: a column of a table, or the lines of a file or of standard input."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rnnzoo.data.readers import tables
from rnnzoo.errors import DataError
from rnnzoo.system import files
from rnnzoo.system.paths import typed

JSON = (".jsonl", ".ndjson", ".json")
LINE_LIMIT = 2**26  # bytes of one text: more is a file of another kind


@dataclass(frozen=True)
class Column:
    """In which column of a table the texts are, and how the file is written."""

    name: str = "text"
    encoding: str = "utf-8"
    delimiter: str | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any], name: str | None = None) -> Column:
        """The column that a recipe's `data` names, or `name`."""
        column = name or data.get("text_column") or data.get("source") or cls.name
        return cls(column, data.get("encoding") or cls.encoding, data.get("delimiter"))


def is_table(file: str) -> bool:
    """Whether a file is read whole, as a table, by its ending: lines of JSON are read one by one."""
    return tables.is_table(file) and not file.lower().endswith(JSON)


@contextlib.contextmanager
def opened(file: str, column: Column) -> Iterator[Iterator[str]]:
    """The texts of a file, or of standard input for `-`. Raises: DataError, at once if it cannot be opened.

    column: of a table (CSV, TSV, Parquet), or the key of a line of JSON.
    """
    if file == "-":
        if sys.stdin is None:
            raise DataError("cannot read standard input: it is closed.")
        yield texts(sys.stdin.buffer, "standard input", column.name)
        return
    if is_table(file):
        yield _of_table(typed(file), column)
        return
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(files.opened(typed(file)))
        except (OSError, ValueError) as error:
            raise DataError(
                f"cannot read {file}: {files.reason(error)}.\n"
                "  Give a file of texts, one a line, or - for standard input."
            ) from error
        yield texts(stream, file, column.name)


def _of_table(path: Path, column: Column) -> Iterator[str]:
    """The texts of a table, read as training reads it. Raises: DataError, naming the file and the row."""
    try:
        values = tables.read_columns(path, [column.name], column.encoding, ("--text_column",), column.delimiter)
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {files.reason(error)}.\n  Give a table of texts, or - for lines."
        ) from error
    for row, text in enumerate(values[column.name], start=1):
        if not isinstance(text, str):
            raise DataError(f"{path}, row {row}: '{column.name}' is {text!r:.80}, not text.")
        yield text


def texts(stream: IO[bytes], name: str, key: str = Column.name) -> Iterator[str]:
    """A text for each line, blank ones too: the line itself, or what its JSON has at `key`.

    Lines are JSON if the name ends in .jsonl or .json; without an ending, as for standard input, if the first line is.
    Raises: DataError, naming the line.
    """
    is_json = name.lower().endswith(JSON)
    number = 0
    while line := stream.readline(LINE_LIMIT + 1):
        number += 1
        where = f"{name}, line {number}"
        if len(line) > LINE_LIMIT:
            raise DataError(f"{where}: longer than {LINE_LIMIT // 2**20} MB.\n  Give one text a line.")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            wrong = f"byte {error.start + 1} (0x{line[error.start]:02x}) is not UTF-8"
            raise DataError(f"{where}: {wrong}.\n  Save the file in the encoding UTF-8.") from None
        if number == 1 and not Path(name).suffix and text.startswith("{"):
            with contextlib.suppress(DataError):
                is_json = bool(text_of(text, where, key))
        yield text_of(text, where, key) if is_json and text.strip() else text


def text_of(line: str, where: str, key: str) -> str:
    """The text in a line of JSON: what an object has at `key`, or the line's own. Raises: DataError."""
    try:
        row = files.json_value(line)
    except ValueError as error:
        raise DataError(f"{where}: {error}.\n  Give one object a line, with a '{key}'.") from None
    text = row.get(key) if isinstance(row, dict) else row
    if not isinstance(text, str):
        content = f"the keys {', '.join(row) or 'none'}" if isinstance(row, dict) else type(row).__name__
        example = json.dumps({key: "great movie"}, ensure_ascii=False)
        raise DataError(f"{where}: no '{key}', found {content:.200}.\n  A line looks like {example}.")
    return text
