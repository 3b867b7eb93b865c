"""A sweep as the file that `wandb sweep` takes: its server draws, and its agents run `rnnzoo fit`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rnnzoo import recipe as recipes
from rnnzoo.errors import RecipeError
from rnnzoo.sweep.halving import rungs
from rnnzoo.sweep.options import Sweep, class_monitor
from rnnzoo.sweep.space import Choice, Dimension

METHODS = {"grid": "grid", "random": "random", "halving": "random", "optuna": "bayes"}
POINTS = 16  # that stand for a logarithmic range of whole numbers
GOALS = {"max": "maximize", "min": "minimize"}


def sweep_file(sweep: Sweep, recipe: str, words: Sequence[str] = ()) -> str:
    """YAML. recipe: as the agents name it. words: overrides that hold for every run.

    Raises: RecipeError for what a sweep of W&B cannot say.
    """
    if sweep.match is not None:
        raise RecipeError(
            f"{sweep.base.file}: sweep.match: W&B draws each key by itself, and a size is solved for combinations.\n"
            "  Leave it out, or let rnnzoo run the sweep."
        )
    options = sweep.options
    parameters = {key: _parameter(dimension) for key, dimension in sweep.space.items()}
    if options.seeds:
        parameters["seed"] = {"values": options.seeds}
    name, mode = class_monitor(sweep.recipe)
    found: dict[str, Any] = {
        "name": sweep.recipe["name"],
        "program": "rnnzoo",
        "command": ["${env}", "rnnzoo", "fit", recipe, *_without_sweep(words), "${args}"],
        "method": "grid" if options.method == "halving" and options.draws is None else METHODS[options.method],
        "metric": {"name": options.metric or f"val/{name}", "goal": GOALS[sweep.mode or mode]},
        "parameters": parameters,
    }
    if options.draws is not None:
        found["run_cap"] = options.draws * len(sweep.seeds)
    if options.method == "halving":
        first = rungs(options.draws or options.factor, sweep.recipe["trainer"]["max_epochs"], options.factor)[0]
        found["early_terminate"] = {"type": "hyperband", "min_iter": first.epochs or 1, "eta": options.factor}
    return recipes.dump(found)


def _parameter(dimension: Dimension) -> dict[str, Any]:
    if isinstance(dimension, Choice):
        return {"values": [_value(node.plain) for node in dimension.values]}
    if dimension.whole and dimension.log:  # W&B has no such distribution that gives whole numbers
        steps = (dimension.low * (dimension.high / dimension.low) ** (step / (POINTS - 1)) for step in range(POINTS))
        return {"values": sorted({dimension.node(step).plain for step in steps})}
    kind = "int_uniform" if dimension.whole else "log_uniform_values" if dimension.log else "uniform"
    return {"distribution": kind, "min": dimension.low, "max": dimension.high}


def _value(value: Any) -> Any:
    """A value as the agent is to write it after `--key=`: a part with settings, a list or null as JSON."""
    return json.dumps(value) if value is None or isinstance(value, (dict, list)) else value


def _without_sweep(words: Sequence[str]) -> list[str]:
    """The overrides of a command line, each one word, without those of the sweep itself."""
    joined: list[str] = []
    for word in words:
        if word.startswith("--"):
            joined.append(word)
        else:
            joined[-1] += f"={word}"
    return [word for word in joined if not word.startswith("--sweep.")]
