"""A run: train a recipe, test its best checkpoint, and leave everything in one folder."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import Logger

from rnnzoo import recipe as recipes
from rnnzoo import registry, runs
from rnnzoo.data.datamodule import ZooData
from rnnzoo.errors import RecipeError, RunError, Stopped, Unwritable, ZooError
from rnnzoo.experiment import build, tracked
from rnnzoo.experiment.facts import computed_with, run_facts, run_name, used_parts, versions
from rnnzoo.experiment.initial import read_initial
from rnnzoo.experiment.interruptible import interruptible
from rnnzoo.experiment.resume import Resumption
from rnnzoo.experiment.space import check_space
from rnnzoo.recipe import Recipe
from rnnzoo.reports.write import attempt as draw_report
from rnnzoo.runs import calibration, checkpoint, report, snapshot, tracking
from rnnzoo.runs.summary import Best, CalibrationFacts, StartFacts, Summary
from rnnzoo.system import console
from rnnzoo.system.files import JsonObject
from rnnzoo.system.memory import keep_memory
from rnnzoo.system.plain import plain
from rnnzoo.system.quantities import amount
from rnnzoo.system.redaction import redact
from rnnzoo.tasks.calibration import KEY, Calibration
from rnnzoo.training.callbacks.base import ChecksModule
from rnnzoo.training.callbacks.calibrator import Calibrator
from rnnzoo.training.callbacks.checkpoints import Checkpoints
from rnnzoo.training.callbacks.costs import Costs
from rnnzoo.training.callbacks.finite import Finite
from rnnzoo.training.callbacks.memory import BatchSize
from rnnzoo.training.callbacks.outcome import Outcome
from rnnzoo.training.callbacks.predictions import Predictions
from rnnzoo.training.callbacks.progress import Progress
from rnnzoo.training.callbacks.samples import Samples
from rnnzoo.training.callbacks.snapshots import SnapshotIO, Snapshots
from rnnzoo.training.callbacks.step_numbers import StepNumbers
from rnnzoo.training.callbacks.termination import Termination
from rnnzoo.training.callbacks.throughput import Throughput
from rnnzoo.training.callbacks.together import Together
from rnnzoo.training.callbacks.tracked_checkpoints import TrackedCheckpoints
from rnnzoo.training.checks import check_batches, check_options
from rnnzoo.training.exact import computes_with, threads_kept
from rnnzoo.training.module import ZooModule
from rnnzoo.training.trainer import make_trainer, minutes, quiet

log = logging.getLogger("rnnzoo")


def fit(
    recipe: Recipe, run_dir: Path | None = None, resumption: Resumption | None = None, *, show: bool = True
) -> tuple[Summary, runs.Run]:
    """Train, test the checkpoint that was best on dev once, and leave everything in the run's folder.

    resumption: of a run that goes on, with its recipe and in its folder, see `rnnzoo.experiment.resume.prepare`.
    show: whether what is about to be trained is printed, and the run's page drawn.
    Returns the run's summary and the run. Nothing is written before the recipe is known to be sound and its data to be
    there. Raises: RecipeError, DataError, RunError; KeyboardInterrupt, which leaves what was saved so far.
    """
    if resumption is None:
        runs.refuse_used(run_dir)
    with quiet():
        trainer = make_trainer(recipe)  # raises what Lightning refuses, before anything is written
    check_options(recipe)
    initial = None if resumption is not None else read_initial(recipe)
    spec = None if resumption is None else resumption.spec
    data = build.make_data(recipe, spec, known=initial and initial.trained.spec)
    data.repeat = bool(recipe["trainer"]["overfit_batches"])
    data.check_enough_for(trainer.num_devices * trainer.num_nodes)  # before the other processes are started
    check_batches(recipe, data)
    module, vectors, initial_facts = build.start(recipe, data, initial)
    if resumption is not None:
        resumption.check(data)
        module.steps_before_schedule = resumption.step if resumption.extends else 0
    callbacks = make_callbacks(recipe, module)
    check_space(resumption.folder if resumption is not None else run_dir or runs.ROOT, module)
    if resumption is None:
        run = runs.create(recipe["name"], run_dir, recipe["seed"])
    else:
        run = runs.reopen(resumption.folder, recipe["name"], recipe["seed"])
    run.write_config(recipes.dump(redact(recipe)))
    summary = run_facts(recipe, module, data)
    if vectors is not None:
        summary["vectors"] = vectors
    if resumption is not None:
        initial_facts = resumption.initial
        summary |= {"extended_at": resumption.extended_at} if resumption.extended_at else {}
    if initial_facts is not None:
        summary["init_from"] = initial_facts
    step = 0 if resumption is None else resumption.step
    config = tracked.config(recipe, summary)
    loggers = tracking.make_loggers(recipe["tracking"], run, config, run_name(recipe), step)
    tracking.use_data(loggers, config["facts"]["data"])
    summary["status"] = "failed"
    try:
        with quiet(), threads_kept():
            if build.is_exact(recipe):
                torch.set_num_threads(1)
            results = _train_and_test(recipe, run, module, data, loggers, callbacks, summary, resumption, show)
        summary.update(results)
        summary["status"] = "finished"
        tracked.attempt(loggers, run.path, summary)
    except KeyboardInterrupt as stop:
        summary["status"] = "interrupted"
        summary["ended_by"] = signal.Signals(stop.number).name if isinstance(stop, Stopped) else "SIGINT"
        raise
    except ZooError as error:
        summary["ended_by"] = str(error).splitlines()[0]
        raise
    finally:
        summary["wandb"] = tracking.where(loggers)
        tracking.finish(loggers, ok=summary["status"] == "finished")
        _write_summary(run, summary)
        if run.writer and show:
            draw_report(run.path)
        run.release()
    return summary, run


def _write_summary(run: runs.Run, summary: Summary) -> None:
    """Write how the run ended. A disk that is full by now is a warning: the checkpoints are what counts."""
    try:
        run.write_summary(summary)
    except Unwritable as error:
        log.warning("%s", error)


def make_callbacks(recipe: Recipe, module: ZooModule) -> list[Callback]:
    """The callbacks that a recipe names. Raises: RecipeError for one that cannot work with this module."""
    monitor, mode = module.monitor
    try:
        callbacks = [
            registry.build("callbacks", {"name": name, **settings}, monitor=monitor, mode=mode)
            for name, settings in recipe["callbacks"].items()
        ]
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{recipe['name']}: callbacks: {error}") from error
    for callback in callbacks:
        if isinstance(callback, ChecksModule):
            callback.check(module)
    return callbacks


def _train_and_test(
    recipe: Recipe,
    run: runs.Run,
    module: ZooModule,
    data: ZooData,
    loggers: list[Logger],
    callbacks: list[Callback],
    summary: Summary,
    resumption: Resumption | None,
    show: bool,
) -> Summary:
    """The results of a run that goes to its end; `summary` gets at once what it is computed with."""
    throughput, finite, costs = Throughput(), Finite(**recipe["bad_numbers"]), Costs()
    outcome = Outcome(run.path / "outcome.json", throughput, finite, costs)
    initial = summary.get("init_from")
    meta = _meta(recipe, data, run, initial)
    if "extended_at" in summary:
        meta["extended_at"] = summary["extended_at"]
    calibrator = Calibrator(run.path / calibration.FILE)
    checkpoints = Checkpoints(run.checkpoints, meta, data.spec.to_json(), *module.monitor, calibrator)
    snapshots = Snapshots(
        run.resume,
        meta if initial is None else meta | {"spec": plain(data.spec.to_json())},  # with words of a model that may go
        **recipe["checkpoint"],
        max_minutes=minutes(recipe["trainer"]["max_time"]),
        metrics=run.metrics,
        extends=resumption is not None and resumption.extends,
    )
    bar = [Progress()] if recipe["trainer"]["enable_progress_bar"] else []
    kept = recipe["tracking"]["predictions"]
    observer = [Predictions(run.predictions, recipe["task"]["name"], data.fingerprint, data.scored_rows, kept == "all")]
    callbacks = [*callbacks, *([] if kept == "none" else observer), *bar]
    steps = StepNumbers(finite)
    if module.task.generates_text and "samples" not in recipe["callbacks"] and tracking.has_trackers(loggers):
        callbacks = [Samples(), *callbacks]
    given = TrackedCheckpoints(checkpoints, recipe["tracking"]["checkpoints"])
    own = [snapshots, finite, steps, checkpoints, calibrator, throughput, costs, outcome, given, BatchSize()]
    alike = {name: meta[name] for name in ("versions", "recipe", "data")}
    alike |= {"machine": computes_with()} if build.is_exact(recipe) else {}
    callbacks = [Together(run.path, alike), *own, Termination(), *callbacks]
    trainer = make_trainer(
        recipe, callbacks=callbacks, logger=loggers, default_root_dir=run.path, plugins=[SnapshotIO()]
    )
    summary.update(computed_with(trainer, recipe))
    if run.writer and show:
        report.show_header(summary, recipe, run.path)
    keep_memory()
    state = None if resumption is None else resumption.path
    try:
        interruptible(trainer, lambda: trainer.fit(module, data, ckpt_path=state))
    except KeyboardInterrupt as stop:
        raise _with_message(stop, _stopped(trainer, checkpoints, run)) from None
    except ZooError:
        raise
    except Exception as error:  # a plugin's optimizer, schedule or callback is given its own part of a state, too
        if state is None or snapshots.under_way:
            raise
        raise RunError(
            f"cannot go on from the training state {console.short(state)}.\n"
            f"  {type(error).__name__}: {console.inline(' '.join(str(error).split()), 200)}\n"
            "  It does not fit the run's model, optimizer or callbacks, or the versions that are installed."
        ) from error
    results = outcome.facts()
    metrics, results["best"], calibrator.dev = _restore_best(run, module)
    if "test" in data.sizes:
        metrics |= _test(trainer, module, data, run)
    elif run.writer:
        calibrator.write()
    results["metrics"] = dict(sorted(metrics.items()))
    results |= _calibration_facts(run.path)
    return results


def _meta(recipe: Recipe, data: ZooData, run: runs.Run, initial: StartFacts | None) -> JsonObject:
    """What each checkpoint of a run holds beside its weights: how the model is built, and on which data it was trained.

    started_in: the folder that the data's relative paths start from, as a path from the checkpoint's own folder.
    """
    meta = {"recipe": redact(recipe), "parts": used_parts(recipe), "versions": versions(recipe)}
    meta |= {} if initial is None else {"init_from": initial}
    meta["data"] = {"fingerprint": data.fingerprint}
    with contextlib.suppress(ValueError):  # another drive has no relative path
        meta["started_in"] = Path(os.path.relpath(Path.cwd(), run.checkpoints / "any")).as_posix()
    return meta


def _restore_best(run: runs.Run, module: ZooModule) -> tuple[dict[str, float | None], Best, JsonObject]:
    """Load the best checkpoint's weights into the module, and the task's calibration; its dev scores, which it is, and
    how it was calibrated. Without one, none of these.
    """
    monitor, mode = module.monitor
    if not (run.checkpoints / "best").exists():  # whichever process wrote it
        return {}, {"monitor": monitor, "mode": mode, "score": None, "epoch": None}, {}
    best = checkpoint.load(checkpoint.follow(run.checkpoints / "best"))
    checkpoint.apply(module.model, best)
    module.task.calibration = Calibration.from_meta(best.meta, module.task.class_names())
    metrics = best.meta["metrics"]
    dev = {name: value for name, value in metrics.items() if name.startswith("val/")}
    which: Best = {"monitor": monitor, "mode": mode, "score": metrics[monitor], "epoch": best.meta["epoch"]}
    return runs.scores(dev), which, best.meta.get(KEY, {})


def _calibration_facts(folder: Path) -> Summary:
    """What the summary says of the calibration, whichever process has fitted and measured it."""
    found = calibration.read(folder)
    if "temperature" not in found:
        return {}
    facts: CalibrationFacts = {"temperature": found["temperature"], "ece": calibration.errors(found)}
    if "thresholds" in found:
        facts["thresholds"] = found["thresholds"]
    return {"calibration": facts}


def _test(trainer: pl.Trainer, module: ZooModule, data: ZooData, run: runs.Run) -> dict[str, float]:
    """The scores on the test split."""
    try:
        interruptible(trainer, lambda: trainer.test(module, data, verbose=False))
    except KeyboardInterrupt as stop:
        path = console.short(run.path)
        message = f"stopped after training; the test split was not scored.\n  `rnnzoo test {path}` scores it."
        raise _with_message(stop, message) from None
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}


def _with_message(stop: KeyboardInterrupt, message: str) -> KeyboardInterrupt:
    return Stopped(message, stop.number) if isinstance(stop, Stopped) else KeyboardInterrupt(message)


def _stopped(trainer: pl.Trainer, checkpoints: Checkpoints, run: runs.Run) -> str:
    """The message for a training that was stopped: what was saved, and where."""
    if not run.writer:
        return f"process {trainer.global_rank} of {trainer.world_size} was stopped."
    path, epochs = console.short(run.path), trainer.max_epochs
    of = f" of {epochs}" if epochs and epochs > 0 else ""
    when = f"stopped in epoch {trainer.current_epoch + 1}{of}, after {amount(trainer.global_step, 'step')}"
    lines = [f"{when}."]
    if snapshot.complete(run.resume):
        lines.append(f"Go on from here: rnnzoo fit --resume {path}")
    if checkpoints.best_path is not None:
        score = f"{checkpoints.monitor} {console.printable(checkpoints.best_score)}"
        lines.append(f"Kept: the best checkpoint so far, {score}, {console.short(checkpoints.best_path)}")
    elif checkpoints.last_path is not None:
        lines.append(f"Kept: the last checkpoint, {console.short(checkpoints.last_path)}")
    return "\n  ".join(lines)
