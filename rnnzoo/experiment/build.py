"""What a `lightning.Trainer` needs of a resolved recipe: the data, and the module to train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.batch import DataSpec
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import FORMS
from rnnzoo.engine.recurrence import set_path
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.network import make_network, parameters
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe.schema import signature
from rnnzoo.training.module import ZooModule
from rnnzoo.vectors.start import start_from


def from_recipe(recipe: str | Path, *overrides: str) -> tuple[ZooModule, ZooData]:
    """The module and the data of a recipe (a path or a shipped name), for one's own `lightning.Trainer`.

    overrides: as on the command line, "--model.dropout=0.3". The trainer should have use_distributed_sampler=False.
    Raises: RecipeError, DataError.
    """
    resolved = resolve(recipes.read(recipe, overrides))
    data = make_data(resolved)
    return start(resolved, data)[0], data


def make_data(recipe: Mapping[str, Any], spec: DataSpec | None = None) -> ZooData:
    """The data of a resolved recipe; encoded as `spec` says, if it comes from an earlier run.

    Raises: RecipeError if its values do not fit each other.
    """
    source_class = registry.load("datasets", recipe["data"]["name"])
    form_class = FORMS[source_class.form]
    own = set(signature(source_class))
    given = parameters(recipe["data"])
    try:
        source = source_class(**{key: value for key, value in given.items() if key in own})
        form = form_class(**{key: value for key, value in given.items() if key not in own})
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{recipe['name']}: data: {error}.") from error
    return ZooData(source, form, recipe["seed"], spec)


def make_module(recipe: Mapping[str, Any], spec: DataSpec) -> ZooModule:
    """The LightningModule of a resolved recipe, its weights drawn from torch's generator.

    Raises: RecipeError if the parts do not fit each other.
    """
    return ZooModule(*make_network(recipe, spec), recipe["optimizer"], recipe["schedule"])


def start(recipe: Mapping[str, Any], data: ZooData) -> tuple[ZooModule, dict[str, Any]]:
    """The module to train, from the recipe's seed and its file of word vectors; and the vectors' coverage, if any.

    Raises: RecipeError, DataError.
    """
    seed_everything(recipe["seed"])
    module = make_module(recipe, data.spec)
    set_path(module, recipe["engine"])
    place = recipe["model"]["vectors"]
    return module, {"vectors": start_from(module.model, data, place)} if place else {}


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch."""
    pl.seed_everything(seed, verbose=False)
