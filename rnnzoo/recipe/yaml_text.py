"""YAML without tags, anchors and aliases, within bounds: what a stranger's recipe may be."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from rnnzoo.errors import RecipeError
from rnnzoo.recipe.nodes import COMMAND_LINE, Node, Where
from rnnzoo.recipe.schema import quoted

MAX_NODES = 10_000
MAX_DEPTH = 50


def parse(text: str, file: str) -> Any:
    """The plain value of a text of YAML, within the bounds of a recipe. Raises: RecipeError."""
    mistakes: list[str] = []
    node = load_yaml(text, file, mistakes)
    if mistakes:
        raise RecipeError(*mistakes)
    return node.plain


def load_yaml(text: str, file: str, mistakes: list[str]) -> Node:
    """YAML without tags, anchors and aliases, within bounds.

    Raises: RecipeError for text that is not such YAML. Duplicate keys go to `mistakes`.
    """
    numbered = file != COMMAND_LINE

    def where(mark: Any) -> Where:
        return Where(file, mark.line + 1 if numbered and mark is not None else 0)

    def refuse(mark: Any, message: str) -> RecipeError:
        return RecipeError(f"{where(mark)}: {message}")

    def convert(node: yaml.Node, written_at: Where, key: str) -> Node:
        if isinstance(node, yaml.MappingNode):
            items: dict[str, Node] = {}
            for name, item in node.value:
                if not isinstance(name, yaml.ScalarNode):
                    raise refuse(name.start_mark, "a key must be a word, not a list or a mapping.")
                if not name.value.isprintable():
                    raise refuse(name.start_mark, f"a key must be printable, got {quoted(name.value)}.")
                path = f"{key}.{name.value}" if key else name.value
                if name.value in items:
                    first = items[name.value].where
                    mistakes.append(f"{where(name.start_mark)}: {path}: given twice, first in line {first.line}.")
                items[name.value] = convert(item, where(name.start_mark), path)
            return Node(items, written_at)
        if isinstance(node, yaml.SequenceNode):
            return Node([convert(item, where(item.start_mark), key) for item in node.value], written_at)
        assert isinstance(node, yaml.ScalarNode)
        if re.search("[\ud800-\udfff]", node.value):
            raise refuse(node.start_mark, "a text holds half of a character (a lone surrogate).")
        return Node(_scalar(node), written_at, node.value)

    try:
        _check_events(yaml.parse(text, Loader=yaml.SafeLoader), refuse)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return Node(None, Where(file)) if node is None else convert(node, where(node.start_mark), "")
    except yaml.MarkedYAMLError as cause:
        raise refuse(cause.problem_mark, f"not YAML: {cause.problem}.") from cause
    except (yaml.YAMLError, ValueError) as cause:
        raise RecipeError(f"{file}: not YAML: {str(cause).splitlines()[0]}.") from cause


def _check_events(events: Iterator[yaml.Event], refuse: Callable[[Any, str], RecipeError]) -> None:
    """Refuses, while parsing, what could run code or grow without bounds. Raises: RecipeError."""
    nodes = depth = documents = 0
    for event in events:
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise refuse(mark, "anchors (&) and aliases (*) are not allowed.\n  Put a text that has them in quotes.")
        if tag := getattr(event, "tag", None):
            tag = tag.replace("tag:yaml.org,2002:", "!!")
            raise refuse(mark, f"the tag {tag} is not allowed.\n  A recipe holds plain values only.")
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if nodes > MAX_NODES:
            raise refuse(mark, f"more than {MAX_NODES} values, which no recipe has.")
        if depth > MAX_DEPTH:
            raise refuse(mark, f"nested more than {MAX_DEPTH} levels deep.")
        if documents > 1:
            raise refuse(mark, "a second document (---); a recipe is one.")


def _scalar(node: yaml.ScalarNode) -> Any:
    """The value as YAML 1.1 has it, but dates, times and numbers with a leading zero stay text."""
    kind = node.tag.rpartition(":")[2]
    odd = ":" in node.value or re.fullmatch(r"[-+]?0[0-9_]+", node.value)
    if kind not in ("null", "bool", "int", "float") or odd:
        return node.value
    try:
        value = yaml.constructor.SafeConstructor().construct_object(node)
        float(value or 0)
        return value
    except (ValueError, OverflowError):  # more digits than Python reads, or than a float has
        return node.value
