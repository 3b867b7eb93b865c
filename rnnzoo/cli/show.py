"""What the command line prints of parts and recipes. Listing imports no part."""

from __future__ import annotations

import json
from typing import Any

from rnnzoo import __version__, registry
from rnnzoo.errors import UnknownName, nearest, unknown
from rnnzoo.system import console, files

LISTS = (*registry.KINDS, "recipes", "models")  # models: those that are trained and shipped
HEADER: tuple[str, ...] = ("KIND", "NAME", "DISTRIBUTION", "VERSION")
COMBINATION: tuple[str, ...] = ("TASK", "NEEDS", "ARCHITECTURES")


def kind_of(word: str) -> str:
    """The list that a word names, in the singular or the plural. Raises: UnknownName."""
    kinds = {kind.removesuffix("s"): kind for kind in LISTS} | {kind: kind for kind in LISTS}
    if word in kinds:
        return kinds[word]
    match = nearest(word, kinds)
    hint = f"\n  Did you mean '{match}'?" if match else ""
    raise UnknownName(f"no kind of part is named '{word}'.{hint}\n  Kinds: {', '.join(LISTS)}.")


def listed(kind: str) -> list[dict[str, str]]:
    """The names of one kind, each with its kind, the distribution that brings it, its version and its place."""
    if kind in ("recipes", "models"):
        from rnnzoo import recipe
        from rnnzoo.runs import shipped as pretrained

        places = recipe.shipped() if kind == "recipes" else pretrained.shipped()
        house = {"kind": kind.removesuffix("s"), "distribution": registry.HOUSE, "version": __version__}
        return [{**house, "name": name, "value": str(console.short(path))} for name, path in places.items()]
    return [entry._asdict() | {"kind": registry.SINGULAR[kind]} for entry in registry.entries(kind)]


def combinations() -> list[dict[str, str]]:
    """Each task, the shape of answer it needs, and the architectures that give it by default. Imports all of them."""
    from rnnzoo.experiment.resolver import able_to, loadable

    return [
        {"task": name, "needs": task.needs, "architectures": ", ".join(able_to(task.needs))}
        for name, task in loadable("tasks")
    ]


def show_recipe(name: str) -> None:
    """Print a recipe's file. Raises: RecipeError."""
    from rnnzoo import recipe

    console.print(recipe.text(name), end="")


def show_model(name: str) -> None:
    """Print a shipped model's card. Raises: UnknownName."""
    from rnnzoo.runs import shipped as pretrained

    place = pretrained.find(name)
    if place is None:
        raise UnknownName(unknown("no trained model is shipped as", name, pretrained.names()))
    console.print(files.read_text(place / "README.md"), end="")


def show_part(kind: str, name: str) -> None:
    """Print whose a part is, its docstring, its parameters and its source. Raises: UnknownName, PluginError."""
    import inspect

    entry = registry.find(kind, name)
    cls = registry.load(kind, name)
    whose = f"{entry.value}, {entry.distribution} {entry.version}".rstrip()
    console.print(
        f"{registry.SINGULAR[kind]} {entry.name}: {whose}\n\n{inspect.getdoc(cls) or '(no docstring)'}\n\nParameters:"
    )
    console.table(_parameters(kind, cls))
    console.print("\nSource:")
    try:
        console.print(inspect.getsource(cls), end="")
    except (OSError, TypeError):
        console.print("  not available")


def _parameters(kind: str, cls: Any) -> list[tuple[str, ...]]:
    """Name, type and default of what a recipe may set of a part; for a data set, that of its form too."""
    from rnnzoo.recipe.schema import described, part_kind, signature

    classes = [cls]
    if kind == "datasets":
        from rnnzoo.data.forms import FORMS

        classes += [FORMS[cls.form]] if getattr(cls, "form", None) in FORMS else []
    rows: list[tuple[str, ...]] = []
    for owner in classes:
        try:
            found = signature(owner, registry.KINDS[kind].reserved)
        except ValueError as error:
            return [(f"cannot be read: {error}",)]
        for name, parameter in found.items():
            inner = part_kind(parameter.annotated)
            what = f"one of the {inner}" if inner else described(parameter.annotated)
            rows.append((name, what, "required" if parameter.required else f"= {json.dumps(parameter.default)}"))
    return rows or [("none",)]
