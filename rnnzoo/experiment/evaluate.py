"""The scores of a run's best checkpoint, on this machine and on data that may have moved."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnzoo import recipe as recipes
from rnnzoo import registry, runs
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import FORMS
from rnnzoo.engine.recurrence import set_path
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.build import make_data
from rnnzoo.experiment.dynamic import DynamicEvaluation
from rnnzoo.experiment.interruptible import interruptible
from rnnzoo.experiment.resolver import resolve
from rnnzoo.experiment.restore import origin, restore
from rnnzoo.recipe.schema import signature
from rnnzoo.runs import checkpoint
from rnnzoo.system.paths import also_from
from rnnzoo.system.redaction import marked
from rnnzoo.training.callbacks.memory import BatchSize
from rnnzoo.training.callbacks.progress import Progress
from rnnzoo.training.callbacks.termination import Termination
from rnnzoo.training.module import ZooModule
from rnnzoo.training.trainer import make_trainer, quiet

log = logging.getLogger("rnnzoo")
MACHINE = ("accelerator", "devices", "num_nodes", "strategy")  # of a trainer: what this machine has, not the run's


def evaluate(
    run: str | Path, part: str, overrides: Mapping[str, Any] | None = None, dynamic: bool = False
) -> dict[str, float]:
    """The loss and metrics of a run's best checkpoint on the "dev" or "test" part of its data.

    overrides: keys of the recipe's `trainer` and `data` to set otherwise, but for what the model was built for, such as
    the vocabulary's size; on which devices it runs is theirs to say, not the run's. dynamic: a language model also
    goes on learning from the part, on the CPU, at a rate chosen on dev (see `rnnzoo.experiment.dynamic`); these are
    numbers of their own.
    Raises: RecipeError, RunError, DataError.
    """
    folder = checkpoint.locate(runs.find(run))
    kept = checkpoint.load(folder)
    recipe, spec = origin(kept)
    with registry.of_run(kept.meta["parts"]):
        recipe = _with_changes(recipe, overrides or {})
        with also_from(_home_of(kept, folder)):
            data = make_data(recipe, spec)
        module = ZooModule(*restore(kept, recipe, spec), recipe["optimizer"], recipe["schedule"])
    set_path(module, recipe["engine"])
    _compare_data(kept, data)
    with quiet():
        trainer = make_trainer(
            recipe,
            callbacks=[BatchSize(), Termination(), *([Progress()] if recipe["trainer"]["enable_progress_bar"] else [])],
        )
        look = trainer.test if part == "test" else trainer.validate
        interruptible(trainer, lambda: look(module, data, verbose=False))
        metrics = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        if dynamic:
            evaluation = DynamicEvaluation(module.task, module.model.cpu().eval(), data)
            lr = evaluation.best_rate()
            stage = "test" if part == "test" else "val"
            metrics |= {f"{stage}/dynamic_perplexity": evaluation.perplexity(part, lr), f"{stage}/dynamic_lr": lr}
    return metrics


def _home_of(kept: checkpoint.Checkpoint, folder: Path) -> Path | None:
    """The folder from which a run read its data, seen from where its checkpoint lies now; None if it is not said."""
    way = kept.meta.get("started_in")
    return (folder / way).resolve() if isinstance(way, str) else None


def _compare_data(kept: checkpoint.Checkpoint, data: ZooData) -> None:
    """Say so where the data are not those that the run was trained and scored on. Raises: DataError."""
    known = kept.meta.get("data")
    if isinstance(known, dict) and isinstance(known.get("fingerprint"), str):
        data.prepare()
        if known["fingerprint"] != data.fingerprint:
            names = data.identity["id"]
            log.warning("the data are not those of the run: %s was changed since, or is another one.", names)


def _with_changes(recipe: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A run's recipe as it is evaluated here. Raises: RecipeError for what cannot be changed."""
    form = FORMS[registry.load("datasets", recipe["data"]["name"]).form]
    for key in overrides.get("data", {}):
        if key in signature(form).keys() - form.free:
            raise RecipeError(
                f"command line: data.{key}: the model was built for it, and it cannot be changed after training.\n"
                f"  Free to change: where the data are, and {', '.join(sorted(form.free & signature(form).keys()))}."
            )
    here = {key: value for key, value in recipe["trainer"].items() if key not in MACHINE}
    recipe = recipe | {"trainer": here}
    recipe = recipe | {key: recipe[key] | dict(given) for key, given in overrides.items()}
    if hidden := [f"data.{key}" for key in marked(recipe["data"])]:
        raise RecipeError(
            f"{recipe['name']}: {hidden[0]}: a secret was taken out of it when the run was kept.\n"
            f"  Give it again: --{hidden[0]} VALUE"
        )
    return resolve(recipes.of(recipe, recipe["name"]))
