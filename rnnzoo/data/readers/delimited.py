"""CSV and TSV: tables of text with a header, whose values a character separates."""

from __future__ import annotations

import csv
import io
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.readers.lines import LONGEST, text_lines
from rnnzoo.data.readers.table import Keys, Table, column_indices
from rnnzoo.data.streaming.stream import bundled
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


def without_nul(path: Path, text: str, first: int = 1) -> str:
    """The text. Raises: DataError for a NUL, which no table has but a file of another kind does.

    first: the number of the text's first line.
    """
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + first
        raise DataError(
            f"{path}, line {line}: a NUL character.\n"
            "  Is the file of another kind, or UTF-16 (`encoding: utf-16`)? If the text needs it, use JSON lines."
        )
    return text


def csv_lines(path: Path, lines: Iterable[str], delimiter: str = ",", longest: int = sys.maxsize) -> Lines:
    """The rows of CSV: double quotes may stand round a value; blank lines are no rows.

    lines: each with the line feed that ends it. longest: characters of a value.
    """
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    try:
        while True:
            limit = csv.field_size_limit(longest)  # csv's own, 128 KiB a field, is too little for a book
            try:
                values = next(reader, None)
            finally:
                csv.field_size_limit(limit)
            if values is None:
                return
            if values:
                yield reader.line_num, values
    except csv.Error as cause:
        raise DataError(
            f"{path}, line {reader.line_num}: not CSV: {cause}.\n"
            '  A text that holds a comma, a quote or a line feed goes in double quotes, its own quotes doubled ("").'
        ) from cause


def tsv_lines(path: Path, lines: Iterable[str], delimiter: str = "\t", longest: int = sys.maxsize) -> Lines:
    """The rows of TSV: no quotes; blank lines are no rows. lines: each with the line feed that ends it."""
    for number, line in enumerate(lines, start=1):
        text = line.removesuffix("\n")
        if text.strip("\r"):
            yield number, text.removesuffix("\r").split(delimiter)


class Format(NamedTuple):
    """A kind of table whose lines `split` splits, by the delimiter `usual` if the file shows no other."""

    split: Callable[[Path, Iterable[str], str, int], Lines]
    usual: str

    def read(
        self, path: Path, columns: Sequence[str] | None, encoding: str, delimiter: str | None, keys: Keys
    ) -> Table:
        """All rows of a file."""
        text = without_nul(path, decoded(path, encoding))
        header, lines = self.rows(path, io.StringIO(text, newline="\n"), columns, delimiter, keys)
        rows = list(lines)
        return Table(path, header, [values for _, values in rows], [line for line, _ in rows])

    def chunks(
        self, path: Path, columns: Sequence[str], encoding: str, delimiter: str | None, keys: Keys
    ) -> Iterator[dict[str, list[Any]]]:
        """Some columns of a file of any size, some rows at a time."""
        text = (without_nul(path, f"{line}\n", number) for number, line in enumerate(text_lines(path, encoding), 1))
        header, rows = self.rows(path, text, columns, delimiter, keys, LONGEST)
        indices = [header.index(name) for name in columns]
        return bundled((tuple(values[index] for index in indices) for _, values in rows), tuple(columns))

    def rows(
        self,
        path: Path,
        lines: Iterable[str],
        columns: Sequence[str] | None,
        delimiter: str | None,
        keys: Keys,
        longest: int = sys.maxsize,
    ) -> tuple[tuple[str, ...], Lines]:
        """The header and the rows, with as many values each. lines: each with the line feed that ends it."""
        lines = iter(lines)
        head = list(_head(lines))
        if match := SEPARATOR_LINE.match("".join(head)):
            delimiter, head[0] = delimiter or match[1], "\n"
        separator = delimiter or found_delimiter(path, "".join(head), self.usual, columns)
        split = self.split if separator == self.usual else csv_lines
        numbered = split(path, chain(head, lines), separator, longest)
        first = next(numbered, None)
        if first is None:  # all of it is Excel's first line
            raise DataError(f"{path} has no header and no rows.")
        header = tuple(first[1])
        if columns is not None:
            column_indices(path, header, columns, keys)
        return header, _even(path, header, numbered)


def _head(lines: Iterable[str]) -> Iterator[str]:
    """The first lines, of which `LOOK` characters are looked at."""
    size = 0
    for line in lines:
        yield line
        size += len(line)
        if size >= LOOK:
            return


def _even(path: Path, header: Sequence[str], rows: Lines) -> Lines:
    """The rows. Raises: DataError for one with another number of values than the header, and where there is none."""
    row = 0
    for row, (line, values) in enumerate(rows, start=1):
        if len(values) != len(header):
            raise DataError(
                f"{path}, row {row} (line {line}): {len(values)} values, where the header has {len(header)}.\n"
                f"  Header: {', '.join(header)}.\n"
                "  In CSV, quote a text that holds a comma; in TSV, a text cannot hold a tab."
            )
        yield line, values
    if not row:
        raise DataError(f"{path} has a header and no rows.")
