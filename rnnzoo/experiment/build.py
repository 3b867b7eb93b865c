"""What a `lightning.Trainer` needs of a resolved recipe: the data, and the module to train."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.batch import DataSpec
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import FORMS
from rnnzoo.engine.recurrence import set_path
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.network import make_network
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe import Recipe
from rnnzoo.recipe.schema import signature
from rnnzoo.runs.summary import VectorFacts
from rnnzoo.training.module import ZooModule
from rnnzoo.vectors.start import start_from_vectors


def from_recipe(recipe: str | Path, *overrides: str) -> tuple[ZooModule, ZooData]:
    """The module and the data of a recipe (a path or a shipped name), for one's own `lightning.Trainer`.

    overrides: as on the command line, "--model.dropout=0.3". The trainer should have use_distributed_sampler=False.
    Raises: RecipeError, DataError.
    """
    resolved = resolve(recipes.read(recipe, overrides))
    data = make_data(resolved)
    return start(resolved, data)[0], data


def make_data(recipe: Recipe, spec: DataSpec | None = None) -> ZooData:
    """The data of a resolved recipe; encoded as `spec` says, if it comes from an earlier run.

    Raises: RecipeError if its values do not fit each other.
    """
    source_class = registry.load("datasets", recipe["data"]["name"])
    form_class = FORMS[source_class.form]
    of_source, settings = signature(source_class).keys(), registry.settings(recipe["data"])
    try:
        source = source_class(**{key: value for key, value in settings.items() if key in of_source})
        form = form_class(**{key: value for key, value in settings.items() if key not in of_source})
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{recipe['name']}: data: {error}.") from error
    return ZooData(source, form, recipe["seed"], spec)


def make_module(recipe: Recipe, spec: DataSpec) -> ZooModule:
    """The LightningModule of a resolved recipe, its weights drawn from torch's generator.

    Raises: RecipeError if the parts do not fit each other.
    """
    return ZooModule(*make_network(recipe, spec), recipe["optimizer"], recipe["schedule"])


def start(recipe: Recipe, data: ZooData) -> tuple[ZooModule, VectorFacts | None]:
    """The module to train, from the recipe's seed and its word vectors, if any; and how far these cover the data.

    Raises: RecipeError, DataError.
    """
    seed_everything(recipe["seed"])
    module = make_module(recipe, data.spec)
    set_path(module, recipe["engine"])
    return module, start_from_vectors(module.model, data)


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch."""
    pl.seed_everything(seed, verbose=False)
