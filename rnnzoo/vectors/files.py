"""Vectors of words in the text formats of GloVe and word2vec."""

from __future__ import annotations

import codecs
import gzip
import math
import unicodedata
import zlib
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnnzoo.errors import DataError
from rnnzoo.system import files

MAX_LINE = 2**20  # bytes
MAX_RATIO = 100  # bytes that a packed file unpacks to, for each of its own; vectors make 2 or 3
ALWAYS = 2**20  # bytes that any packed file may unpack to
BLANKS = (b" ", b"\t")


class Vectors(NamedTuple):
    """words: in the file's order, each once. rows: (words, size) float32."""

    words: list[str]
    rows: np.ndarray

    @property
    def size(self) -> int:
        return self.rows.shape[1]

    def find(self, words: Iterable[str]) -> np.ndarray:
        """(words,) int64: the row of each word, or else of its lower-case form; -1 if there is neither."""
        rows = {word: row for row, word in enumerate(self.words)}
        return np.array([rows.get(word, rows.get(word.lower(), -1)) for word in words], dtype=np.int64)


def read_vectors(path: Path, wanted: Collection[str] | None = None) -> Vectors:
    """The vectors of the `wanted` words, or of all; no others are held in memory. A file that ends in .gz is gzip.

    Each line is a word and its numbers, with blanks between; word2vec's files begin with a line of two counts. Words
    are brought to Unicode's composed form NFC, and the first of equal ones counts. A byte order mark and blank lines at
    the end are read over; the vector of a blank follows two blanks.
    Raises: DataError, naming the line, for a wrong number of columns, or what is not a finite number.
    """
    rows: dict[str, np.ndarray] = {}
    size = 0
    for line, word, numbers in _lines(path):
        size = len(numbers)
        if word in rows or (wanted is not None and word not in wanted):
            continue
        try:
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is reported below
                row = np.array([float(number) for number in numbers]).astype(np.float32)
        except ValueError as cause:
            raise DataError(
                f"{path}, line {line}: the vector of {word!r:.40} has what is no number: {cause}."
            ) from cause
        if not np.isfinite(row).all():
            raise DataError(f"{path}, line {line}: the vector of {word!r:.40} has a number that is not finite.")
        rows[word] = row
    return Vectors(list(rows), np.stack(list(rows.values())) if rows else np.empty((0, size), dtype=np.float32))


def _lines(path: Path) -> Iterator[tuple[int, str, list[bytes]]]:
    """The number, the word and the columns of each line, all of the same number of columns."""
    count, read, unpacked = None, 0, 0
    is_packed = path.suffix == ".gz"
    try:
        with files.opened(path) as raw, gzip.open(raw) if is_packed else raw as file:
            start = 3 if file.read(3) == codecs.BOM_UTF8 else 0
            file.seek(start)
            line = file.readline(MAX_LINE)
            first, of_blank = line.split(), line.startswith(BLANKS)
            headed = len(first) == 2 and not of_blank and all(c.isdigit() and len(c) < 12 for c in first)
            count, size = map(int, first) if headed else (None, len(first) - (not of_blank))
            if size < 1:
                raise DataError(f"{path}, line 1: neither a word and its numbers, nor two counts, as word2vec begins.")
            if not headed:
                file.seek(start)
            blank = None  # the first of the blank lines, which may be at the end only
            for number, line in enumerate(iter(partial(file.readline, MAX_LINE), b""), start=1 + headed):
                if is_packed and (unpacked := unpacked + len(line)) > max(ALWAYS, MAX_RATIO * raw.tell()):
                    raise DataError(f"{path} unpacks to more than {MAX_RATIO} times its size, as no vectors do.")
                if not line.strip():
                    blank = blank or number
                    continue
                word, columns = _word_and_numbers(line, size)
                if blank or len(columns) != size or _ends_in_number(word):
                    count = 0 if blank else max(0, len(line.split()) - 1)
                    raise DataError(
                        f"{path}, line {blank or number}: {count} numbers, where line 1 has {size}.\n"
                        "  Each line is a word and its numbers, as GloVe and word2vec write text; binary is not read."
                    )
                read += 1
                yield number, unicodedata.normalize("NFC", word.decode("utf-8", "replace")), columns
    except (OSError, EOFError, zlib.error) as cause:
        raise DataError(f"cannot read {path}: {getattr(cause, 'strerror', None) or cause}.") from cause
    if count is not None and read != count:
        raise DataError(f"{path} has {read} vectors, where line 1 says {count}.\n  Is the file complete?")


def _word_and_numbers(line: bytes, size: int) -> tuple[bytes, list[bytes]]:
    """The word of a line and its last `size` columns. Of `size` columns behind a blank it is a blank."""
    word, *columns = line.strip().rsplit(None, size) or [b""]
    if len(columns) == size - 1 and line.startswith(BLANKS):
        return b" ", [word, *columns]
    return word, columns


def _ends_in_number(word: bytes) -> bool:
    """Whether a word with a blank in it, which some files have, is a word and a number too many."""
    pieces = word.split()
    try:
        return len(pieces) > 1 and math.isfinite(float(pieces[-1]))
    except ValueError:
        return False
