"""What a `lightning.Trainer` needs of a resolved recipe: the data, and the module to train."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import lightning.pytorch as pl

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.batch import DataSpec
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.folds import Folded
from rnnzoo.data.forms import FORMS, chosen
from rnnzoo.engine.recurrence import set_path
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.initial import Initial, read_initial, start_from
from rnnzoo.experiment.network import make_network
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe import Recipe
from rnnzoo.recipe.schema import signature
from rnnzoo.recipe.sections import FoldOptions, LoaderOptions, StreamingOptions
from rnnzoo.runs.summary import StartFacts, VectorFacts
from rnnzoo.training.exact import ExactModule
from rnnzoo.training.module import ZooModule
from rnnzoo.vectors.start import start_from_vectors


def from_recipe(recipe: str | Path, *overrides: str) -> tuple[ZooModule, ZooData]:
    """The module and the data of a recipe (a path or a shipped name), for one's own `lightning.Trainer`.

    overrides: as on the command line, "--model.dropout=0.3". The trainer should have use_distributed_sampler=False.
    Raises: RecipeError, DataError.
    """
    resolved = resolve(recipes.read(recipe, overrides))
    initial = read_initial(resolved)
    data = make_data(resolved, known=initial and initial.trained.spec)
    return start(resolved, data, initial).module, data


def make_data(recipe: Recipe, spec: DataSpec | None = None, known: DataSpec | None = None) -> ZooData:
    """The data of a resolved recipe; encoded as `spec` says, if it comes from an earlier run.

    known: of the trained model that training starts from, whose words stay in the vocabulary.
    Raises: RecipeError if its values do not fit each other.
    """
    source_class = registry.load("datasets", recipe["data"]["name"])
    form_class = FORMS[chosen(source_class, registry.load("tasks", recipe["task"]["name"]))]
    of_source, settings = signature(source_class).keys(), registry.settings(recipe["data"])
    loading = {
        key: settings.pop(key)
        for options in (LoaderOptions, StreamingOptions)
        for key in signature(options)
        if key in settings
    }
    folding = {key: settings.pop(key) for key in signature(FoldOptions) if key in settings}
    try:
        source = source_class(**{key: value for key, value in settings.items() if key in of_source})
        source.give(form_class.name)
        form = form_class(**{key: value for key, value in settings.items() if key not in of_source})
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{recipe['name']}: data: {error}.") from error
    if folding:
        source = Folded(source, **folding)
    return ZooData(source, form, recipe["seed"], spec, known, exact=is_exact(recipe), **loading)


def make_module(recipe: Recipe, spec: DataSpec) -> ZooModule:
    """The LightningModule of a resolved recipe, its weights drawn from torch's generator.

    Raises: RecipeError if the parts do not fit each other.
    """
    network = make_network(recipe, spec)
    freeze, decay = recipe.get("freeze"), recipe.get("layer_decay")
    make = ExactModule if is_exact(recipe) else ZooModule
    try:
        return make(*network, recipe["optimizer"], recipe["schedule"], freeze=freeze, layer_decay=decay)
    except ValueError as error:
        raise RecipeError(f"{recipe['name']}: {error}") from error


def is_exact(recipe: Recipe) -> bool:
    """Whether a recipe, perhaps of a run before there was such a key, is trained in shards."""
    return bool(recipe["trainer"].get("exact", False))


class Start(NamedTuple):
    """A module to train. vectors: how far the word vectors cover the data. initial: the trained model it starts from,
    and what was taken of it. None where the recipe names none."""

    module: ZooModule
    vectors: VectorFacts | None
    initial: StartFacts | None


def start(recipe: Recipe, data: ZooData, initial: Initial | None = None) -> Start:
    """The module to train, from the recipe's seed, its word vectors, if any, and a trained model, if any.

    Raises: RecipeError, DataError.
    """
    seed_everything(recipe["seed"])
    module = make_module(recipe, data.spec)
    set_path(module, recipe["engine"])
    vectors = start_from_vectors(module.model, data)
    return Start(module, vectors, initial and start_from(module.model, data.spec, recipe, initial))


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch."""
    pl.seed_everything(seed, verbose=False)
