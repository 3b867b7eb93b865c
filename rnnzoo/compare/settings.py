"""Which settings differ between groups of runs, and what the groups are called by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rnnzoo.compare.collect import LOOSE, ComparedRun
from rnnzoo.errors import RunError, unknown
from rnnzoo.recipe.writing import LOADING

IGNORED = ("format", "name", "seed", *LOOSE, *(f"data.{option}" for option in LOADING))
IGNORED_SECTIONS = ("tracking.", "checkpoint.")
BASE = ("python", "torch", "lightning", "rnnzoo")  # whose versions every run has; the others are plugins'
FOUND = "found."  # begins the key of what a run found, where a recipe does not say it
ENCODED = f"{FOUND}fingerprint"
ABSENT = "–"


def group_key(run: ComparedRun) -> tuple[str, ...]:
    """What all runs of a group have in common: recipe, plugins, data."""
    return (run.digest, *(f"{key}={value}" for key, value in sorted(found(run).items())))


def chosen(runs: Sequence[ComparedRun], where: Mapping[str, str]) -> list[ComparedRun]:
    """The runs that have each setting, by its dotted key or the end of it, with a value that is written so.

    Raises: RunError for a key that no run has, or a value that none has.
    """
    for key, value in where.items():
        known = dict.fromkeys(name for run in runs for name in (*run.settings, *found(run)))
        keys = [name for name in known if f".{name}".removesuffix(".name").endswith(f".{key.removesuffix('.name')}")]
        if runs and not keys:
            raise RunError(unknown("no run has the setting", key, known))
        values = {str({**run.settings, **found(run)}.get(name)) for run in runs for name in keys}
        runs = [run for run in runs if any(str({**run.settings, **found(run)}.get(name)) == value for name in keys)]
        if values and not runs:
            raise RunError(unknown(f"no run has {key}", value, values))
    return [*runs]


def found(run: ComparedRun) -> dict[str, object]:
    """Facts that are compared as settings are: plugins' versions, the data's revision and fingerprint."""
    data = run.facts.get("data", {})
    plugins = {name: version for name, version in run.facts.get("versions", {}).items() if name not in BASE}
    facts: dict[str, object] = {f"versions.{name}": version for name, version in plugins.items()}
    facts |= {f"{FOUND}revision": data.get("revision"), ENCODED: data.get("fingerprint")}
    facts[f"{FOUND}extended_at"] = run.facts.get("extended_at")  # it was trained by two schedules, as no recipe says
    return {key: str(value)[:12] for key, value in facts.items() if value is not None}


def differing(groups: Sequence[Sequence[ComparedRun]]) -> tuple[dict[str, str], list[dict[str, object]]]:
    """The keys whose values differ between groups, with their short names; and the values of each group.

    A key that a group lacks because it has another part there, as `forget_bias` of an LSTM beside a GRU, differs only
    if it differs among those that have it.
    """
    settings = [{**group[0].settings, **found(group[0])} for group in groups]
    keys = dict.fromkeys(key for one in settings for key in one)
    compared = [key for key in keys if key not in IGNORED and not key.startswith(IGNORED_SECTIONS)]
    chosen = [key for key in compared if _differs(key, settings)]
    if any(key.startswith("data.") for key in chosen):
        chosen = [key for key in chosen if key != ENCODED]  # which follows from the setting
    return short_keys(chosen), [{key: one[key] for key in chosen if key in one} for one in settings]


def _differs(key: str, settings: Sequence[Mapping[str, object]]) -> bool:
    having = [one for one in settings if key in one]
    if len({repr(one[key]) for one in having}) > 1:
        return True
    unexplained = any(not _explained(key, having[0], one) for one in settings if key not in one)
    return unexplained and having[0][key] is not None


def _explained(key: str, having: Mapping[str, object], lacking: Mapping[str, object]) -> bool:
    """Whether a group lacks a key because another part is in that place."""
    parts = key.split(".")
    owners = [".".join([*parts[:count], "name"]) for count in range(1, len(parts))]
    return any(having.get(owner) != lacking.get(owner) for owner in owners)


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Each key's last words, as many as tell it apart: "hidden_size"; "cell" for the name of a part."""
    words = {key: tuple(key.removesuffix(".name").split(".")) for key in keys}
    ends = Counter(own[-count:] for own in words.values() for count in range(1, len(own) + 1))
    short = {}
    for key, own in words.items():
        count = next((count for count in range(1, len(own)) if ends[own[-count:]] == 1), len(own))
        short[key] = ".".join(own[-count:])
    return short


def named(
    groups: Sequence[Sequence[ComparedRun]], keys: Mapping[str, str], values: Sequence[Mapping[str, object]]
) -> list[str]:
    """What each group is called: by what differs, or by its recipe where nothing does; each name is of one group."""
    names = []
    for group, own in zip(groups, values, strict=True):
        words = [word(key, short, own[key]) for key, short in keys.items() if key in own]
        names.append(", ".join(words) or group[0].recipe)
    counts = Counter(names)
    ids = [group[0].name for group in groups]
    return [name if counts[name] == 1 else f"{name} ({id})" for name, id in zip(names, ids, strict=True)]


def word(key: str, short: str, value: object) -> str:
    """A setting in a name: "gru" for a part, "hidden_size 64"."""
    return str(value) if key.endswith(".name") else f"{short} {value}"
