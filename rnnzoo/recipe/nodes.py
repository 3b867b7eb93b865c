"""A recipe as a tree whose every value knows where it was written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

COMMAND_LINE = "command line"


class Where(NamedTuple):
    """Where a key was written: a file and its line from 1, or the command line (line 0)."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Node(NamedTuple):
    """A value with the place of its key, and, for a scalar, as it was written.

    value: a dict or list of nodes, or None, a bool, a number or a string. replaced: the part of another name that a
    base had here; the parameters that the two share may be taken over once the parts are known.
    """

    value: Any
    where: Where
    text: str = ""
    replaced: "Node | None" = None

    @property
    def plain(self) -> Any:
        """The value without its places."""
        if isinstance(self.value, dict):
            return {key: node.plain for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain for node in self.value]
        return self.value


@dataclass(frozen=True)
class Raw:
    """A recipe as it was written, with its bases and overrides merged in.

    name: of the recipe's file, without its suffix. file: as messages show it.
    """

    name: str
    file: str
    root: Node

    @property
    def data(self) -> dict[str, Any]:
        """The merged recipe as plain data: untyped, without defaults."""
        return self.root.plain


def as_node(value: Any, where: Where) -> Node:
    """Plain data with one place for all of it."""
    if isinstance(value, Mapping):
        return Node({str(key): as_node(item, where) for key, item in value.items()}, where)
    if isinstance(value, (list, tuple)):
        return Node([as_node(item, where) for item in value], where)
    return Node(value, where, str(value))


def as_part(node: Node) -> Node:
    """`lstm` as the part it is short for, `{name: lstm}`; a part as it is."""
    return Node({"name": node}, node.where, replaced=node.replaced) if isinstance(node.value, str) else node
