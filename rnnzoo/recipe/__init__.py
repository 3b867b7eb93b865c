"""Recipes: YAML and overrides in, one complete plain dict out.

Two phases. `read` needs no torch: it parses the file, follows `base:`, merges the command line, and remembers where
each key was written. `resolve` imports the parts that the recipe names, and no others, and checks every key against
their signatures. Parts are named as they are registered; an import path means nothing here, so that a stranger's recipe
runs no code of its own.
"""

import errno
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rnnzoo.errors import RecipeError, nearest, unknown
from rnnzoo.recipe.schema import quoted
from rnnzoo.system import files
from rnnzoo.system.shipped import recipes as shipped

MAX_BYTES = 256 * 1024
MAX_NODES = 10_000
MAX_DEPTH = 50
MAX_FILES = 50
COMMAND_LINE = "command line"
Recipe = dict[str, Any]  # a complete one, as `resolve` returns it: section -> key -> plain value


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


# Phase 1: read


def read(recipe: str | Path, overrides: Sequence[str] = ()) -> Raw:
    """Read a recipe, given by its path or its shipped name, with overrides such as `--model.head.dropout`, `0.3`.

    Maps merge and lists replace; where a part's name changes, the parameters that belonged to the old part are dropped.
    Raises: RecipeError with all mistakes of form: in the YAML, in `base:`, in the overrides.
    """
    path = locate(recipe, Path())
    mistakes: list[str] = []
    root = _with_bases(path, (), mistakes, [])
    changes = _overrides(overrides, mistakes)
    if mistakes or root is None:
        raise RecipeError(*mistakes)
    return Raw(path.stem, _shown(path), _merged(root, changes, top=True))


def changed(raw: Raw, overrides: Sequence[str]) -> Raw:
    """A recipe with overrides such as `--model.dropout`, `0.3`. Raises: RecipeError with all mistakes of form."""
    mistakes: list[str] = []
    changes = _overrides(overrides, mistakes)
    if mistakes:
        raise RecipeError(*mistakes)
    return replace(raw, root=_merged(raw.root, changes, top=True))


def overrides(words: Sequence[str]) -> dict[str, Any]:
    """The overrides of a command line as plain nested data. Raises: RecipeError."""
    mistakes: list[str] = []
    changes = _overrides(words, mistakes)
    if mistakes:
        raise RecipeError(*mistakes)
    return changes.plain


def of(data: Mapping[str, Any], name: str = "recipe") -> Raw:
    """A recipe given as plain data: in Python, or from a run's files."""
    return Raw(name, name, as_node(data, Where(name)))


def as_node(value: Any, where: Where) -> Node:
    """Plain data with one place for all of it."""
    if isinstance(value, Mapping):
        return Node({str(key): as_node(item, where) for key, item in value.items()}, where)
    if isinstance(value, (list, tuple)):
        return Node([as_node(item, where) for item in value], where)
    return Node(value, where, str(value))


def _shown(path: Path) -> str:
    path = Path(os.path.abspath(path))
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def locate(recipe: str | Path, folder: Path = Path()) -> Path:
    """The file of a recipe's shipped name or of its path, which is relative to `folder`. Raises: RecipeError."""
    known = shipped()
    if isinstance(recipe, str) and recipe in known:
        return known[recipe]
    path = folder / recipe
    try:
        if path.is_file():
            return path
        exists = path.exists()
    except (OSError, ValueError) as cause:
        why = getattr(cause, "strerror", None) or cause
        raise RecipeError(f"the recipe {str(recipe)[:80]!r} is not a path: {why}.") from cause
    if exists:
        raise RecipeError(f"the recipe '{recipe}' is not a regular file.\n  Give the path of one YAML file.")
    if path.suffix not in (".yaml", ".yml"):
        hint = "\n  A recipe of your own is given by its path, such as ./mine.yaml."
        raise RecipeError(unknown("no recipe is named", str(recipe), known) + hint)
    match = path.stem if path.stem in known else nearest(path.stem, known)
    hint = f"\n  '{match}' comes with rnnzoo, and is given by that name, without a path." if match else ""
    raise RecipeError(f"there is no recipe file '{recipe}'.{hint}")


def text(recipe: str | Path) -> str:
    """What stands in the file of a recipe. Raises: RecipeError."""
    path = locate(recipe)
    return _content(path, _shown(path))


def _with_bases(path: Path, above: tuple[Path, ...], mistakes: list[str], seen: list[Path]) -> Node | None:
    """The recipe in `path` over its bases; `above` are the recipes that led to it. None if it cannot be read."""
    file = _shown(path)
    seen.append(path)
    try:
        node = _load(_content(path, file), file, mistakes)
    except RecipeError as error:
        mistakes += error.messages
        return None
    if not isinstance(node.value, dict):
        what = "is empty" if node.value is None else "is not a mapping of sections"
        mistakes.append(f"{file}: the recipe {what}.\n  It starts with lines such as `data: {{name: imdb}}`.")
        return None
    own = dict(node.value)
    base = own.pop("base", None)
    merged = Node({}, node.where)
    for item in [] if base is None else base.value if isinstance(base.value, list) else [base]:
        if not isinstance(item.value, str):
            mistakes.append(f"{item.where}: base: must be a recipe's path or name, or a list of them.")
            continue
        try:
            below = locate(item.value, path.parent)
        except RecipeError as error:
            mistakes.append(f"{item.where}: base: {error}")
            continue
        line = [*above, path]
        if any(below.resolve() == other.resolve() for other in line):
            circle = " -> ".join(_shown(p) for p in [*line, below])
            mistakes.append(f"{item.where}: base: the recipe is a base of itself: {circle}.")
        elif len(seen) >= MAX_FILES:
            mistakes.append(f"{item.where}: base: more than {MAX_FILES} files.")
            return None
        elif found := _with_bases(below, tuple(line), mistakes, seen):
            found.value.pop("name", None)  # each recipe is named after its own file
            merged = _merged(merged, found, top=True)
    return _merged(merged, Node(own, node.where), top=True)


