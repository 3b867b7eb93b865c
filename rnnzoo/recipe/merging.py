"""Recipes laid on one another: a base under a recipe, and the command line on top."""

from collections.abc import Sequence
from typing import Any

from rnnzoo.errors import RecipeError
from rnnzoo.recipe.nodes import COMMAND_LINE, Node, Where, as_part
from rnnzoo.recipe.yaml_text import load_yaml


def overrides(words: Sequence[str]) -> dict[str, Any]:
    """The overrides of a command line as plain nested data. Raises: RecipeError."""
    mistakes: list[str] = []
    changes = override_tree(words, mistakes)
    if mistakes:
        raise RecipeError(*mistakes)
    return changes.plain


def override_tree(words: Sequence[str], mistakes: list[str]) -> Node:
    """`--a.b value` and `--a.b=value` as one tree."""
    tree = Node({}, Where(COMMAND_LINE))
    words = list(words)
    while words:
        word = words.pop(0)
        key, equals, text = word.removeprefix("--").partition("=")
        parts = key.split(".")
        if not word.startswith("--") or not all(parts):
            example = "An override looks like --model.head.dropout 0.3."
            mistakes.append(f"{COMMAND_LINE}: unexpected argument '{word}'.\n  {example}")
            continue
        if not equals and (not words or words[0].startswith("--")):
            mistakes.append(
                f"{COMMAND_LINE}: {key}: no value.\n"
                f"  Write --{key} VALUE (true or false for a switch), or --{key}=VALUE for one that begins with --."
            )
            continue
        text = text if equals else words.pop(0)
        if parts[0] == "base":
            mistakes.append(f"{COMMAND_LINE}: base: belongs in a recipe's file.")
            continue
        try:
            value = load_yaml(text, COMMAND_LINE, mistakes)
        except RecipeError as error:
            problem = str(error).removeprefix(f"{COMMAND_LINE}: ").partition("\n")[0]
            mistakes.append(f"{COMMAND_LINE}: {key}: {problem}\n  A text needs quotes inside quotes: '\"{text}\"'.")
            continue
        if isinstance(value.value, (dict, list)) and text.lstrip()[:1] not in ("{", "["):
            value = Node(text, value.where, text)  # such as "a: b": a text, since maps and lists come in brackets
        for part in reversed(parts[1:]):
            value = Node({part: value}, tree.where)
        tree = merged(tree, Node({parts[0]: value}, tree.where), top=True, renames=False)
    return tree


def merged(base: Node, over: Node, top: bool = False, renames: bool = True) -> Node:
    """`over` laid on `base`. With `renames`, a part of a new `name` replaces the old one with its parameters."""
    if not top and isinstance(base.value, str) and isinstance(over.value, dict):
        base = as_part(base)
    if not top and isinstance(over.value, str) and isinstance(base.value, dict):
        over = as_part(over)
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    items, replaced = dict(base.value), base.replaced
    if renames and not top and _renamed(base, over):
        items, replaced = {}, base
    if renames and top and "tracking" in items and _renamed(items.get("data"), over.value.get("data")):
        items["tracking"] = _without(items["tracking"], "group")  # the runs of another data set are another group
    for key, node in over.value.items():
        items[key] = merged(items[key], node, renames=renames) if key in items else node
    return Node(items, over.where, replaced=replaced)


def _renamed(base: Node | None, over: Node | None) -> bool:
    """Whether two nodes are parts of different names."""
    names = []
    for node in (base, over):
        node = as_part(node) if node is not None and isinstance(node.value, str) else node
        if node is not None and isinstance(node.value, dict) and "name" in node.value:
            names.append(node.value["name"].value)
    return len(names) == 2 and names[0] != names[1]


def _without(node: Node, key: str) -> Node:
    if not isinstance(node.value, dict):
        return node
    return node._replace(value={name: item for name, item in node.value.items() if name != key})
