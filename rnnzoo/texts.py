"""The texts that a user asks about: a line each, from a file or standard input, never all of them at once."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rnnzoo.errors import DataError
from rnnzoo.system import files

LINE_LIMIT = 2**26  # bytes of one text: more is a file of another kind


@contextlib.contextmanager
def opened(file: str) -> Iterator[Iterator[str]]:
    """The texts of a file, or of standard input for `-`. Raises: DataError, at once if it cannot be opened."""
    if file == "-":
        if sys.stdin is None:
            raise DataError("cannot read standard input: it is closed.")
        yield texts(sys.stdin.buffer, "standard input")
        return
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(files.opened(file))
        except (OSError, ValueError) as error:
            raise DataError(
                f"cannot read {file}: {files.reason(error)}.\n"
                "  Give a file of texts, one a line, or - for standard input."
            ) from error
        yield texts(stream, file)


def texts(stream: IO[bytes], name: str) -> Iterator[str]:
    """A text for each line, blank ones too: the line itself, or the "text" of its JSON.

    JSON lines are told by the name's ending, .jsonl or .json; where it has none, as standard input, by the first line.
    Raises: DataError, naming the line.
    """
    is_json = name.endswith((".jsonl", ".json"))
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
                is_json = bool(text_of(text, where))
        yield text_of(text, where) if is_json and text.strip() else text


def text_of(line: str, where: str) -> str:
    """The text in a line of JSON. Raises: DataError."""
    try:
        row = files.json_value(line)
    except ValueError as error:
        raise DataError(f"{where}: {error}.\n  Give one object a line, with a 'text'.") from None
    text = row.get("text") if isinstance(row, dict) else row
    if not isinstance(text, str):
        found = f"the keys {', '.join(row) or 'none'}" if isinstance(row, dict) else type(row).__name__
        raise DataError(f'{where}: no \'text\', found {found:.200}.\n  A line looks like {{"text": "great movie"}}.')
    return text
