"""Recipes that earlier versions of rnnzoo wrote, brought to today's format.

A resolved recipe says its format: in a run's config.yaml, a checkpoint's meta.json, a kept manifest. `migrate` takes it
step by step to today's. A recipe that a person writes has no format: an old key in it is refused with its new place.

    1    section `model` has flat keys: embedding_size, word_dropout, ...
    2    section `model` has its parts' own settings: inputs by field, head
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rnnzoo import __version__
from rnnzoo.errors import RecipeError
from rnnzoo.recipe import Recipe

FORMAT = 2
MOVED: dict[
    str, tuple[str, ...]
] = {  # keys of the section `model` in format 1, and the paths below `model` of their values now
    "embedding_size": ("inputs.tokens.size",),
    "embedding_dropout": (
        "inputs.tokens.dropout",
        "inputs.characters.dropout",
        "inputs.case.dropout",
        "inputs.target.dropout",
    ),
    "word_dropout": ("inputs.tokens.word_dropout", "inputs.target.word_dropout"),
    "type_dropout": ("inputs.tokens.type_dropout", "inputs.target.type_dropout"),
    "rare_word_dropout": ("inputs.tokens.rare_word_dropout", "inputs.target.rare_word_dropout"),
    "vectors": ("inputs.tokens.vectors",),
    "freeze_vectors": ("inputs.tokens.freeze_vectors",),
    "character_size": ("inputs.characters.size",),
    "character_filters": ("inputs.characters.filters",),
    "character_encoder": ("inputs.characters.encoder",),
    "case_size": ("inputs.case.size",),
    "shift": ("inputs.values.shift",),
    "share_embeddings": ("inputs.target.share",),
    "dropout": ("head.dropout",),
    "locked_dropout": ("head.locked_dropout",),
    "tie_weights": ("head.tie_weights",),
}


def migrate(recipe: Mapping[str, Any], written_by: str | None = None) -> Recipe:
    """A resolved recipe in today's format; as it is if it has that already. The argument is not changed.

    written_by: the version of rnnzoo that wrote it, where it is known, for the message.
    Raises: RecipeError for a format of a newer rnnzoo.
    """
    version = recipe.get("format", 1)
    check_format(version, written_by)
    migrated = dict(recipe)
    for number in range(version, FORMAT):
        migrated = STEPS[number](migrated)
    return migrated


def is_complete(recipe: Mapping[str, Any]) -> bool:
    """Whether it is a resolved recipe of format 1, as a run kept it: with every key, and not a person's own few."""
    model = recipe.get("model")
    return "format" not in recipe and isinstance(model, Mapping) and MOVED.keys() <= model.keys()


def check_format(version: object, written_by: str | None = None) -> None:
    """Raises: RecipeError unless it is the number of a format that this rnnzoo reads."""
    if type(version) is not int or version < 1:
        raise RecipeError(f"format: must be a whole number from 1 to {FORMAT}, got {version!r:.40}.")
    if version > FORMAT:
        known = written_by is not None and re.fullmatch(r"[0-9][0-9A-Za-z.]{0,30}", written_by)
        wanted = f"rnnzoo=={written_by}" if known else "--upgrade rnnzoo"
        raise RecipeError(
            f"format: a newer rnnzoo wrote this recipe, whose format is {version}.\n"
            f"  This is rnnzoo {__version__}, which reads formats up to {FORMAT}.\n"
            f"  Install the newer one: pip install {wanted}"
        )


def moved(key: str, fields: Iterable[str] = ()) -> str | None:
    """Where the value of a key of format 1's section `model` is now, in words; None if it is not such a key.

    fields: those that the data have; the others are left out, if any is left then.
    """
    paths = MOVED.get(key, ())
    of_data = [path for path in paths if path.split(".")[1] in fields or not path.startswith("inputs.")]
    *most, last = [f"model.{path}" for path in of_data or paths] or [""]
    return f"{', '.join(most)} and {last}" if most else last or None


def _nest_model(recipe: Recipe) -> Recipe:
    """From format 1 to 2: the flat keys of the section `model` become their parts' own."""
    flat = recipe.get("model")
    if not (isinstance(flat, dict) and isinstance(recipe.get("data"), dict)):
        return recipe  # no resolved recipe: whoever needs one says what is missing
    inputs: dict[str, Any] = {field: {"name": field} for field in _fields(recipe)}
    nested: dict[str, Any] = {"inputs": inputs, "head": {}}
    rest = {}
    for key, value in flat.items():
        for path in MOVED.get(key, ()):
            section, *field, setting = path.split(".")
            settings = nested[section].get(*field) if field else nested[section]
            if settings is not None:  # the data have the field
                settings[setting] = value
        if key not in MOVED:
            rest[key] = value
    model = {"inputs": inputs, **rest, "head": nested["head"]}
    return {"format": 2, **{key: value for key, value in recipe.items() if key != "format"}, "model": model}


def _fields(recipe: Recipe) -> list[str]:
    """The fields that the model of a recipe of format 1 reads.

    In that format every form of data that has tokens has the setting min_freq, and no other has; only an architecture
    with a bridge has a decoder.
    """
    data, architecture = recipe["data"], recipe["model"].get("architecture")
    fields = ["tokens" if "min_freq" in data else "values"]
    fields += [name for name in ("characters", "case") if data.get(name) is True]
    return [*fields, *(["target"] if isinstance(architecture, dict) and "bridge" in architecture else [])]


STEPS: dict[int, Callable[[Recipe], Recipe]] = {1: _nest_model}
