"""Which settings differ between groups of runs, and what the groups are called by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnnzoo.compare.collect import LOOSE, ComparedRun

IGNORED = ("format", "name", "seed", "tracking.", "checkpoint.", "bad_numbers.", *LOOSE)
BASE = ("python", "torch", "lightning", "rnnzoo")  # whose versions every run has; the others are plugins'
ABSENT = "–"


def group_key(run: ComparedRun) -> tuple[str, ...]:
    """What all runs of a group have in common: recipe, plugins, data, precision."""
    return (run.digest, *(f"{key}={value}" for key, value in sorted(beside(run).items())))


def beside(run: ComparedRun) -> dict[str, object]:
    """Facts that are compared as settings are, though no recipe has them."""
    data = run.facts.get("data", {})
    plugins = {name: version for name, version in run.facts.get("versions", {}).items() if name not in BASE}
    facts: dict[str, object] = {f"versions.{name}": version for name, version in plugins.items()}
    facts |= {"data.revision found": data.get("revision"), "data.fingerprint found": data.get("fingerprint")}
    return {key: value for key, value in facts.items() if value is not None}


def differing(groups: Sequence[Sequence[ComparedRun]]) -> tuple[dict[str, str], list[dict[str, object]]]:
    """The keys whose values differ between groups, with their short names; and the values of each group.

    A key that a group lacks because it has another part there, as `forget_bias` of an LSTM beside a GRU, differs only
    if it differs among those that have it.
    """
    settings = [{**group[0].settings, **beside(group[0])} for group in groups]
    keys = list(dict.fromkeys(key for one in settings for key in one if not key.startswith(IGNORED)))
    chosen = [key for key in keys if _differs(key, settings)]
    if any(key.startswith("data.") and not key.endswith(" found") for key in chosen):
        chosen = [key for key in chosen if key != "data.fingerprint found"]
    return short_keys(chosen), [{key: one[key] for key in chosen if key in one} for one in settings]


def _differs(key: str, settings: Sequence[Mapping[str, object]]) -> bool:
    values = {repr(one[key]) for one in settings if key in one}
    if len(values) > 1:
        return True
    lacking = [one for one in settings if key not in one]
    if not lacking:
        return False
    having = next(one for one in settings if key in one)
    return not any(_explained(key, having, other) for other in lacking) and having[key] is not None


def _explained(key: str, having: Mapping[str, object], lacking: Mapping[str, object]) -> bool:
    """Whether a group lacks a key because another part is in that place."""
    parts = key.split(".")
    owners = [".".join([*parts[:count], "name"]) for count in range(1, len(parts))]
    return any(having.get(owner) != lacking.get(owner) for owner in owners)


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Each key's last words, as many as tell it apart: "hidden_size"; "cell" for the name of a part."""
    words = {key: (key.removesuffix(".name").removesuffix(" found")).split(".") for key in keys}
    return {
        key: next(
            short
            for count in range(1, len(own) + 1)
            if sum(other[-count:] == own[-count:] for other in words.values()) == 1 or count == len(own)
            for short in [".".join(own[-count:])]
        )
        for key, own in words.items()
    }


def named(
    groups: Sequence[Sequence[ComparedRun]], keys: Mapping[str, str], values: Sequence[Mapping[str, object]]
) -> list[str]:
    """What each group is called: by what differs, or by its recipe where nothing does."""
    names = []
    for group, own in zip(groups, values, strict=True):
        words = [_word(key, short, own.get(key, ABSENT)) for key, short in keys.items() if key in own]
        names.append(", ".join(words) or group[0].recipe)
    return names


def _word(key: str, short: str, value: object) -> str:
    return str(value) if key.endswith(".name") else f"{short} {value}"
