"""Every name that can be listed or shown: of parts, recipes and shipped models. Imports no part."""

from __future__ import annotations

from collections.abc import Collection

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


def listed(kinds: Collection[str] = LISTS) -> list[dict[str, str]]:
    """The names of these kinds, each with its kind, the distribution that brings it, its version and its path."""
    rows: dict[str, list[dict[str, str]]] = {}
    if registry.KINDS.keys() & {*kinds}:
        for entry in registry.entries():  # of all kinds at once: it takes as long as for one
            rows.setdefault(entry.kind, []).append(entry._asdict() | {"kind": registry.SINGULAR[entry.kind]})
    for kind, paths in SHIPPED.items():
        if kind in kinds:
            facts = {"kind": kind.removesuffix("s"), "distribution": registry.OWN_DISTRIBUTION, "version": __version__}
            rows[kind] = [facts | {"name": name, "value": str(console.short(path))} for name, path in paths().items()]
    return [row for kind in kinds for row in rows.get(kind, ())]
