"""What only the data of a recipe can say, each data set prepared once."""

from __future__ import annotations

import json

from rnnzoo import registry
from rnnzoo.batch import DataSpec
from rnnzoo.experiment.build import make_data
from rnnzoo.experiment.initial import read_initial
from rnnzoo.recipe import Recipe


class Specs:
    """The vocabularies and labels of recipes' data, kept: many recipes of a sweep have the same."""

    def __init__(self) -> None:
        self._known: dict[str, DataSpec] = {}

    def of(self, recipe: Recipe) -> DataSpec:
        """Raises: DataError, RecipeError."""
        key = json.dumps([recipe["data"], recipe.get("init_from")], sort_keys=True)
        if key not in self._known:
            initial = read_initial(recipe)
            self._known[key] = make_data(recipe, known=initial and initial.trained.spec).spec
        return self._known[key]

    def monitor(self, recipe: Recipe) -> tuple[str, str]:
        """The dev metric that chooses a checkpoint, as it is logged, and "max" or "min", whichever is better."""
        task = registry.load("tasks", recipe["task"]["name"])(self.of(recipe), **registry.settings(recipe["task"]))
        name, mode = task.monitor
        return f"val/{name}", mode