def _content(path: Path, file: str) -> str:
    try:
        content = files.read_bytes(path, MAX_BYTES)
    except OSError as cause:
        if cause.errno == errno.EFBIG:
            raise RecipeError(f"{file}: larger than {MAX_BYTES // 1024} KB, which no recipe is.") from cause
        raise RecipeError(f"{file}: cannot be read: {files.reason(cause)}.") from cause
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = content[: cause.start].count(b"\n") + 1
        raise RecipeError(
            f"{file}:{line}: not UTF-8: byte 0x{content[cause.start]:02x} at offset {cause.start}.\n"
            "  Save the file in the encoding UTF-8."
        ) from cause


def parse(text: str, file: str) -> Any:
    """The plain value of a text of YAML, within the bounds of a recipe. Raises: RecipeError."""
    mistakes: list[str] = []
    node = _load(text, file, mistakes)
    if mistakes:
        raise RecipeError(*mistakes)
    return node.plain


def _load(text: str, file: str, mistakes: list[str]) -> Node:
    """YAML without tags, anchors and aliases, within bounds.

    Raises: RecipeError for text that is not such YAML. Duplicate keys go to `mistakes`.
    """
    numbered = file != COMMAND_LINE

    def where(mark: Any) -> Where:
        return Where(file, mark.line + 1 if numbered and mark is not None else 0)

    def refuse(mark: Any, message: str) -> RecipeError:
        return RecipeError(f"{where(mark)}: {message}")

    def convert(node: yaml.Node, place: Where, key: str) -> Node:
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
            return Node(items, place)
        if isinstance(node, yaml.SequenceNode):
            return Node([convert(item, where(item.start_mark), key) for item in node.value], place)
        assert isinstance(node, yaml.ScalarNode)
        if re.search("[\ud800-\udfff]", node.value):
            raise refuse(node.start_mark, "a text holds half of a character (a lone surrogate).")
        return Node(_scalar(node), place, node.value)

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


def _overrides(words: Sequence[str], mistakes: list[str]) -> Node:
    """`--a.b value` and `--a.b=value` as one tree."""
    tree = Node({}, Where(COMMAND_LINE))
    words = list(words)
    while words:
        word = words.pop(0)
        key, given, text = word.removeprefix("--").partition("=")
        parts = key.split(".")
        if not word.startswith("--") or not all(parts):
            example = "An override looks like --model.head.dropout 0.3."
            mistakes.append(f"{COMMAND_LINE}: unexpected argument '{word}'.\n  {example}")
            continue
        if not given and (not words or words[0].startswith("--")):
            mistakes.append(
                f"{COMMAND_LINE}: {key}: no value.\n"
                f"  Write --{key} VALUE (true or false for a switch), or --{key}=VALUE for one that begins with --."
            )
            continue
        text = text if given else words.pop(0)
        if parts[0] == "base":
            mistakes.append(f"{COMMAND_LINE}: base: belongs in a recipe's file.")
            continue
        try:
            value = _load(text, COMMAND_LINE, mistakes)
        except RecipeError as error:
            problem = str(error).removeprefix(f"{COMMAND_LINE}: ").partition("\n")[0]
            mistakes.append(f"{COMMAND_LINE}: {key}: {problem}\n  A text needs quotes inside quotes: '\"{text}\"'.")
            continue
        if isinstance(value.value, (dict, list)) and text.lstrip()[:1] not in ("{", "["):
            value = Node(text, value.where, text)  # such as "a: b": a text, since maps and lists come in brackets
        for part in reversed(parts[1:]):
            value = Node({part: value}, tree.where)
        tree = _merged(tree, Node({parts[0]: value}, tree.where), top=True, renames=False)
    return tree


def _merged(base: Node, over: Node, top: bool = False, renames: bool = True) -> Node:
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
        items[key] = _merged(items[key], node, renames=renames) if key in items else node
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


def as_part(node: Node) -> Node:
    """`lstm` as the part it is short for, `{name: lstm}`; a part as it is."""
    return Node({"name": node}, node.where, replaced=node.replaced) if isinstance(node.value, str) else node


# Writing


def dump(resolved: Mapping[str, Any]) -> str:
    """YAML that `read` and `resolve` turn back into exactly `resolved`."""
    return yaml.dump(
        resolved, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf, default_flow_style=False
    )


def digest(resolved: Mapping[str, Any]) -> str:
    """The sha256 of what a resolved recipe computes: without format, name, tracking and how often it is saved."""
    what = {key: value for key, value in resolved.items() if key not in ("format", "name", "tracking", "checkpoint")}
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Bare only what every YAML reads as text: `1e-3` is a number to YAML 1.2, and `no` a bool to YAML 1.1."""
    bare = re.fullmatch(r"[A-Za-z_][\w./-]*", text, re.ASCII)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if bare else '"')


_Dumper.add_representer(str, _represent_text)
