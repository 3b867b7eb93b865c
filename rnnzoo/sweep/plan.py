"""A sweep's combinations as complete recipes, and its runs, checked before anything starts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from rnnzoo import recipe as recipes
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe import Recipe
from rnnzoo.recipe.merging import merged
from rnnzoo.runs import slug
from rnnzoo.sweep import space as spaces
from rnnzoo.sweep.match import Matcher
from rnnzoo.sweep.options import Sweep, once, tree
from rnnzoo.sweep.space import Settings
from rnnzoo.sweep.specs import Specs
from rnnzoo.system.quantities import amount
from rnnzoo.system.redaction import marked, redact

MESSAGES = 20  # of mistakes that are shown
PATIENCE = 200  # draws in a row that were drawn before: then there are no others


class Run(NamedTuple):
    """One run of a sweep. name: of its folder. settings: what is varied, by dotted key, beside the seed."""

    name: str
    settings: dict[str, Any]
    seed: int
    digest: str
    recipe: Recipe

    @property
    def label(self) -> str:
        """What differs, for a person: "cell gru, lr 0.003, seed 2"."""
        return described({**self.settings, "seed": self.seed})


class Configuration(NamedTuple):
    """One combination: what is varied, and the complete recipe; its seed is the base's."""

    settings: dict[str, Any]
    recipe: Recipe

    @property
    def label(self) -> str:
        return described(self.settings) or "the recipe as it is"

    @property
    def digest(self) -> str:
        """Of what it computes, whatever the seed."""
        return recipes.digest({**self.recipe, "seed": 0})

    def run(self, seed: int) -> Run:
        recipe = {**self.recipe, "seed": seed}
        digest = recipes.digest(recipe)
        words = [*map(shown, self.settings.values()), f"seed{seed}"]
        return Run(f"{slug('-'.join(words)[:60])}-{digest[:8]}", self.settings, seed, digest, recipe)


