"""Sizes solved for so that models of different cells have about the same number of parameters."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from rnnzoo.errors import RecipeError, ZooError
from rnnzoo.experiment.network import make_network
from rnnzoo.recipe import Recipe
from rnnzoo.recipe.sections import MatchOptions
from rnnzoo.sweep.specs import Specs
from rnnzoo.system.quantities import amount, percent

LARGEST = 2**20
STEPS = (1, 2, 4, 8, 16, 32, 64)  # some cells take even sizes alone, or multiples of a number of heads


class Matcher:
    """Solves for one key of recipes."""

    def __init__(self, options: MatchOptions, specs: Specs) -> None:
        self.options, self.specs = options, specs
        self._sizes: dict[str, int] = {}

    def solved(self, recipe: Recipe, label: str, with_size: Callable[[int], Recipe]) -> int:
        """The value of the key. with_size: the recipe with another one. Raises: RecipeError, DataError."""
        model = json.dumps([recipe[section] for section in ("data", "task", "model")], sort_keys=True)
        if model not in self._sizes:
            self._sizes[model] = self._solve(recipe, label, with_size)
        return self._sizes[model]

    def _solve(self, recipe: Recipe, label: str, with_size: Callable[[int], Recipe]) -> int:
        key, target = self.options.key, int(self.options.parameters)
        holder = self._holder(recipe)
        last = key.rpartition(".")[2]
        if not isinstance(holder, dict) or not isinstance(holder.get(last), int):
            raise RecipeError(
                f"{recipe['name']}: sweep.match.key: {label or 'the recipe'} has no whole number at {key}.\n"
                "  Name the size that is to be solved for, such as model.architecture.hidden_size."
            )
        spec = self.specs.of(recipe)

        @functools.cache
        def parameters(size: int) -> int:
            with torch.device("meta"):
                model = make_network(with_size(size), spec).model
            return sum(parameter.numel() for parameter in model.parameters())

        size = self._nearest(parameters, target)
        off = abs(parameters(size) - target) / target
        if off > self.options.tolerance:
            raise RecipeError(
                f"{recipe['name']}: sweep.match: {label or 'the recipe'} comes no nearer to "
                f"{amount(target, 'parameter')} than {parameters(size):,}.\n"
                f"  That is with {last} {size}, and {percent(off)} off. With {last} 1 it has "
                f"{parameters(self._step(parameters)):,}: give more parameters, or a larger sweep.match.tolerance."
            )
        return size

    def _holder(self, recipe: Recipe) -> Any:
        value: Any = recipe
        for name in self.options.key.split(".")[:-1]:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    @staticmethod
    def _step(parameters: Callable[[int], int]) -> int:
        """The smallest size that can be built; multiples of it can. Raises: RecipeError if there is none."""
        for step in STEPS:
            try:
                parameters(step), parameters(3 * step)
                return step
            except ZooError:
                if step == STEPS[-1]:
                    raise
        raise AssertionError("the last step returns or raises")

    def _nearest(self, parameters: Callable[[int], int], target: int) -> int:
        """The size whose count is nearest, from a guess on: as a rule a count is quadratic in the size."""
        step = self._step(parameters)
        last = LARGEST // step
        low = min(max(1, int(_root([parameters(times * step) for times in (1, 2, 3)], target))), last)
        high, width = low + 1, 1
        while low > 1 and parameters(low * step) >= target:
            low, high, width = max(1, low - width), low, 2 * width
        while high < last and parameters(high * step) < target:
            low, high, width = high, min(high + width, last), 2 * width
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if parameters(middle * step) < target else (low, middle)
        return min(low * step, high * step, key=lambda size: abs(parameters(size) - target))


def _root(counts: Sequence[int], target: int) -> float:
    """Where a parabola that has these values at 1, 2 and 3 reaches another one."""
    one, two, three = counts
    a = (three - 2 * two + one) / 2
    b = two - one - 3 * a
    c = one - a - b - target
    if a > 0:
        return (-b + math.sqrt(max(0.0, b * b - 4 * a * c))) / (2 * a)
    return -c / b if b > 0 else 1.0
