"""The model and the task of a resolved recipe. Importing this module imports no Lightning: predictions need none."""

from __future__ import annotations

from typing import NamedTuple

from rnnzoo import registry
from rnnzoo.batch import DataSpec
from rnnzoo.errors import RecipeError
from rnnzoo.model import SequenceModel, build_model
from rnnzoo.recipe import Recipe
from rnnzoo.tasks.base import Task


class Network(NamedTuple):
    """A model, and the task that it is for."""

    model: SequenceModel
    task: Task


def make_network(recipe: Recipe, spec: DataSpec) -> Network:
    """The network of a resolved recipe, its weights drawn from torch's generator.

    Raises: RecipeError if the parts do not fit each other.
    """
    try:
        task = registry.load("tasks", recipe["task"]["name"])(spec, **registry.settings(recipe["task"]))
        return Network(build_model(spec, task, **recipe["model"]), task)
    except (ValueError, TypeError, RuntimeError, MemoryError) as error:  # torch raises RuntimeError for lack of memory
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise RecipeError(f"{recipe['name']}: the model cannot be built: {first}") from error
