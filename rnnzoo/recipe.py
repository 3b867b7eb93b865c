"""Recipes: YAML and overrides in, one complete plain dict out.

Two phases. `read` needs no torch: it parses the file, follows `base:`, merges the command line, and remembers where
each key was written. `resolve` imports the parts that the recipe names, and no others, and checks every key against
their signatures. Parts are named as they are registered; an import path means nothing here, so that a stranger's recipe
runs no code of its own.
"""

import contextlib
import copy
import hashlib
import inspect
import json
import math
import os
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import yaml

from rnnzoo import limits, registry
from rnnzoo.errors import PluginError, RecipeError, ZooError, nearest, unknown

MAX_BYTES = 256 * 1024
MAX_NODES = 10_000
MAX_DEPTH = 50
MAX_FILES = 50
COMMAND_LINE = "command line"


class Where(NamedTuple):
    """Where a key was written: a file and its line from 1, or the command line (line 0)."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Node(NamedTuple):
    """A value with the place of its key, and, for a scalar, as it was written.

    value: a dict or list of nodes, or None, a bool, a number or a string.
    """

    value: Any
    where: Where
    text: str = ""

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


def shipped() -> dict[str, Path]:
    """The recipes that come with rnnzoo, by name: the path below the recipes' folder, without its suffix."""
    package = Path(__file__).parent
    folder = package / "recipes"
    if not folder.is_dir() and (package.parent / "pyproject.toml").is_file():  # an editable install
        folder = package.parent / "recipes"
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.yaml"))}


def read(recipe: str | Path, overrides: Sequence[str] = ()) -> Raw:
    """Read a recipe, given by its path or its shipped name, with overrides such as `--model.dropout`, `0.3`.

    Maps merge and lists replace; where a part's name changes, the parameters that belonged to the old part are dropped.
    Raises: RecipeError with all mistakes of form: in the YAML, in `base:`, in the overrides.
    """
    path = _locate(recipe, Path())
    mistakes: list[str] = []
    root = _with_bases(path, (), mistakes, [])
    changes = _overrides(overrides, mistakes)
    if mistakes or root is None:
        raise RecipeError(*mistakes)
    return Raw(path.stem, _shown(path), _merged(root, changes, top=True))


def of(data: Mapping[str, Any], name: str = "recipe") -> Raw:
    """A recipe given as plain data: in Python, or from a run's files."""
    return Raw(name, name, _node(data, Where(name)))


def _node(value: Any, where: Where) -> Node:
    """Plain data with one place for all of it."""
    if isinstance(value, Mapping):
        return Node({str(key): _node(item, where) for key, item in value.items()}, where)
    if isinstance(value, (list, tuple)):
        return Node([_node(item, where) for item in value], where)
    return Node(value, where, str(value))


