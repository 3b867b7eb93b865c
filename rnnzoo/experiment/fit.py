"""A run: train a recipe, test its best checkpoint, and leave everything in one folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.data.datamodule import ZooData
from rnnzoo.experiment import build
from rnnzoo.experiment.facts import computed_with, run_facts, run_name, used_parts, versions
from rnnzoo.experiment.interruptible import interruptible
from rnnzoo.runs import checkpoint, report, tracking
from rnnzoo.system import console
from rnnzoo.system.memory import keep_memory
from rnnzoo.system.redaction import redact
from rnnzoo.training.callbacks.checkpoints import Checkpoints
from rnnzoo.training.callbacks.choices import CALLBACKS
from rnnzoo.training.callbacks.finite import Finite
from rnnzoo.training.callbacks.memory import BatchSize
from rnnzoo.training.callbacks.outcome import Outcome
from rnnzoo.training.callbacks.progress import Progress
from rnnzoo.training.callbacks.termination import Termination
from rnnzoo.training.callbacks.throughput import Throughput
from rnnzoo.training.module import ZooModule
from rnnzoo.training.trainer import check, check_batches, make_trainer, quiet


def fit(recipe: dict[str, Any], run_dir: Path | None = None) -> tuple[dict[str, Any], runs.Run]:
    """Train, test the checkpoint that was best on dev once, and leave everything in the run's folder.

    Returns the run's summary and the run. Raises: RecipeError, DataError, RunError; nothing is written before the
    recipe is known to be sound and its data to be there. KeyboardInterrupt leaves what was saved so far.
    """
    runs.refuse_used(run_dir)
    with quiet():
        make_trainer(recipe)  # what Lightning refuses is told before anything is written
    check(recipe)
    data = build.make_data(recipe)
    data.repeat = bool(recipe["trainer"]["overfit_batches"])
    data.prepare()
    check_batches(recipe, data)
    module, coverage = build.start(recipe, data)
    callbacks = make_callbacks(recipe, module)
    run = runs.create(recipe["name"], run_dir, recipe["seed"])
    run.write_config(recipes.dump(redact(recipe)))
    known = run_facts(recipe, module, data) | coverage
    loggers = tracking.make_loggers(recipe["tracking"], run, recipe, run_name(recipe))
    status = "failed"
    try:
        with quiet():
            facts = _train(recipe, run, module, data, loggers, known, callbacks)
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        place = tracking.where(loggers)
        tracking.finish(loggers, ok=status == "finished")
        summary = known | {"wandb": place}
        summary |= (facts if status == "finished" else {}) | {"status": status}
        run.write_summary(summary)
    return summary, run


def make_callbacks(recipe: Mapping[str, Any], module: ZooModule) -> list[Callback]:
    """The callbacks that a recipe names. Raises: RecipeError for one that this module gives nothing to do."""
    made = [CALLBACKS[name](*module.monitor, **given) for name, given in recipe["callbacks"].items()]
    for callback in made:
        if hasattr(callback, "check"):
            callback.check(module)
    return made


def _train(
    recipe: dict[str, Any],
    run: runs.Run,
    module: ZooModule,
    data: ZooData,
    loggers: list[Any],
    known: dict[str, Any],
    own: list[Callback],
) -> dict[str, Any]:
    monitor, mode = module.monitor
    meta = {"recipe": redact(recipe), "parts": used_parts(recipe), "versions": versions(recipe)}
    meta["data"] = {"fingerprint": data.fingerprint}
    with contextlib.suppress(ValueError):  # another drive has no relative path
        meta["started_in"] = Path(os.path.relpath(Path.cwd(), run.checkpoints / "any")).as_posix()
    checkpoints = Checkpoints(run.checkpoints, meta, data.spec.to_json(), monitor, mode)  # type: ignore[arg-type]
    throughput = Throughput()
    outcome = Outcome(run.path / "outcome.json", throughput)
    callbacks: list[Callback] = [Finite(), checkpoints, throughput, outcome, BatchSize(), Termination()]
    callbacks += own
    if recipe["trainer"]["enable_progress_bar"]:
        callbacks.append(Progress())
    trainer = make_trainer(recipe, callbacks=callbacks, logger=loggers, default_root_dir=run.path)
    known |= computed_with(trainer, recipe)
    if run.writer:
        report.show_header(known, recipe, run.path)
    keep_memory()
    try:
        interruptible(trainer, lambda: trainer.fit(module, data))
    except KeyboardInterrupt as stop:
        raise type(stop)(_stopped(trainer, checkpoints, run)) from None
    facts = outcome.facts()
    metrics: dict[str, float] = {}
    best: dict[str, Any] = {"monitor": monitor, "mode": mode, "score": None, "epoch": None}
    if (run.checkpoints / "best").exists():  # whichever process wrote it
        kept = checkpoint.load(checkpoint.follow(run.checkpoints / "best"))
        checkpoint.apply(module.model, kept)
        metrics |= runs.scores({name: v for name, v in kept.meta["metrics"].items() if name.startswith("val/")})
        best |= {"score": kept.meta["metrics"][monitor], "epoch": kept.meta["epoch"]}
    if "test" in data.sizes:
        try:
            interruptible(trainer, lambda: trainer.test(module, data, verbose=False))
        except KeyboardInterrupt as stop:
            path = console.short(run.path)
            message = f"stopped after training; the test part was not scored.\n  `rnnzoo test {path}` scores it."
            raise type(stop)(message) from None
        metrics |= {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
    tracking.summarise(loggers, metrics)
    return {
        "metrics": dict(sorted(metrics.items())),
        "best": best,
        **facts,
    }


def _stopped(trainer: pl.Trainer, checkpoints: Checkpoints, run: runs.Run) -> str:
    """What a training that was stopped leaves, and where."""
    if not run.writer:
        return f"process {trainer.global_rank} of {trainer.world_size} was stopped."
    path, epochs = console.short(run.path), trainer.max_epochs
    of = f" of {epochs}" if epochs and epochs > 0 else ""
    when = f"stopped in epoch {trainer.current_epoch + 1}{of}, after {report.amount(trainer.global_step, 'step')}"
    if checkpoints.last_path is None:
        return f"{when}: nothing was validated yet, so no checkpoint was kept.\n  Its recipe and losses: {path}"
    if checkpoints.best_path is None:
        return f"{when}.\n  Kept: the last checkpoint, {console.short(checkpoints.last_path)}"
    score = f"{checkpoints.monitor} {console.printable(checkpoints.best_score)}"
    return (
        f"{when}.\n"
        f"  Kept: the best checkpoint so far, {score}, {console.short(checkpoints.best_path)}\n"
        f"  `rnnzoo test {path}` scores it; what was trained after the last validation is lost."
    )
