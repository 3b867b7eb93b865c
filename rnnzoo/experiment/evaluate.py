"""The scores of a run's best checkpoint, on this machine and on data that may have moved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from torch import nn

from rnnzoo import recipe as recipes
from rnnzoo import registry, runs
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import FORMS, chosen
from rnnzoo.engine.recurrence import set_path
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.build import make_data
from rnnzoo.experiment.dynamic import DynamicEvaluation
from rnnzoo.experiment.interruptible import interruptible
from rnnzoo.experiment.resolver import resolve
from rnnzoo.experiment.restore import origin, restore
from rnnzoo.experiment.tracked_test import tracked_test
from rnnzoo.recipe import Recipe
from rnnzoo.recipe.schema import signature
from rnnzoo.runs import checkpoint
from rnnzoo.runs.summary import at
from rnnzoo.system.paths import also_from
from rnnzoo.system.redaction import marked
from rnnzoo.training.callbacks.calibrator import Calibrator
from rnnzoo.training.callbacks.memory import BatchSize
from rnnzoo.training.callbacks.progress import Progress
from rnnzoo.training.callbacks.termination import Termination
from rnnzoo.training.module import ZooModule
from rnnzoo.training.trainer import make_trainer, quiet

log = logging.getLogger("rnnzoo")
Overrides = Mapping[str, Mapping[str, Any]]  # section -> key -> value
OF_MACHINE = ("accelerator", "devices", "num_nodes", "strategy")  # trainer options: this machine decides, not the run


def evaluate(
    run: str | Path,
    part: str,
    overrides: Overrides | None = None,
    dynamic: bool = False,
    confidence: bool = False,
    track: bool = False,
    change: Callable[[nn.Module], object] | None = None,
) -> dict[str, float]:
    """The loss and metrics of a run's best checkpoint on the "dev" or "test" part of its data.

    overrides: changes of the recipe's `trainer`, `tracking` and `data`, except of what the model was built for, such as
    the vocabulary's size. The devices are this machine's, or the overrides', not the run's. dynamic: a language model
    is also scored while it learns from the part, on the CPU, at a rate chosen on dev (`rnnzoo.experiment.dynamic`);
    these scores have names of their own. confidence: also how far confidences are from the share that is right, as
    `rnnzoo predict` prints them, and before they were calibrated; all other scores are of temperature 1. track: a test
    is a run of its own in the recipe's trackers, see `rnnzoo.experiment.tracked_test`.
    change: what is done to the model before it is scored.
    Raises: RecipeError, RunError, DataError.
    """
    found = runs.find(run)
    folder = checkpoint.locate(found)
    saved = checkpoint.load(folder)
    recipe, spec = origin(saved)
    original = recipe
    with registry.of_run(saved.meta["parts"]):
        recipe = _changed(recipe, overrides or {})
        with also_from(_started_in(saved, folder)):
            data = make_data(recipe, spec)
        module = ZooModule(*restore(saved, recipe, spec), recipe["optimizer"], recipe["schedule"])
    set_path(module, recipe["engine"])
    if change is not None:
        change(module.model)
    _compare_data(saved, data)
    bar = [Progress()] if recipe["trainer"]["enable_progress_bar"] else []
    test = tracked_test(found, original, overrides or {}) if track and part == "test" else nullcontext()
    with quiet(), test as tracked:
        calibrator = Calibrator()
        observers = [] if tracked is None else tracked.observers(data)
        trainer = make_trainer(recipe, callbacks=[BatchSize(), Termination(), calibrator, *observers, *bar])
        score = trainer.test if part == "test" else trainer.validate
        interruptible(trainer, lambda: score(module, data, verbose=False))
        metrics = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        if confidence:
            metrics |= _calibration(calibrator, "test" if part == "test" else "val")
        if dynamic:
            metrics |= _dynamic(module, data, part)
        if tracked is not None:
            tracked.log(module, data, metrics)
    return metrics


def _calibration(calibrator: Calibrator, stage: str) -> dict[str, float]:
    """The expected calibration error of the confidences that `rnnzoo predict` prints, and of those at temperature 1."""
    if calibrator.found is None:
        return {}
    after, before = (calibrator.found[key]["ece"] for key in ("after", "before"))
    return {f"{stage}/ece": after, f"{stage}/ece_uncalibrated": before}


def _dynamic(module: ZooModule, data: ZooData, part: str) -> dict[str, float]:
    """The perplexity of dynamic evaluation, and the rate that was chosen."""
    evaluation = DynamicEvaluation(module.task, module.model.cpu().eval(), data)
    lr = evaluation.best_rate()
    stage = "test" if part == "test" else "val"
    return {f"{stage}/dynamic_perplexity": evaluation.perplexity(part, lr), f"{stage}/dynamic_lr": lr}


def _started_in(saved: checkpoint.Checkpoint, folder: Path) -> Path | None:
    """The folder that the run read its data from, as seen from where the checkpoint is now; None if not known."""
    relative = saved.meta.get("started_in")
    return (folder / relative).resolve() if isinstance(relative, str) else None


def _compare_data(saved: checkpoint.Checkpoint, data: ZooData) -> None:
    """Warn where the data differ from those that the run was trained and scored on. Raises: DataError."""
    fingerprint = at(saved.meta, "data.fingerprint")
    if isinstance(fingerprint, str):
        data.prepare()
        if fingerprint != data.fingerprint:
            names = data.identity["id"]
            log.warning("the data are not those of the run: %s was changed since, or is another one.", names)


def _changed(recipe: Recipe, overrides: Overrides) -> Recipe:
    """A run's recipe as it is evaluated here. Raises: RecipeError for what cannot be changed."""
    source, task = (registry.load(kind, recipe[key]["name"]) for kind, key in (("datasets", "data"), ("tasks", "task")))
    form = FORMS[chosen(source, task)]
    for key in overrides.get("data", {}):
        if key in signature(form).keys() - form.free:
            raise RecipeError(
                f"command line: data.{key}: the model was built for it, and it cannot be changed after training.\n"
                f"  Free to change: where the data are, and {', '.join(sorted(form.free & signature(form).keys()))}."
            )
    trainer = {key: value for key, value in recipe["trainer"].items() if key not in OF_MACHINE}
    tracking = recipe["tracking"] | {"also": []}  # a tracker may be gone
    recipe = recipe | {"trainer": trainer, "tracking": tracking}
    recipe = recipe | {section: recipe[section] | dict(changes) for section, changes in overrides.items()}
    if secrets := [f"data.{key}" for key in marked(recipe["data"])]:
        raise RecipeError(
            f"{recipe['name']}: {secrets[0]}: a secret was taken out of it when the run was saved.\n"
            f"  Give it again: --{secrets[0]} VALUE"
        )
    return resolve(recipes.of(recipe, recipe["name"]))
