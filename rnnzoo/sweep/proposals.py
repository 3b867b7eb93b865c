"""Combinations proposed by a sampler of optuna from the scores so far (an extra: `pip install 'rnnzoo[optuna]'`).

Nothing of optuna is stored: before each proposal its study is made again from the sweep's own runs, and its sampler
starts from a seed of the draw's number. So a sweep that was killed goes on as it would have.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnzoo.errors import ZooError
from rnnzoo.recipe.sections import SweepOptions
from rnnzoo.sweep.space import Choice, Dimension, Settings, Space
from rnnzoo.system.seeds import derived

if TYPE_CHECKING:
    import optuna

NEEDS = {"gp": ("scipy", "torch"), "cmaes": ("cmaes",), "qmc": ("scipy",)}  # packages, beside optuna
SAMPLERS = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "qmc": "QMCSampler",
    "random": "RandomSampler",
}


class Trial(NamedTuple):
    """A combination that was tried, and its score; None where its runs failed."""

    settings: Settings
    score: float | None


def check_installed(sampler: str) -> None:
    """Raises: ZooError where a package is missing."""
    for package in ("optuna", *NEEDS.get(sampler, ())):
        if importlib.util.find_spec(package) is None:
            raise ZooError(
                f"sweep.method optuna with the sampler '{sampler}' needs the package {package}, which is not "
                "installed.\n  Install it: pip install 'rnnzoo[optuna]'"
            )


def propose(space: Space, options: SweepOptions, trials: Sequence[Trial], mode: str, number: int) -> Settings:
    """The next combination. number: of the draw, from 0. mode: "max" or "min", whichever score is better."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = getattr(optuna.samplers, SAMPLERS[options.sampler])(seed=derived(options.draw_seed, number))
    study = optuna.create_study(sampler=sampler, direction="maximize" if mode == "max" else "minimize")
    distributions = {key: _distribution(dimension) for key, dimension in space.items()}
    for trial in trials:
        parameters = {key: _parameter(space[key], node.plain) for key, node in trial.settings.items()}
        study.add_trial(
            optuna.trial.create_trial(
                params=parameters,
                distributions=distributions,
                value=trial.score,
                state=optuna.trial.TrialState.FAIL if trial.score is None else optuna.trial.TrialState.COMPLETE,
            )
        )
    asked = study.ask(fixed_distributions=dict(distributions))
    return settings(space, asked.params)


def settings(space: Space, parameters: Mapping[str, Any]) -> Settings:
    """What optuna proposed, as values of the recipe: a choice is proposed by its place in the list."""
    found: Settings = {}
    for key, dimension in space.items():
        value = parameters[key]
        found[key] = dimension.values[value] if isinstance(dimension, Choice) else dimension.node(value)
    return found


def _parameter(dimension: Dimension, value: Any) -> Any:
    if isinstance(dimension, Choice):
        return [node.plain for node in dimension.values].index(value)
    return value


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Choice):
        return CategoricalDistribution(tuple(range(len(dimension.values))))
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
