"""Tables that a command writes into a page, each between a line `<!-- NAME -->` and a line `<!-- /NAME -->`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from rnnzoo.errors import ZooError
from rnnzoo.system import files


def updated(text: str, name: str, make: Callable[[str], str]) -> str:
    """The page with each table of this name made anew.

    make: gets the pattern of a first mark like `<!-- NAME PATTERN -->`, "*" where it has none, and returns whole lines.
    Raises: ZooError if the page has no such marks.
    """
    tables = re.compile(rf"(<!-- {name}(?: (\S+))? -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not tables.search(text):
        raise ZooError(
            "the page has no place for the table.\n"
            f"  Mark it by a line <!-- {name} --> and, below, a line <!-- /{name} -->."
        )
    return tables.sub(lambda match: match[1] + make(match[2] or "*") + match[3], text)


def read(path: Path, name: str) -> str:
    """The text of a page that has marks of this name. Raises: ZooError."""
    try:
        text = files.read_text(path)
    except (OSError, ValueError) as error:
        raise ZooError(f"cannot read {path}: {files.reason(error)}.") from error
    try:
        updated(text, name, lambda _: "")
    except ZooError as error:
        raise ZooError(str(error).replace("the page", str(path), 1)) from None
    return text