class Planner:
    """Makes configurations of settings, and checks them."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep, self.specs = sweep, Specs()
        self.matcher = None if sweep.match is None else Matcher(sweep.match, self.specs)

    def configuration(self, settings: Settings) -> Configuration:
        """The complete recipe of a combination. Raises: RecipeError with all of its mistakes; DataError."""
        with once:
            return self._configuration(settings)

    def _configuration(self, settings: Settings) -> Configuration:
        raw = self.sweep.base
        for key in sorted(settings, key=lambda key: key.count(".")):  # a part before its own settings
            raw = replace(raw, root=merged(raw.root, tree(key, settings[key]), top=True))
        plain = {key: node.plain for key, node in settings.items()}
        recipe = resolve(raw)
        if self.matcher is not None:
            key = self.matcher.options.key

            def with_size(size: int) -> Recipe:
                node = tree(key, recipes.as_node(size, raw.root.where))
                return resolve(replace(raw, root=merged(raw.root, node, top=True)))

            plain[key] = self.matcher.solved(recipe, described(plain), with_size)
            recipe = with_size(plain[key])
        self._check(recipe)
        return Configuration(plain, recipe)

    def configurations(self) -> list[Configuration]:
        """All combinations of a grid, or all draws, each once.

        Raises: RecipeError for too many, said before any is made, or with all mistakes of all of them; DataError.
        """
        self.check_count()
        found: dict[str, Configuration] = {}
        messages: dict[str, None] = {}
        for settings in self._settings(found):
            try:
                configuration = self.configuration(settings)
                found.setdefault(configuration.digest, configuration)
            except RecipeError as error:
                messages |= dict.fromkeys(error.messages)
        raise_all(messages)
        return list(found.values())

    def check_corners(self) -> None:
        """Refuse a space some of whose values can be in no run. Raises: RecipeError with all mistakes."""
        self.check_count()
        messages: dict[str, None] = {}
        for settings in spaces.corners(self.sweep.space):
            try:
                self.configuration(settings)
            except RecipeError as error:
                messages |= dict.fromkeys(error.messages)
        raise_all(messages)

    def check_count(self) -> None:
        """Refuse more runs than the sweep's `at_most`. Raises: RecipeError."""
        options = self.sweep.options
        combinations = options.draws or spaces.size(self.sweep.space) or 0
        runs, most = combinations * len(self.sweep.seeds), options.at_most
        if runs > most:
            raise RecipeError(
                f"{self.sweep.base.file}: sweep: {amount(runs, 'run')}, and at most {most:,} are begun.\n"
                f"  {amount(combinations, 'combination')}, each with {amount(len(self.sweep.seeds), 'seed')}.\n"
                f"  Give fewer values, draw some (method: random), or say that it is meant: --sweep.at_most {runs}"
            )

    def _settings(self, found: Mapping[str, object]) -> Iterator[Settings]:
        """The grid, or draws until there are as many different ones as were asked for."""
        space, options = self.sweep.space, self.sweep.options
        if options.draws is None:
            yield from spaces.grid(space)  # type: ignore[arg-type]  # without ranges, as was checked
            return
        drawn: set[str] = set()
        repeated = 0
        for settings in spaces.draws(space, options.draw_seed):
            text = json.dumps({key: node.plain for key, node in settings.items()}, sort_keys=True)
            repeated = repeated + 1 if text in drawn else 0
            if len(drawn) == options.draws or repeated > PATIENCE:
                return
            if text not in drawn:
                drawn.add(text)
                yield settings

    def _check(self, recipe: Recipe) -> None:
        if hidden := next(marked(redact(recipe)), None):
            raise RecipeError(
                f"{recipe['name']}: {hidden}: it holds a secret, and a sweep writes each run's recipe to a file.\n"
                "  Put it where the library that needs it looks for it, such as the environment."
            )
        if self.sweep.options.method != "halving":
            return
        trainer = recipe["trainer"]
        if trainer["max_epochs"] < 2 or trainer["max_steps"] >= 0 or trainer["val_check_interval"] is not None:
            raise RecipeError(
                f"{recipe['name']}: sweep.method: halving compares runs at the ends of epochs: trainer.max_epochs must "
                "be 2 or more,\n  and trainer.max_steps and trainer.val_check_interval are left out."
            )


def raise_all(messages: Iterable[str]) -> None:
    """Raises: RecipeError with the first `MESSAGES` mistakes, if there are any."""
    messages = list(messages)
    if len(messages) > MESSAGES:
        messages[MESSAGES:] = [f"sweep: {len(messages) - MESSAGES} more mistakes of this kind."]
    if messages:
        raise RecipeError(*messages)


def described(settings: Mapping[str, Any]) -> str:
    """Settings in a line, by the last words of their keys that tell them apart: "cell gru, lr 0.003"."""
    return ", ".join(f"{name} {shown(settings[key])}" for key, name in short_names(settings).items())


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Dotted keys by as few of their last words as tell them apart."""
    keys, names = list(keys), {}
    for key in keys:
        words = key.split(".")
        ends = (".".join(words[-number:]) for number in range(1, len(words) + 1))
        names[key] = next((end for end in ends if not any(_ends(k, end) for k in keys if k != key)), key)
    return names


def _ends(key: str, end: str) -> bool:
    return f".{key}".endswith(f".{end}")


def shown(value: Any) -> str:
    """A value in a line; a part by its name."""
    if isinstance(value, Mapping):
        inner = {key: item for key, item in value.items() if key != "name"}
        rest = ", ".join(f"{key} {shown(item)}" for key, item in inner.items())
        return f"{value['name']} ({rest})" if "name" in value and rest else str(value.get("name", rest))
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def planned(configurations: Iterable[Configuration], seeds: Iterable[int]) -> list[Run]:
    """The runs of configurations, each with every seed; seed after seed, so that all are tried once first."""
    return [configuration.run(seed) for seed, configuration in itertools.product(seeds, configurations)]
