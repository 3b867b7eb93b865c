"""CSV and TSV: tables of text with a header, whose values a character separates."""

from __future__ import annotations

import csv
import io
import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.readers.table import Keys, Table, column_indices
from rnnzoo.errors import DataError

log = logging.getLogger("rnnzoo")
Lines = Iterator[tuple[int, list[str]]]  # line numbers from 1, and values
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}  # that are looked for
SEPARATOR_LINE = re.compile(r"sep=([^\w\s\"]|\t)\r?\n", re.IGNORECASE)  # Excel's first line, for itself
LOOK = 2**16  # characters of a file that may be its header


def check_delimiter(delimiter: str | None) -> None:
    """Raises: ValueError for what cannot stand between values."""
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"\0'):
        raise ValueError(f"delimiter must be one character, such as ';', got {delimiter!r}")


def found_delimiter(path: Path, text: str, usual: str, columns: Sequence[str] | None = None) -> str:
    """What separates the values, as the header shows: a comma, semicolon, tab or bar; `usual` where several may.

    It is the one that splits the header so that all `columns` are in it; or the only one that splits it at all. A
    delimiter that is not usual for the file's ending is reported.
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
            '  A text that holds a comma, a quote or a line feed goes in double quotes, its own quotes doubled ("").'
        ) from cause
    finally:
        csv.field_size_limit(limit)


def tsv_lines(path: Path, text: str, delimiter: str = "\t") -> Lines:
    """The rows of TSV: no quotes; blank lines are no rows."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip("\r"):
            yield number, line.removesuffix("\r").split(delimiter)


def reader_of(split: Callable[[Path, str, str], Lines], usual: str) -> Callable[..., Table]:
    """The reader of a format whose lines `split` splits, by the delimiter `usual` if the file shows no other."""

    def reader(path: Path, columns: Sequence[str] | None, encoding: str, delimiter: str | None, keys: Keys) -> Table:
        text = without_nul(path, decoded(path, encoding))
        if match := SEPARATOR_LINE.match(text):
            delimiter, text = delimiter or match[1], text[match.end() - 1 :]
        separator = delimiter or found_delimiter(path, text, usual, columns)
        numbered = list((split if separator == usual else csv_lines)(path, text, separator))
        if not numbered:  # all of it is Excel's first line
            raise DataError(f"{path} has no header and no rows.")
        (_, header), *rows = numbered
        if columns is not None:
            column_indices(path, header, columns, keys)
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
