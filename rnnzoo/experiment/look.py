"""A first look at a recipe's data, before a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnnzoo.data.overview import overview
from rnnzoo.experiment.build import make_data
from rnnzoo.recipe import Recipe
from rnnzoo.system.files import JsonObject
from rnnzoo.system.quantities import amount, percent

MANY_UNKNOWN = 0.05  # share of tokens
UNBALANCED = 5  # times as many rows of one label as of another


def look(recipe: Recipe) -> JsonObject:
    """What a training on a resolved recipe's data would read, and what is odd about it. Raises: RecipeError, DataError.

    Rows are not cut here, whatever the recipe's `max_length` is.
    """
    whole = {"max_length": None} if "max_length" in recipe["data"] else {}
    data = make_data(recipe | {"data": recipe["data"] | whole})
    facts = overview(data, recipe["data"])
    return {"recipe": recipe["name"], **facts, "remarks": [*remarks(facts)]}


def remarks(facts: JsonObject) -> Iterator[str]:
    """Sentences about what a person may want to change before training."""
    rows = facts["rows"]
    for part, count in facts["empty"].items():
        if count:
            yield f"{part}: {count:,} of {rows[part]:,} rows are empty."
    for part, count in facts.get("repeated", {}).items():
        yield f"{part}: {amount(count, 'row')} repeat another of the same part."
    for place, count in facts.get("across", {}).items():
        part, _, other = place.partition(" in ")
        yield f"{part}: {amount(count, 'row')} stand in {other}, too; scores on {part} are too good by them."
    if facts.get("contradicting"):
        yield f"{amount(facts['contradicting'], 'repeated row')} have another answer than the first time."
    yield from _of_labels(facts["labels"])
    for part, share in facts["unknown_share"].items():
        if share > MANY_UNKNOWN:
            yield f"{part}: {percent(share)} of the tokens are unknown, not in the vocabulary of train."
    limit = facts["settings"].get("max_length")
    for part, count in facts["longer"].items():
        if count:
            yield f"{part}: {count:,} of {rows[part]:,} rows are longer than max_length {limit}, and would be cut."
    for part, numbers in facts["numbers"].items():
        if numbers["constant"]:
            yield f"{part}: never changing: {', '.join(numbers['constant'][:10])}."
        if missing := sum(feature["missing"] for feature in numbers["features"].values()):
            yield f"{part}: {missing:,} numbers are missing."


def _of_labels(labels: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    counts = {label: count for label, count in labels.get("train", {}).items() if count}
    if not counts:
        return
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[most] >= UNBALANCED * counts[least]:
        ratio = counts[most] / counts[least]
        yield f"train: unbalanced labels, {ratio:.0f} times as many {most} as {least}; look at f1, not at accuracy."
    for part, own in labels.items():
        if lacking := [label for label in counts if not own.get(label)]:
            names = ", ".join(lacking[:10]) + (", ..." if len(lacking) > 10 else "")
            yield f"{part}: has no row of {amount(len(lacking), 'label')}: {names}."
