"""A recipe's file and its bases, found and read."""

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnzoo.errors import RecipeError, nearest, unknown
from rnnzoo.recipe.merging import merged, override_tree
from rnnzoo.recipe.nodes import Node, Raw, Where, as_node
from rnnzoo.recipe.yaml_text import load_yaml
from rnnzoo.system import files
from rnnzoo.system.shipped import recipes as shipped

MAX_BYTES = 256 * 1024
MAX_FILES = 50


def read(recipe: str | Path, overrides: Sequence[str] = ()) -> Raw:
    """Read a recipe, given by its path or its shipped name, with overrides such as `--model.head.dropout`, `0.3`.

    Maps merge and lists replace; where a part's name changes, the parameters that belonged to the old part are dropped.
    Raises: RecipeError with all mistakes of form: in the YAML, in `base:`, in the overrides.
    """
    path = locate(recipe, Path())
    mistakes: list[str] = []
    root = _with_bases(path, (), mistakes, [])
    changes = override_tree(overrides, mistakes)
    if mistakes or root is None:
        raise RecipeError(*mistakes)
    return Raw(path.stem, shown(path), merged(root, changes, top=True))


def changed(raw: Raw, overrides: Sequence[str]) -> Raw:
    """A recipe with overrides such as `--model.dropout`, `0.3`. Raises: RecipeError with all mistakes of form."""
    mistakes: list[str] = []
    changes = override_tree(overrides, mistakes)
    if mistakes:
        raise RecipeError(*mistakes)
    return replace(raw, root=merged(raw.root, changes, top=True))


def of(data: Mapping[str, Any], name: str = "recipe") -> Raw:
    """A recipe given as plain data: in Python, or from a run's files."""
    return Raw(name, name, as_node(data, Where(name)))


def shown(path: Path) -> str:
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
    """The content of a recipe's file. Raises: RecipeError."""
    path = locate(recipe)
    return _content(path, shown(path))


def _with_bases(path: Path, above: tuple[Path, ...], mistakes: list[str], seen: list[Path]) -> Node | None:
    """The recipe in `path` over its bases; `above` are the recipes that led to it. None if it cannot be read."""
    file = shown(path)
    seen.append(path)
    try:
        node = load_yaml(_content(path, file), file, mistakes)
    except RecipeError as error:
        mistakes += error.messages
        return None
    if not isinstance(node.value, dict):
        what = "is empty" if node.value is None else "is not a mapping of sections"
        mistakes.append(f"{file}: the recipe {what}.\n  It starts with lines such as `data: {{name: imdb}}`.")
        return None
    own = dict(node.value)
    base = own.pop("base", None)
    bases = Node({}, node.where)
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
            circle = " -> ".join(shown(p) for p in [*line, below])
            mistakes.append(f"{item.where}: base: the recipe is a base of itself: {circle}.")
        elif len(seen) >= MAX_FILES:
            mistakes.append(f"{item.where}: base: more than {MAX_FILES} files.")
            return None
        elif one := _with_bases(below, tuple(line), mistakes, seen):
            one.value.pop("name", None)  # each recipe is named after its own file
            bases = merged(bases, one, top=True)
    return merged(bases, Node(own, node.where), top=True)


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
