"""The trained model that training starts from, as a recipe's `init_from` names it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import NamedTuple

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.batch import SPECIALS, DataSpec
from rnnzoo.data.encoding.known_words import TOKENS
from rnnzoo.errors import RecipeError, RunError
from rnnzoo.experiment.matching import Trained, take
from rnnzoo.experiment.restore import origin
from rnnzoo.model import SequenceModel
from rnnzoo.recipe import Recipe
from rnnzoo.runs import checkpoint, hub_models
from rnnzoo.runs.summary import StartFacts, well_formed
from rnnzoo.system import files
from rnnzoo.system.shipped import PACKAGE

log = logging.getLogger("rnnzoo")
FEW = 0.1  # a share of words in common that is worth a warning


class Initial(NamedTuple):
    """A trained model, and what a run's summary says of it."""

    trained: Trained
    facts: StartFacts


def read_initial(recipe: Recipe) -> Initial | None:
    """The trained model that a recipe starts from; None if it starts from nothing.

    Raises: RecipeError, RunError if there is no such model, or it cannot be read.
    """
    name = recipe.get("init_from")
    if name is None:
        return None
    if "://" in name and not hub_models.is_address(name):
        raise RecipeError(
            f"{recipe['name']}: init_from: '{name}' is an address, and of those only hf://owner/name is read.\n"
            "  Download its folder first (weights.safetensors and the JSON files), and give the folder's path."
        )
    try:
        folder = _folder(name)
        saved = checkpoint.load(folder)
        its_recipe, its_spec = origin(saved)
    except RunError as error:
        raise RunError(f"{recipe['name']}: init_from: {error}") from error
    facts = {
        "source": name,
        "path": str(folder.relative_to(PACKAGE.parent) if folder.is_relative_to(PACKAGE) else folder),
        "weights_sha256": files.sha256(folder / checkpoint.WEIGHTS),
        "recipe": its_recipe.get("name"),
        "recipe_digest": recipes.digest(its_recipe),
        "seed": its_recipe.get("seed"),
        "versions": saved.meta.get("versions", {}),
    }
    if hub_models.is_address(name):
        facts["commit"] = folder.name
    return Initial(Trained(saved.weights, its_spec, its_recipe), well_formed({"init_from": facts})["init_from"])


def _folder(name: str) -> Path:
    path = Path(name)
    return checkpoint.locate(path if os.path.exists(path / checkpoint.MANIFEST) else runs.find(name))


def start_from(model: SequenceModel, spec: DataSpec, recipe: Recipe, initial: Initial) -> StartFacts:
    """Give the model the weights of the trained one, as far as they fit; returns what was taken of whom.

    Raises: RecipeError if nothing fits; RunError if the trained model's recipe is none.
    """
    try:
        parts = take(model, spec, recipe, initial.trained)
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # its JSON may hold anything
        raise RunError(
            f"init_from: the checkpoint {initial.facts['path']} does not say how its model is built: "
            f"{type(error).__name__}: {error}."
        ) from error
    source = recipe["init_from"]
    if all(part["outcome"] == "left" for part in parts):
        why = [f"  {part['part']}: {part['why']}." for part in parts[:4]]
        first = f"{recipe['name']}: init_from: nothing of '{source}' fits this model."
        raise RecipeError("\n".join([first, *why]))
    _warn_of_few_words(spec, initial)
    return {**initial.facts, "parts": parts}


def _warn_of_few_words(spec: DataSpec, initial: Initial) -> None:
    """Say so where the trained model reads other tokens than the data have."""
    own, theirs = spec.inputs.get(TOKENS), initial.trained.spec.inputs.get(TOKENS)
    if own is None or theirs is None:
        return
    tokens = set(own.names).difference(SPECIALS)
    share = len(tokens.intersection(theirs.names)) / max(1, len(tokens))
    units = [field.options.get("unit", "word") for field in (own, theirs)]
    cut = f" They are cut by '{units[0]}' here, and by '{units[1]}' there (data.unit)." if units[0] != units[1] else ""
    if cut or share < FEW:
        source, count = initial.facts["source"], len(tokens)
        log.warning("init_from: '%s' knows %.1f %% of the %d tokens of these data.%s", source, 100 * share, count, cut)
