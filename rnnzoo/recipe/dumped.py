"""The YAML that `dump` writes, read line by line: a hundred times as fast as YAML's full grammar."""

from __future__ import annotations

import functools
import re
from typing import Any

from rnnzoo.errors import RecipeError
from rnnzoo.recipe.yaml_text import MAX_DEPTH, parse

ENTRY = re.compile(r"( *)([A-Za-z_][\w.-]*):(?: +([^\s|>].*))?", re.ASCII)
EMPTY = {"{}": dict, "[]": list}
ITEM = re.compile(r"( *)- +([^\s|>-].*)", re.ASCII)


def parse_dumped(text: str, file: str) -> Any:
    """What `parse` gives, of any text. Raises: RecipeError."""
    try:
        value = _mapping(text)
    except RecipeError:
        value = None  # the full grammar says where and why
    return parse(text, file) if value is None else value


def _mapping(text: str) -> dict[str, Any] | None:
    """The mapping in a text whose lines are all `key:`, `key: value` or `- value`; None for any other text."""
    root: dict[str, Any] = {}
    levels: list[tuple[int, dict[str, Any] | list[Any]]] = [(0, root)]
    parent, opened = root, ""  # the key whose value begins in the next line, and what holds it
    for line in text.split("\n"):
        if not line:
            continue
        entry = ENTRY.fullmatch(line)
        found = entry or ITEM.fullmatch(line)
        if found is None:
            return None
        indent = len(found[1])
        if opened:
            deeper = indent > levels[-1][0] or (entry is None and indent == levels[-1][0])
            if not deeper or len(levels) > MAX_DEPTH - 2:
                return None
            inner: dict[str, Any] | list[Any] = {} if entry else []
            parent[opened] = inner
            levels.append((indent, inner))
            opened = ""
        while levels and (
            levels[-1][0] > indent or (levels[-1][0] == indent and entry and type(levels[-1][1]) is list)
        ):
            levels.pop()
        if not levels or levels[-1][0] != indent:
            return None
        level = levels[-1][1]
        if isinstance(level, list):
            level.append(_value(found[2]))
        elif entry is None or entry[2] in level:
            return None
        elif entry[3] is None:
            level[entry[2]], parent, opened = None, level, entry[2]
        else:
            level[entry[2]] = _value(entry[3])
    return None if opened or not root else root


def _value(text: str) -> Any:
    """The value of a text in one line. Raises: RecipeError where it is none."""
    return EMPTY[text]() if text in EMPTY else _scalar(text)


@functools.lru_cache(4096)
def _scalar(text: str) -> Any:
    value = parse(f"x: {text}", "")["x"]
    if isinstance(value, (dict, list)):
        raise RecipeError("a list or mapping in one line")
    return value
