"""Every name that can be listed or shown: of parts, recipes and shipped models. Imports no part."""

from __future__ import annotations

from rnnzoo import __version__, registry
from rnnzoo.errors import UnknownName, nearest
from rnnzoo.system import console, shipped

SHIPPED = {"recipes": shipped.recipes, "models": shipped.models}
LISTS = (*registry.KINDS, *SHIPPED)


def kind_of(word: str) -> str:
    """The list that a word names, in the singular or the plural. Raises: UnknownName."""
    kinds = {kind.removesuffix("s"): kind for kind in LISTS} | {kind: kind for kind in LISTS}
    if word in kinds:
        return kinds[word]
    match = nearest(word, kinds)
    hint = f"\n  Did you mean '{match}'?" if match else ""
    raise UnknownName(f"no kind of part is named '{word}'.{hint}\n  Kinds: {', '.join(LISTS)}.")


def listed(kind: str) -> list[dict[str, str]]:
    """The names of one kind, each with its kind, the distribution that brings it, its version and its path."""
    if kind in SHIPPED:
        facts = {"kind": kind.removesuffix("s"), "distribution": registry.HOUSE, "version": __version__}
        return [facts | {"name": name, "value": str(console.short(path))} for name, path in SHIPPED[kind]().items()]
    return [entry._asdict() | {"kind": registry.SINGULAR[kind]} for entry in registry.entries(kind)]
