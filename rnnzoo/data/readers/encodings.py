"""Bytes to text: byte order marks, the encodings that files are often in, and lines that end as on old Macs."""

from __future__ import annotations

import codecs
import io
import logging
import re
from pathlib import Path

from rnnzoo.errors import DataError
from rnnzoo.system import files

log = logging.getLogger("rnnzoo")
MARKS = {  # by the bytes that a file begins with; UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
CONTROLS = re.compile("[\x80-\x9f]")  # no text has them: a byte of these is a quote or a dash of Windows


def check_encoding(encoding: str) -> None:
    """Raises: ValueError for an encoding of text that Python does not know."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    except LookupError:
        raise ValueError(f"encoding must be a text encoding that Python knows, got '{encoding}'") from None


def decoded(path: Path, encoding: str) -> str:
    """The file's text, without a byte order mark. Raises: DataError, naming line and byte, if it is not `encoding`.

    A mark of UTF-16 or UTF-32 goes before `utf-8`, the default. Lines that end at carriage returns alone end at line
    feeds here.
    """
    try:
        data = files.read_bytes(path, files.DATA_LIMIT)
        if codecs.lookup(encoding).name == "utf-8":
            encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), encoding)
        text = data.decode(encoding).removeprefix("\ufeff")
        text.encode()  # some encodings write halves of characters
    except (OSError, UnicodeEncodeError) as cause:
        raise DataError(f"cannot read {path}: {files.reason(cause)}.") from cause
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        where = f"byte {cause.start} (0x{data[cause.start]:02x})"
        raise DataError(
            f"{path}, line {line}: {where} is not {encoding}: {cause.reason}.\n  {advice(data, cause.start)}"
        ) from cause
    if not text.strip():
        raise DataError(f"{path} is empty.")
    if codecs.lookup(encoding).name == "iso8859-1" and (control := CONTROLS.search(text)):
        byte = ord(control[0])
        log.warning(
            "%s: byte 0x%02x is a control character in %s; in cp1252, of Windows, it is %r.",
            path,
            byte,
            encoding,
            bytes([byte]).decode("cp1252", "replace"),
        )
    return text if "\n" in text else text.replace("\r", "\n")


def advice(data: bytes, start: int) -> str:
    """Which encoding to name. Bytes tell one that they cannot be, not which of its like they are."""
    by_hand = "Name the file's encoding with `encoding`, or save it as UTF-8."
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return by_hand
    character = data[start : start + 1].decode("cp1252")
    return f"In `encoding: cp1252`, of Windows and Excel, that is {character!r}. {by_hand}"