def _shown(path: Path) -> str:
    path = Path(os.path.abspath(path))
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _locate(recipe: str | Path, folder: Path) -> Path:
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
        raise RecipeError(f"the recipe {str(recipe)[:80]!r} is not a path: {cause}.") from cause
    if exists:
        raise RecipeError(f"the recipe '{recipe}' is not a regular file.\n  Give the path of one YAML file.")
    if path.suffix not in (".yaml", ".yml"):
        hint = "\n  A recipe of your own is given by its path, such as ./mine.yaml."
        raise RecipeError(unknown("no recipe is named", str(recipe), known) + hint)
    match = path.stem if path.stem in known else nearest(path.stem, known)
    hint = f"\n  '{match}' comes with rnnzoo, and is given by that name, without a path." if match else ""
    raise RecipeError(f"there is no recipe file '{recipe}'.{hint}")


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
            below = _locate(item.value, path.parent)
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
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as cause:
        raise RecipeError(f"{file}: cannot be read: {cause.strerror}.") from cause
    if len(content) > MAX_BYTES:
        raise RecipeError(f"{file}: larger than {MAX_BYTES // 1024} KB, which no recipe is.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = content[: cause.start].count(b"\n") + 1
        raise RecipeError(
            f"{file}:{line}: not UTF-8: byte 0x{content[cause.start]:02x} at offset {cause.start}.\n"
            "  Save the file in the encoding UTF-8."
        ) from cause


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
                    raise refuse(name.start_mark, f"a key must be printable, got {_quoted(name.value)}.")
                path = f"{key}.{name.value}" if key else name.value
                if name.value in items:
                    first = items[name.value].where
                    mistakes.append(f"{where(name.start_mark)}: {path}: given twice, first in line {first.line}.")
                items[name.value] = convert(item, where(name.start_mark), path)
            return Node(items, place)
        if isinstance(node, yaml.SequenceNode):
            return Node([convert(item, where(item.start_mark), key) for item in node.value], place)
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
        if getattr(event, "tag", None):
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
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
        return yaml.constructor.SafeConstructor().construct_object(node)
    except ValueError:  # more digits than Python reads
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
            example = "An override looks like --model.dropout 0.3."
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
    """`over` laid on `base`. With `renames`, a new `name` of a part drops the parameters of the old one."""
    if not top and isinstance(base.value, str) and isinstance(over.value, dict):
        base = _part(base)
    if not top and isinstance(over.value, str) and isinstance(base.value, dict):
        over = _part(over)
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    items = dict(base.value)
    names = [part["name"].value for part in (items, over.value) if "name" in part]
    if renames and not top and len(names) == 2 and names[0] != names[1]:
        items = {}
    for key, node in over.value.items():
        items[key] = _merged(items[key], node, renames=renames) if key in items else node
    return Node(items, over.where)


def _part(node: Node) -> Node:
    """`lstm` as the part it is short for, `{name: lstm}`."""
    return Node({"name": node}, node.where)


# Phase 2: resolve

GIVEN_BY = {  # constructor arguments that the house gives, and a recipe cannot
    "cells": frozenset({"input_size", "hidden_size"}),
    "architectures": frozenset({"input_size"}),
    "tasks": frozenset({"spec"}),
    "datasets": frozenset(),
    "model": frozenset({"spec", "task", "architecture"}),
}
INHERITED = ("cell", "hidden_size")  # an inner architecture's, from the outer one, where it does not name its own
TOP: dict[str, tuple[Any, Any]] = {
    "name": (str, None),
    "seed": (int, 1),
    "engine": (Literal["auto", "reference", "fused"], "auto"),
}
SECTIONS = (*TOP, "data", "task", "model", "optimizer", "schedule", "trainer", "callbacks", "tracking")
DEFAULT_OPTIMIZER, DEFAULT_SCHEDULE = "adamw", "constant"


def resolve(raw: Raw) -> dict[str, Any]:
    """The complete recipe: plain JSON, every default filled in. Imports torch and the parts that are named.

    Raises: RecipeError with all mistakes, in the order of the file.
    """
    return _Resolver(raw).resolve()


def dump(resolved: Mapping[str, Any]) -> str:
    """YAML that `read` and `resolve` turn back into exactly `resolved`."""
    return yaml.dump(
        resolved, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf, default_flow_style=False
    )


def digest(resolved: Mapping[str, Any]) -> str:
    """The sha256 of what a resolved recipe computes: all of it but its name and its tracking."""
    what = {key: value for key, value in resolved.items() if key not in ("name", "tracking")}
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Bare only what every YAML reads as text: `1e-3` is a number to YAML 1.2, and `no` a bool to YAML 1.1."""
    bare = re.fullmatch(r"[A-Za-z_][\w./-]*", text, re.ASCII)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if bare else '"')


_Dumper.add_representer(str, _represent_text)


class Parameter(NamedTuple):
    """One parameter of a part: its type with and without annotations, and its default if it is not required."""

    annotated: Any
    hint: Any
    required: bool
    default: Any


@lru_cache(maxsize=512)
def signature(target: Callable[..., Any], given: frozenset[str] = frozenset()) -> dict[str, Parameter]:
    """The parameters that a recipe may set, by name; `given` ones left out.

    Those that a class passes on by **kwargs are found; those whose type is not plain data are left out, unless they are
    required. Raises: ValueError if the signature cannot be read.
    """
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False, add_help=False)
    add = parser.add_class_arguments if isinstance(target, type) else parser.add_function_arguments
    keys = dict.fromkeys(key.partition(".")[0] for key in add(target, skip=set(given)))
    defaults = parser.get_defaults().as_dict()
    annotated, hints, required = _declared(target)
    found: dict[str, Parameter] = {}
    for key in keys:
        default = defaults.get(key)
        hint = hints.get(key, type(default) if isinstance(default, (bool, int, float, str)) else None)
        if _is_plain(hint) and (key in required or _is_json(default)):
            if isinstance(default, int) and not isinstance(default, bool) and hint in (float, float | None):
                default = float(default)
            found[key] = Parameter(annotated.get(key, hint), hint, key in required, _jsonable(default))
        elif key in required:
            raise ValueError(f"'{key}' is required, and its type is not plain data that a recipe could hold")
    return found


def _declared(target: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any], set[str]]:
    """Types with and without annotations, and the required ones, of a function or of a class and its bases."""
    if isinstance(target, type):
        functions = [vars(cls)["__init__"] for cls in reversed(target.__mro__) if "__init__" in vars(cls)]
    else:
        functions = [target]
    annotated: dict[str, Any] = {}
    hints: dict[str, Any] = {}
    required: set[str] = set()
    for function in functions:
        annotated |= _hints(function, True)
        hints |= _hints(function, False)
        for name, parameter in inspect.signature(function).parameters.items():
            required.discard(name)
            if parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            ):
                required.add(name)
    return annotated, hints, required


def _hints(function: Any, extras: bool) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=extras)
    except Exception:  # a name that only a type checker imports spoils its own parameter, not the others
        found: dict[str, Any] = {}
        for name, hint in function.__annotations__.items():
            alone = types.SimpleNamespace(__annotations__={name: hint})
            try:
                found |= get_type_hints(alone, getattr(function, "__globals__", {}), include_extras=extras)
            except Exception:
                continue
        return found


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _is_plain(hint: Any) -> bool:
    """Whether a type is made of JSON's types: only such are set from recipes. Code, such as a callable, is not."""
    if hint in (bool, int, float, str, None, type(None), Any, list, tuple, dict, Path):
        return hint is not None
    origin = get_origin(hint)
    if origin is Literal:
        return all(isinstance(item, (bool, int, str, type(None))) for item in get_args(hint))
    if _is_union(hint) or origin in (list, tuple, dict, Sequence, Mapping, Iterable):
        return all(_is_plain(item) for item in get_args(hint) if item is not Ellipsis)
    return False


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return value is None or isinstance(value, (bool, int, str, Path))


def _jsonable(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def _accepts(hint: Any, value: Any) -> bool:
    """Whether a value has a type as it is, not looking into lists and mappings."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _accepts(get_args(hint)[0], value)
    if _is_union(hint):
        return any(_accepts(item, value) for item in get_args(hint))
    if origin is Literal:
        return any(type(item) is type(value) and item == value for item in get_args(hint))
    if hint is Path:
        return isinstance(value, str)
    if hint in (bool, int, float, str, type(None)):
        return type(value) is hint
    if (origin or hint) is dict or origin is Mapping:
        return isinstance(value, dict)
    return hint is Any or isinstance(value, list)


NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", re.ASCII)  # JSON's: YAML 1.1 reads 1e-3 as text


def _cast(parameter: Parameter, value: Any) -> Any:
    """The value as the parameter's type has it, such as 0.001 for '1e-3'. Raises: ValueError if it has another type."""
    from jsonargparse import ArgumentParser

    hint = parameter.hint
    if value is None and (parameter.default is None and not parameter.required):
        return None
    if isinstance(value, (str, type(None))) and _accepts(hint, value):
        return value
    if value is None or (isinstance(value, str) and not NUMBER.fullmatch(value)):
        raise ValueError("another type")
    parser = ArgumentParser(exit_on_error=False, add_help=False, parser_mode="json")  # JSON: no anchors inside texts
    parser.add_argument("--value", type=hint)
    try:
        cast = _jsonable(parser.parse_object({"value": value}).as_dict()["value"])
    except Exception as cause:  # argparse's, and whatever a text nested too deeply raises
        raise ValueError("another type") from cause
    if not _is_json(cast):
        raise ValueError("not finite")
    return cast


def _limit(annotated: Any, value: Any) -> limits.Limit | None:
    """The limit in `Annotated[..., Limit(...)]` that a value of the right type breaks."""
    if get_origin(annotated) is Annotated:
        inner, *marks = get_args(annotated)
        broken = [mark for mark in marks if isinstance(mark, limits.Limit) and not mark.holds(value)]
        return broken[0] if broken else _limit(inner, value)
    if _is_union(annotated):
        arms = [_limit(arm, value) for arm in get_args(annotated) if _accepts(arm, value)]
        return None if None in arms else next(iter(arms), None)
    if get_origin(annotated) in (list, Sequence) and isinstance(value, list):
        return next(filter(None, (_limit(get_args(annotated)[0], item) for item in value)), None)
    return None


def _has_limit(annotated: Any) -> bool:
    if get_origin(annotated) is Annotated and any(isinstance(mark, limits.Limit) for mark in get_args(annotated)[1:]):
        return True
    return any(_has_limit(arm) for arm in get_args(annotated)) if get_origin(annotated) is not Literal else False


def part_kind(annotated: Any) -> str | None:
    """The kind in `Annotated[Any, Part(kind)]`, also inside a union or a list."""
    if get_origin(annotated) is Annotated:
        return next((mark.kind for mark in get_args(annotated)[1:] if isinstance(mark, registry.Part)), None)
    if get_origin(annotated) is Literal:
        return None
    return next(filter(None, map(part_kind, get_args(annotated))), None)


def _takes_list(annotated: Any) -> bool:
    if _is_union(annotated):
        return any(map(_takes_list, get_args(annotated)))
    return get_origin(annotated) in (list, Sequence)


NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    Any: "a value",
    type(None): "null",
}


def _described(annotated: Any) -> str:
    """A type in a reader's words: 'a whole number >= 1, auto or null'."""
    origin, arguments = get_origin(annotated), get_args(annotated)
    if origin is Annotated:
        limit = next((str(mark) for mark in arguments[1:] if isinstance(mark, limits.Limit)), None)
        return limit or _described(arguments[0])
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if _is_union(annotated):
        arms = [[_described(arm)] if get_origin(arm) is not Literal else map(str, get_args(arm)) for arm in arguments]
        *words, last = [word for arm in arms for word in arm]
        return f"{', '.join(words)} or {last}"
    if origin in (list, tuple, Sequence, Iterable) or annotated in (list, tuple):
        return f"a list, each item {_described(arguments[0])}" if arguments else "a list"
    return NAMES.get(annotated, "a mapping")


def _quoted(value: Any) -> str:
    text = "null" if value is None else json.dumps(value) if isinstance(value, (bool, dict, list)) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _trap(node: Node) -> str:
    """What YAML 1.1 made of a word, if that explains a wrong type."""
    items = node.value if isinstance(node.value, list) else [node]
    for item in items:
        if isinstance(item.value, bool) and item.text.lower() not in ("true", "false", ""):
            return f'\n  YAML 1.1 reads {item.text} as {_quoted(item.value)}; as text, it is written "{item.text}".'
        if isinstance(item.value, str) and re.fullmatch(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+", item.value):
            return f"\n  YAML 1.1 would read {item.text} as a number in base 60; write it in full."
        if isinstance(item.value, str) and re.fullmatch(r"[-+]?0[0-9_]+", item.value):
            return f"\n  YAML 1.1 reads {item.text}, with its leading zero, as octal; leave the zero out."
    return ""


class _Mistake(NamedTuple):
    where: Where
    key: str
    problem: str
    known: tuple[str, ...] | None = None  # of an unknown key


class _Resolver:
    """One resolution: goes on after a mistake, and raises all of them at the end."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.mistakes: list[_Mistake] = []
        self.classes: dict[str, Any] = {}

    def resolve(self) -> dict[str, Any]:
        from rnnzoo import optim, options
        from rnnzoo.model import SequenceModel

        root = self.raw.root
        self.refuse_import_paths(root, "")
        sections = root.value
        self.unknown_keys(sections, "", SECTIONS)
        found: dict[str, Any] = {}
        for key, (hint, default) in TOP.items():
            default = self.raw.name if key == "name" else default
            found[key] = self.scalar(sections.get(key), key, Parameter(hint, hint, False, default))
        self.check_name(sections.get("name"), found["name"])
        found["data"] = self.section(sections, "data", "datasets")
        found["task"] = self.section(sections, "task", "tasks")
        found["model"] = self.model(SequenceModel, sections.get("model"))
        for key, table, default in (
            ("optimizer", optim.OPTIMIZERS, DEFAULT_OPTIMIZER),
            ("schedule", optim.SCHEDULES, DEFAULT_SCHEDULE),
        ):
            node = sections.get(key) or Node(default, root.where)
            found[key] = self.choice(node, key, table, optim.RUNTIME, default)
        found["trainer"] = self.options(options.TrainerOptions, sections.get("trainer"), "trainer")
        found["callbacks"] = self.callbacks(sections.get("callbacks"), options.CALLBACKS, options.RUNTIME)
        found["tracking"] = self.options(options.TrackingOptions, sections.get("tracking"), "tracking")
        self.check_form(sections)
        self.check_answer(sections, found["model"].get("architecture"))
        if self.mistakes:
            raise RecipeError(*self.messages(found))
        return found

    # Sections

    def section(self, sections: dict[str, Node], key: str, kind: str) -> dict[str, Any]:
        node = sections.get(key)
        if node is None or node.value is None:
            known = registry.known(kind)
            self.wrong(self.raw.root._replace(where=Where(self.raw.file)), key, f"missing.\n  Known {kind}: {known}.")
            return {}
        return self.component(node, key, kind)

    def model(self, cls: Any, node: Node | None) -> dict[str, Any]:
        given = self.mapping(node, "model")
        node = node or self.raw.root
        default = inspect.signature(cls).parameters["architecture"].default
        architecture = given.pop("architecture", None) or Node(default, node.where)
        own = self.parameters(signature(cls, GIVEN_BY["model"]), given, "model", node, also=("architecture",))
        return {"architecture": self.component(architecture, "model.architecture", "architectures"), **own}

    def options(
        self, target: Callable[..., Any], node: Node | None, key: str, given: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        return self.parameters(signature(target, given), self.mapping(node, key), key, node or self.raw.root)

    def callbacks(self, node: Node | None, table: Mapping[str, Any], given: frozenset[str]) -> dict[str, Any]:
        found = {}
        for name, item in self.mapping(node, "callbacks").items():
            key = f"callbacks.{name}"
            if name not in table:
                self.wrong(item, key, unknown("no callback is named", name, table))
            elif item.value is not False:  # false takes back what a base asked for
                item = item._replace(value=None) if item.value is True else item
                found[name] = self.options(table[name], item, key, given)
        return found

    def choice(
        self, node: Node, key: str, table: Mapping[str, Any], given: frozenset[str], default: str
    ) -> dict[str, Any]:
        """A part of a closed table; `default` is its name if only parameters are there."""
        if isinstance(node.value, dict) and "name" not in node.value:
            node = node._replace(value={"name": Node(default, node.where), **node.value})
        named = self.named(node, key, lambda: table)
        if named is None:
            return {}
        name, params = named
        if name.value not in table:
            self.wrong(name, key, unknown(f"no {key} is named", name.value, table) + self.not_a_path(name.value))
            return {}
        allowed = signature(table[name.value], given)
        return {"name": name.value, **self.parameters(allowed, params, key, node, also=("name",))}

    # Components

    def component(self, node: Node, key: str, kind: str, inherited: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A registered part: its name, and all of its parameters."""
        named = self.named(node, key, lambda: (entry.name for entry in registry.entries(kind)))
        if named is None:
            return {}
        name, params = named
        try:
            cls = registry.load(kind, name.value)
            allowed = self.signature(cls, kind)
        except ZooError as error:
            self.wrong(name, key, str(error) + self.not_a_path(name.value))
            return {}
        except Exception as cause:
            owner = registry.find(kind, name.value).distribution
            message = (str(cause).splitlines() or [""])[0]
            self.wrong(name, key, f"the parameters of '{name.value}' ({owner}) cannot be read: {message}.")
            return {}
        self.classes[key] = cls
        return {"name": name.value, **self.parameters(allowed, params, key, node, ("name",), inherited)}

    def signature(self, cls: Any, kind: str) -> dict[str, Parameter]:
        if kind != "datasets":
            return signature(cls, GIVEN_BY[kind])
        from rnnzoo.data.forms import FORMS

        form = getattr(cls, "form", None)
        if form not in FORMS:
            raise PluginError(unknown(f"{cls.__name__} has a form that no data has:", str(form), FORMS))
        own, common = signature(cls), signature(FORMS[form])
        if twice := own.keys() & common.keys():
            raise PluginError(f"{cls.__name__} has parameters that its form {form} has: {', '.join(sorted(twice))}.")
        return {**common, **own}

    def named(self, node: Node, key: str, known: Callable[[], Iterable[str]]) -> tuple[Node, dict[str, Node]] | None:
        """The name of a part and its parameters, from `lstm` or `{name: lstm, ...}`."""
        node = _part(node) if isinstance(node.value, str) else node
        if not isinstance(node.value, dict) or "name" not in node.value:
            what = "needs a name" if isinstance(node.value, dict) else "must be a name, or a mapping with a name"
            got = "" if isinstance(node.value, dict) else f", got {_quoted(node.plain)}"
            self.wrong(node, key, f"{what}{got}.\n  Known: {', '.join(sorted(set(known())))}.{_trap(node)}")
            return None
        name = node.value["name"]
        if not isinstance(name.value, str) or not name.value.isprintable():
            self.wrong(name, f"{key}.name", f"must be a registered name, got {_quoted(name.plain)}.{_trap(name)}")
            return None
        return name, {item: value for item, value in node.value.items() if item != "name"}

    @staticmethod
    def not_a_path(name: str) -> str:
        path = re.search(r"[./\\]", name)
        return "\n  Import paths and files are not accepted: a recipe names registered parts." if path else ""

    def parameters(
        self, allowed: Mapping[str, Parameter], given: Mapping[str, Node], key: str, at: Node,
        also: tuple[str, ...] = (), inherited: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Every allowed parameter, as given or by default; parts last, so that they may inherit."""
        self.unknown_keys(given, f"{key}.", (*also, *allowed))
        found: dict[str, Any] = dict.fromkeys(allowed)
        inherited = inherited or {}
        kinds = {name: part_kind(parameter.annotated) for name, parameter in allowed.items()}
        for name in sorted(allowed, key=lambda name: kinds[name] == "architectures"):
            node, parameter, kind = given.get(name), allowed[name], kinds[name]
            if node is None and parameter.required:
                what = f"must be {_described(parameter.annotated)}" if kind is None else f"names one of the {kind}"
                self.wrong(at, f"{key}.{name}", f"missing; it {what}.")
            elif node is None and name in inherited:
                found[name] = copy.deepcopy(inherited[name])
            elif kind is None:
                found[name] = self.scalar(node, f"{key}.{name}", parameter)
            else:
                down = {item: found[item] for item in INHERITED if item in found} if kind == "architectures" else None
                found[name] = self.part(node, f"{key}.{name}", parameter, at, kind, down)
        return found

    def part(
        self, node: Node | None, key: str, parameter: Parameter, at: Node, kind: str, down: Mapping[str, Any] | None
    ) -> Any:
        """A parameter that is a part, or a list of parts where its type has one."""
        if node is None:
            node = _node(parameter.default, at.where)
        if node.value is None and parameter.default is None:
            return None
        if isinstance(node.value, list) and _takes_list(parameter.annotated):
            return [self.component(item, f"{key}[{place}]", kind, down) for place, item in enumerate(node.value)]
        return self.component(node, key, kind, down)

    def scalar(self, node: Node | None, key: str, parameter: Parameter) -> Any:
        """A parameter of plain data, of its type and in its range."""
        if node is None:
            return parameter.default
        name = key.rpartition(".")[2]
        value = node.plain
        try:
            value = _cast(parameter, value)
        except ValueError:
            is_scalar = not isinstance(value, (dict, list))
            if node.where.file == COMMAND_LINE and is_scalar and _accepts(parameter.hint, node.text):
                return node.text  # a shell has no types: --tracking.run_name 12
            self.wrong(node, key, self.mistyped(node, name, parameter))
            return parameter.default
        broken = _limit(parameter.annotated, value)
        if broken:
            self.wrong(node, key, f"must be {_described(parameter.annotated)}, got {_quoted(value)}.")
        elif not _has_limit(parameter.annotated):
            for item in value if isinstance(value, list) else [value]:
                problem = limits.problem(name, item) if isinstance(item, (int, float)) else None
                if problem:
                    self.wrong(node, key, f"{problem}.")
                    break
        return value

    def mistyped(self, node: Node, name: str, parameter: Parameter) -> str:
        """The message for a value of another type than its parameter's."""
        value = node.plain
        own = _has_limit(parameter.annotated) or parameter.hint not in (int, float)
        wrong = None if own else limits.problem(name, value)
        wrong = wrong or f"must be {_described(parameter.annotated)}, got {_quoted(value)}"
        if trap := _trap(node):
            return f"{wrong}.{trap}"
        words = self.words(parameter.hint)
        match = nearest(node.text, words) or next((w for w in words if node.text and w.startswith(node.text)), None)
        if match:
            return f"{wrong}.\n  Did you mean '{match}'?"
        if isinstance(value, (int, float)) and _accepts(parameter.hint, node.text):
            return f'{wrong}.\n  A number or date that is meant as text stands in quotes: "{node.text}".'
        return f"{wrong}."

    def words(self, hint: Any) -> list[str]:
        """The words that a type allows."""
        if get_origin(hint) is Literal:
            return [str(item) for item in get_args(hint)]
        return [word for arm in get_args(hint) for word in self.words(arm)] if _is_union(hint) else []

    def mapping(self, node: Node | None, key: str) -> dict[str, Node]:
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self.wrong(node, key, f"must be a mapping, got {_quoted(node.plain)}.{_trap(node)}")
            return {}
        return dict(node.value)

    # Checks across sections

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

    def check_name(self, node: Node | None, name: str) -> None:
        """A recipe's name becomes a folder's."""
        if not name or not name.isprintable() or name.startswith(".") or re.search(r"[/\\]", name) or len(name) > 100:
            at = node or Node(None, Where(self.raw.file))
            problem = "must be 1 to 100 printable characters without / and \\, and not begin with a dot"
            self.wrong(at, "name", f"{problem}, got {_quoted(name)}.")

    def check_form(self, sections: dict[str, Node]) -> None:
        """The task must take the form of examples that the data set has."""
        source, task = self.classes.get("data"), self.classes.get("task")
        if source is None or task is None:
            return
        if lacking := [name for name in ("form", "needs") if not hasattr(task, name)]:
            self.wrong(sections["task"], "task", f"{task.__name__} does not say its {' and '.join(lacking)}.")
            del self.classes["task"]
            return
        if source.form == task.form:
            return
        names = {key: _name(sections[key]) for key in ("data", "task")}
        fits = {
            kind: ", ".join(name for name, cls in _loadable(kind) if getattr(cls, "form", None) == form) or "none"
            for kind, form in (("tasks", source.form), ("datasets", task.form))
        }
        self.wrong(
            sections["task"],
            "task",
            f"'{names['task']}' takes {task.form}, and data set '{names['data']}' has {source.form}.\n"
            f"  Tasks for '{names['data']}': {fits['tasks']}.\n"
            f"  Data sets for '{names['task']}': {fits['datasets']}.",
        )

    def check_answer(self, sections: dict[str, Node], architecture: dict[str, Any] | None) -> None:
        """The architecture must be able to give the shape of answer that the task needs."""
        cls, task = self.classes.get("model.architecture"), self.classes.get("task")
        if cls is None or task is None or any(m.key.startswith("model") for m in self.mistakes):
            return
        parameters = {key: value for key, value in (architecture or {}).items() if key != "name"}
        model = self.mapping(sections.get("model"), "model")
        at = model.get("architecture") or sections.get("model") or self.raw.root
        try:
            able = task.needs in cls.answers(**parameters)
        except Exception as cause:
            self.wrong(at, "model.architecture", f"{cls.__name__}.answers fails: {type(cause).__name__}: {cause}")
            return
        if able:
            return
        reason = getattr(task, "needs_reason", "")
        others = ", ".join(_able(task.needs)) or "none"
        self.wrong(
            at,
            "model.architecture",
            f"'{(architecture or {}).get('name')}' cannot answer {task.needs}, which task "
            f"'{_name(sections['task'])}' needs.\n"
            + (f"  Why: {reason}.\n" if reason else "")
            + f"  Architectures that can: {others}.",
        )

    # Messages

    def unknown_keys(self, given: Mapping[str, Node], above: str, known: tuple[str, ...]) -> None:
        for name, node in given.items():
            if name not in known and name != "class_path":
                self.mistakes.append(_Mistake(node.where, f"{above}{name}", "unknown key", known))

    def wrong(self, node: Node, key: str, problem: str) -> None:
        self.mistakes.append(_Mistake(node.where, key, problem))

    def messages(self, found: dict[str, Any]) -> Iterator[str]:
        """All mistakes in reading order; the command line's last."""
        places = {file: number for number, file in enumerate(dict.fromkeys(m.where.file for m in self.mistakes))}
        places[COMMAND_LINE] = len(places)
        for where, key, problem, known in sorted(self.mistakes, key=lambda m: (places[m.where.file], m.where.line)):
            if known is not None:
                name = key.rpartition(".")[2]
                match = next(_paths(found, name), None) or nearest(name, known)
                hint = f"\n  Did you mean '{match}'?" if match else ""
                problem += f".{hint}\n  Known: {', '.join(sorted(known)) or 'none'}."
            yield f"{where}: {key}: {problem}"


def _paths(found: Any, name: str, above: str = "") -> Iterator[str]:
    """The keys of a resolved recipe that end in `name`."""
    for key, value in found.items():
        if key == name:
            yield f"{above}{key}"
        if isinstance(value, dict):
            yield from _paths(value, name, f"{above}{key}.")


def _name(node: Node) -> Any:
    return node.value["name"].value if isinstance(node.value, dict) else node.value


def _able(need: str) -> Iterator[str]:
    """The architectures that give a shape of answer by default."""
    for name, cls in _loadable("architectures"):
        with contextlib.suppress(Exception):  # a plugin's own code
            if need in cls.answers():
                yield name


def _loadable(kind: str) -> Iterator[tuple[str, Any]]:
    """The registered parts of a kind that can be imported."""
    for entry in registry.entries(kind):
        try:
            yield entry.name, registry.load(kind, f"{entry.distribution}:{entry.name}")
        except ZooError:
            continue
