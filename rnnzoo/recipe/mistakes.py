"""The mistakes of a recipe: collected while it is checked, and reported together, in the order of its file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rnnzoo.errors import nearest
from rnnzoo.recipe import migrations
from rnnzoo.recipe.nodes import COMMAND_LINE, Node, Where
from rnnzoo.recipe.schema import quoted


class Mistake(NamedTuple):
    """One mistake of a recipe, and where it was written."""

    where: Where
    key: str
    problem: str
    known: tuple[str, ...] | None = None  # of an unknown key


class Mistakes:
    """Collects mistakes; checking continues after each."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def refuse_import_paths(self, node: Node, key: str) -> None:
        items = node.value
        if isinstance(items, list):
            for item in items:
                self.refuse_import_paths(item, key)
        elif isinstance(items, dict):
            for name, item in items.items():
                path = f"{key}.{name}" if key else name
                if name == "class_path":
                    self.wrong(item, path, "import paths are not accepted.\n  Name a registered part: name: lstm.")
                self.refuse_import_paths(item, path)

    def unknown_keys(
        self, given: Mapping[str, Node], above: str, known: tuple[str, ...], problem: str = "unknown key"
    ) -> None:
        for name, node in given.items():
            if name not in known and name != "class_path":
                self.mistakes.append(Mistake(node.where, f"{above}{name}", problem, known))

    def wrong(self, node: Node, key: str, problem: str) -> None:
        self.mistakes.append(Mistake(node.where, key, problem))

    def messages(self, found: dict[str, Any]) -> Iterator[str]:
        """All mistakes in reading order; the command line's last."""
        order = {file: number for number, file in enumerate(dict.fromkeys(m.where.file for m in self.mistakes))}
        order[COMMAND_LINE] = len(order)
        for where, key, problem, known in sorted(self.mistakes, key=lambda m: (order[m.where.file], m.where.line)):
            if known is not None:
                name = key.rpartition(".")[2]
                match = next(_paths(found, name), None) or nearest(name, known) or _nearest_moved(found, key)
                hint = f"\n  Did you mean '{match}'?" if match else ""
                problem += f".{hint}\n  Known: {', '.join(sorted(known)) or 'none'}."
            yield f"{where}: {key}: {problem}"


def yaml_trap(node: Node) -> str:
    """What YAML 1.1 made of a word, if that explains a wrong type."""
    items = node.value if isinstance(node.value, list) else [node]
    for item in items:
        if isinstance(item.value, bool) and item.text.lower() not in ("true", "false", ""):
            return f'\n  YAML 1.1 reads {item.text} as {quoted(item.value)}; as text, it is written "{item.text}".'
        if isinstance(item.value, str) and re.fullmatch(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+", item.value):
            return f"\n  YAML 1.1 would read {item.text} as a number in base 60; write it in full."
        if isinstance(item.value, str) and re.fullmatch(r"[-+]?0[0-9_]+", item.value):
            return f"\n  YAML 1.1 reads {item.text}, with its leading zero, as octal; leave the zero out."
    return ""


def _nearest_moved(found: Mapping[str, Any], key: str) -> str | None:
    """Where a misspelt key of an earlier format is now: 'model.head.dropout' for 'model.dropuot'."""
    section, _, name = key.rpartition(".")
    old = nearest(name, migrations.MOVED) if section == "model" else None
    return migrations.moved(old, found["model"]["inputs"]) if old else None


def _paths(found: Any, name: str, above: str = "") -> Iterator[str]:
    """The keys of a resolved recipe that end in `name`."""
    for key, value in found.items():
        if key == name:
            yield f"{above}{key}"
        if isinstance(value, dict):
            yield from _paths(value, name, f"{above}{key}.")
