"""The rows of the table: each recipe's mean over its seeds, beside what was published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Literal, TypedDict, cast

from rnnzoo import recipe as recipes
from rnnzoo.errors import ZooError
from rnnzoo.results.manifests import Manifest, digest, file_name, metric, scored
from rnnzoo.results.published import MADE_HERE, Figure, Shown, cited, published
from rnnzoo.runs.summary import at

ALIKE = ("data.id", "data.revision", "data.sizes", "parameters", "precision")  # in all runs that a row is the mean of


class Row(TypedDict):
    """What a table says of one score of one recipe, over all its runs."""

    recipe: str
    metric: str  # "accuracy"; "val/accuracy" where there is no test split
    unit: str
    direction: Literal["max", "min"]
    mean: float
    std: float | None  # n - 1; None for one run
    seeds: int
    dev: float  # the mean on the dev split
    parameters: int
    epochs: float
    train_seconds: float
    cpu_seconds: float | None
    peak_memory_bytes: float | None
    hardware: str
    commit: str
    digest: str
    command: str
    published: float | None
    source: str
    figures: list[Figure]


def rows(manifests: Iterable[Manifest]) -> tuple[list[Row], list[str]]:
    """One row for each recipe, in alphabetical order, and why recipes have none. The order of runs does not matter.

    Raises: ZooError for two runs of one recipe and seed, or for runs of one recipe on data that are not alike.
    """
    groups: dict[str, list[Manifest]] = {}
    for facts in manifests:
        groups.setdefault(facts["recipe"], []).append(facts)
    shipped, figures = recipes.shipped(), published()
    table: list[Row] = []
    stale = []
    for name, group in sorted(groups.items()):
        if name not in shipped:
            stale.append(f"{name}: no such recipe comes with rnnzoo any more.")
        elif {facts["digest"] for facts in group} != {digest(name)}:
            stale.append(f"{name}: recipe changed since. Run it again, then `rnnzoo results RUN --keep`.")
        else:
            ordered = sorted(group, key=lambda facts: facts["seed"])
            table += [_row(name, ordered, shown) for shown in figures.get(name, [{}])]
    return table, stale


def _row(name: str, group: Sequence[Manifest], shown: Shown) -> Row:
    """A row of a recipe's runs. shown: which score it has, and what was published, as in published.yaml."""
    seeds = [facts["seed"] for facts in group]
    if len(set(seeds)) < len(seeds):
        raise ZooError(f"two runs of {name} have the same seed.\n  Give one run for each seed.")
    _check_alike(name, group)
    part = "test" if scored(group[0]).startswith("test/") else "val"
    parts, shown_metric = shown.get("parts", [part]), shown.get("metric", metric(group[0]))
    scores = [_score(facts, parts, shown_metric) for facts in group]
    figures = shown.get("figures", [])
    return {
        "recipe": name,
        "metric": "/".join([*(("+".join(parts),) if parts != ["test"] else ()), shown_metric]),
        "unit": shown.get("unit", ""),
        "direction": group[0]["best"]["mode"],
        "mean": fmean(scores),
        "std": stdev(scores) if len(scores) > 1 else None,
        "seeds": len(seeds),
        "dev": fmean(_score(facts, ["val"], shown_metric) for facts in group),
        "parameters": group[0]["parameters"],
        "epochs": round(fmean(facts["epochs"] for facts in group), 3),
        "train_seconds": round(fmean(facts["train_seconds"] for facts in group), 3),
        "cpu_seconds": _mean([facts["cpu_seconds"] for facts in group]),
        "peak_memory_bytes": _mean([facts["peak_memory_bytes"] for facts in group]),
        "hardware": _distinct(_machine(facts) for facts in group),
        "commit": _distinct(facts["commit"] or "" for facts in group),
        "digest": group[0]["digest"],
        "command": f"rnnzoo fit {name} --seed {seeds[0]}",
        "published": figures[0]["value"] if figures else None,
        "source": "; ".join(cited(figure) for figure in figures) or MADE_HERE,
        "figures": figures,
    }


def _check_alike(name: str, group: Sequence[Manifest]) -> None:
    """Raises: ZooError for runs of one recipe whose data, size or precision differ."""
    first = group[0]
    for key in ALIKE:
        for other in group[1:]:
            values = at(first, key), at(other, key)
            if values[0] != values[1]:
                raise ZooError(
                    f"runs of {name} are not alike: {key} is {values[0]!r:.80} of seed {first['seed']}, "
                    f"{values[1]!r:.80} of seed {other['seed']}.\n"
                    f"  Kept, they are {file_name(first)} and {file_name(other)}.\n"
                    "  Run the older one again, then `rnnzoo results RUN --keep`."
                )


def _score(facts: Manifest, parts: Sequence[str], name: str) -> float:
    """A run's metric over one part, or the mean over several, weighed by their sizes."""
    sizes = [facts["data"]["sizes"]["dev" if part == "val" else part] for part in parts] if len(parts) > 1 else [1]
    values = [facts["metrics"][f"{'best' if part == 'val' else part}/{name}"] for part in parts]
    return sum(size * cast(float, value) for size, value in zip(sizes, values, strict=True)) / sum(sizes)


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean to three digits; None where a value is not known."""
    known = [value for value in values if value is not None]
    return round(fmean(known), 3) if len(known) == len(values) else None


def _distinct(values: Iterable[str]) -> str:
    """The different values, sorted, as one text."""
    return "; ".join(sorted({*values} - {""}))


def _machine(facts: Manifest) -> str:
    """ "AMD EPYC, 2 threads"."""
    hardware = facts["hardware"]
    return hardware["gpu"] or f"{hardware['cpu']}, {facts['threads']} thread" + "s" * (facts["threads"] > 1)
