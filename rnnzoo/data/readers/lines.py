"""The lines of a text file of any size, a block at a time: those that `decoded` would give."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from rnnzoo.data.readers.encodings import MARKS, advice
from rnnzoo.errors import DataError
from rnnzoo.system import files

LONGEST = 2**26  # characters of a line


def text_lines(path: Path, encoding: str) -> Iterator[str]:
    """Lines as they stand, without the line feed that ends each; what follows the last one is a line if there is any.

    Where no line feed is in the whole file, lines end at carriage returns. Raises: DataError as `decoded` does, and for
    a line of more than `LONGEST` characters.
    """
    end = "\n" if any("\n" in block for block in _blocks(path, encoding)) else "\r"
    kept: list[str] = []  # of a line that has not ended yet
    length, number, blank = 0, 1, True
    for block in _blocks(path, encoding):
        blank = blank and not block.strip()
        first, *rest = block.split(end)
        kept.append(first)
        length += len(first)
        if rest:
            yield "".join(kept)
            yield from rest[:-1]
            kept, length, number = [rest[-1]], len(rest[-1]), number + len(rest)
        if length > LONGEST:
            raise DataError(
                f"{path}, line {number}: it is longer than {LONGEST:,} characters, the most that a line may have.\n"
                "  A line ends at a line feed. Is the file text?"
            )
    if blank:
        raise DataError(f"{path} is empty.")
    if last := "".join(kept):
        yield last


def _blocks(path: Path, encoding: str) -> Iterator[str]:
    """The text of a file in pieces, without a byte order mark. Raises: DataError, naming line and byte."""
    try:
        with files.opened(path) as file:
            data = file.read(files.BLOCK)
            if codecs.lookup(encoding).name == "utf-8":
                encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), encoding)
            decoder = codecs.getincrementaldecoder(encoding)()
            read, feeds, first = 0, 0, True
            while True:
                read += len(data)
                try:
                    text = decoder.decode(data, final=not data)
                    text.encode()  # some encodings write halves of characters
                except UnicodeDecodeError as cause:
                    raise _undecodable(path, encoding, cause, read - len(cause.object), feeds) from cause
                feeds += text.count("\n")
                if text:
                    yield text.removeprefix("\ufeff") if first else text
                    first = False
                if not data:
                    return
                data = file.read(files.BLOCK)
    except (OSError, UnicodeEncodeError) as cause:
        raise DataError(f"cannot read {path}: {files.reason(cause)}.") from cause


def _undecodable(path: Path, encoding: str, cause: UnicodeDecodeError, before: int, feeds: int) -> DataError:
    """before: bytes of the file before those that could not be decoded. feeds: line feeds among them."""
    line = feeds + cause.object.count(b"\n", 0, cause.start) + 1
    where = f"byte {before + cause.start} (0x{cause.object[cause.start]:02x})"
    return DataError(
        f"{path}, line {line}: {where} is not {encoding}: {cause.reason}.\n  {advice(cause.object, cause.start)}"
    )
