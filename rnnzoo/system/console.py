"""The terminal: the one place that prints.

What is printed may hold names from outside: of columns, labels, files, tensors, packages. Characters in them that would
move the cursor, colour the text or turn its direction are printed as escapes. Secrets in addresses are taken out of
messages and logs. Importing this module imports the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from rnnzoo.system.redaction import without_secrets

if TYPE_CHECKING:
    import logging
    from pathlib import Path

# Control characters of both sets but newline and tab; marks of direction; separators of lines; halves of characters;
# invisible characters that no script needs (joiners, which Persian, Indic scripts and emoji need, are not among them).
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)

COLOURS = {"red": 31, "green": 32}  # of a terminal, by their numbers in ECMA-48


def escape(text: str) -> str:
    """A text of one or more lines that a terminal shows as it is: what would steer it becomes `\\x1b`, `\\u202e`."""
    return UNSAFE.sub(lambda match: repr(match[0])[1:-1], text)


def inline(value: object, most: int | None = None) -> str:
    """A foreign name or value as part of a line, so that it cannot begin a line of its own.

    most: characters; of a longer text the rest is "...".
    """
    text = str(value)
    if most is not None and len(text) > most:
        text = text[: most - 3] + "..."
    return escape(text).replace("\n", r"\n").replace("\t", r"\t")


def print(text: object = "", end: str = "\n") -> None:
    """Print lines on standard output. Raises: BrokenPipeError where nobody reads on."""
    _write(sys.stdout, escape(str(text)) + end)


def print_coloured(parts: Iterable[tuple[str, str | None]]) -> None:
    """Print a line of parts, each with a name in `COLOURS` or None, in colour where the terminal has it."""
    out = sys.stdout
    plain = out is None or not out.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") in (None, "dumb")
    line = ""
    for text, colour in parts:
        text = escape(text)
        line += text if plain or colour is None else f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"
    _write(out, line.rstrip() + "\n")


def print_error(text: object = "") -> None:
    """Print lines on standard error, after all that was printed on standard output."""
    flush()
    _write(sys.stderr, escape(without_secrets(str(text))) + "\n")


def print_json(value: object, indent: int | None = None) -> None:
    """Print a JSON value for programs: characters that would steer a terminal are JSON's own escapes."""
    _write(sys.stdout, json_text(value, indent) + "\n")


def json_text(value: object, indent: int | None = None) -> str:
    """A value as JSON that a terminal shows as it is."""
    import json

    plain = json.dumps(value, ensure_ascii=False, indent=indent)
    encoding = getattr(sys.stdout, "encoding", None) or ""
    if not encoding.lower().startswith("utf"):
        plain = json.dumps(value, indent=indent)
    return UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1], plain)


def table(rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print columns side by side, under a title."""
    lines = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if title:
        print(title)
    for line in lines:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def printable(value: object) -> str:
    """A value in one line of a terminal, its control characters escaped."""
    if isinstance(value, float):
        if 1000 <= abs(value) < 1e15:
            return f"{value:,.2f}" if abs(value) < 1e5 else f"{value:,.0f}"
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1000 or not value else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{printable(key)} {printable(item)}" for key, item in value.items())
    return inline(value)


def short(path: Path) -> Path:
    """The path from the current directory, where it is below that."""
    here = os.getcwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def flush() -> None:
    """Hand on what was printed on standard output. Raises: BrokenPipeError where nobody reads on."""
    if sys.stdout is not None:  # None is what a closed one becomes
        sys.stdout.flush()


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"  # what it lacks is printed as an escape
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Escape what any library prints through `logging` and `warnings`, too. For the command line."""
    import logging

    made, formatted = logging.getLogRecordFactory(), warnings.formatwarning

    def record(*arguments: Any, **keywords: Any) -> logging.LogRecord:
        entry = made(*arguments, **keywords)
        with contextlib.suppress(TypeError, ValueError):  # logging itself reports a malformed call
            entry.msg, entry.args = escape(without_secrets(entry.getMessage())), ()
        return entry

    def formatting(*arguments: Any, **keywords: Any) -> str:
        return escape(without_secrets(formatted(*arguments, **keywords)))

    logging.setLogRecordFactory(record)
    warnings.formatwarning = formatting
    try:
        yield
    finally:
        logging.setLogRecordFactory(made)
        warnings.formatwarning = formatted
