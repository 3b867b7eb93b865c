"""From a resolved recipe to its data, its module and its run."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch.multiprocessing import ProcessRaisedException

from rnnzoo import __version__, registry, runs
from rnnzoo import recipe as recipes
from rnnzoo.batch import DataSpec
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import FORMS
from rnnzoo.engine.recurrence import set_path
from rnnzoo.errors import RecipeError, RunError, Terminated
from rnnzoo.experiment.dynamic import DynamicEvaluation
from rnnzoo.experiment.resolver import resolve
from rnnzoo.model import SequenceModel
from rnnzoo.recipe.schema import part_kind, signature
from rnnzoo.runs import checkpoint, report, tracking
from rnnzoo.system import capability, console, provenance
from rnnzoo.system.memory import keep_memory
from rnnzoo.system.paths import also_from
from rnnzoo.system.redaction import marked, redact
from rnnzoo.tasks.base import Task
from rnnzoo.training.callbacks.checkpoints import Checkpoints
from rnnzoo.training.callbacks.choices import CALLBACKS
from rnnzoo.training.callbacks.finite import Finite
from rnnzoo.training.callbacks.memory import BatchSize, ran_out
from rnnzoo.training.callbacks.outcome import Outcome
from rnnzoo.training.callbacks.progress import Progress
from rnnzoo.training.callbacks.termination import Termination
from rnnzoo.training.callbacks.throughput import Throughput
from rnnzoo.training.module import ZooModule
from rnnzoo.training.trainer import check, check_batches, make_trainer
from rnnzoo.vectors.start import start_from

log = logging.getLogger("rnnzoo")
REMARKS = (  # of Lightning, that say nothing of a run of ours
    "The .*dataloader.* does not have many workers",
    "The number of training batches .* is smaller than the logging interval",
    ".*sync_dist=True.*",
    ".*LeafSpec.*",
)


MACHINE = ("accelerator", "devices", "num_nodes", "strategy")  # of a trainer: what this machine has, not the run's


# -- parts ----------------------------------------------------------------------------------------------------------


def parameters(component: Mapping[str, Any]) -> dict[str, Any]:
    """A component's parameters, without its name."""
    return {key: value for key, value in component.items() if key != "name"}


def make_data(recipe: Mapping[str, Any], spec: DataSpec | None = None) -> ZooData:
    """The data of a resolved recipe; encoded as `spec` says, if it comes from an earlier run.

    Raises: RecipeError if its values do not fit each other.
    """
    source_class = registry.load("datasets", recipe["data"]["name"])
    form_class = FORMS[source_class.form]
    own = set(signature(source_class))
    given = parameters(recipe["data"])
    try:
        source = source_class(**{key: value for key, value in given.items() if key in own})
        form = form_class(**{key: value for key, value in given.items() if key not in own})
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{recipe['name']}: data: {error}.") from error
    return ZooData(source, form, recipe["seed"], spec)


def make_module(recipe: Mapping[str, Any], spec: DataSpec) -> ZooModule:
    """The LightningModule of a resolved recipe, its weights drawn from torch's generator.

    Raises: RecipeError if the parts do not fit each other.
    """
    return ZooModule(*_network(recipe, spec), recipe["optimizer"], recipe["schedule"])


def _network(recipe: Mapping[str, Any], spec: DataSpec) -> tuple[SequenceModel, Task]:
    try:
        task = registry.load("tasks", recipe["task"]["name"])(spec, **parameters(recipe["task"]))
        model = SequenceModel(spec, task, **recipe["model"])
    except (ValueError, TypeError, RuntimeError, MemoryError) as error:  # torch's word for no memory is RuntimeError
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise RecipeError(f"{recipe['name']}: the model cannot be built: {first}") from error
    return model, task


def restore(kept: checkpoint.Checkpoint, recipe: Mapping[str, Any], spec: DataSpec) -> ZooModule:
    """The module of a checkpoint, with its weights. It takes memory only once names and shapes are known to agree.

    Raises: RunError, RecipeError.
    """
    try:
        with torch.device("meta"), _at_most(10 * len(kept.weights) + 1000):
            _check_fit(recipe, spec, kept)
        module = make_module(recipe, spec)
    except (KeyError, AttributeError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"the checkpoint's model cannot be built: {type(error).__name__}: {error}.") from error
    checkpoint.apply(module.model, kept)
    return module


def _check_fit(recipe: Mapping[str, Any], spec: DataSpec, kept: checkpoint.Checkpoint) -> None:
    """Raises: RunError, RecipeError."""
    try:
        model = _network(recipe, spec)[0]
    except RecipeError as error:
        if "meta tensor" not in str(error):  # a part that looks at its numbers when it is built can be checked later
            raise
    else:
        checkpoint.check_fit(model, kept)


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Refuse to build a network of more parts than its weights can belong to. Raises: RunError."""
    built = 0

    def built_one(*_: Any) -> None:
        nonlocal built
        built += 1
        if built > count:
            raise RunError("the checkpoint's recipe builds more layers than the checkpoint has weights for.")

    hooks = [
        torch.nn.modules.module.register_module_parameter_registration_hook(built_one),
        torch.nn.modules.module.register_module_module_registration_hook(built_one),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def start(recipe: Mapping[str, Any], data: ZooData) -> tuple[ZooModule, dict[str, Any]]:
    """The module to train, from the recipe's seed and its file of word vectors; and the vectors' coverage, if any.

    Raises: RecipeError, DataError.
    """
    seed_everything(recipe["seed"])
    module = make_module(recipe, data.spec)
    set_path(module, recipe["engine"])
    place = recipe["model"]["vectors"]
    return module, {"vectors": start_from(module.model, data, place)} if place else {}


def from_recipe(recipe: str | Path, *overrides: str) -> tuple[ZooModule, ZooData]:
    """The module and the data of a recipe (a path or a shipped name), for one's own `lightning.Trainer`.

    overrides: as on the command line, "--model.dropout=0.3". The trainer should have use_distributed_sampler=False.
    Raises: RecipeError, DataError.
    """
    resolved = resolve(recipes.read(recipe, overrides))
    data = make_data(resolved)
    return start(resolved, data)[0], data


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch."""
    pl.seed_everything(seed, verbose=False)


# -- a run ----------------------------------------------------------------------------------------------------------


def fit(recipe: dict[str, Any], run_dir: Path | None = None) -> tuple[dict[str, Any], runs.Run]:
    """Train, test the checkpoint that was best on dev once, and leave everything in the run's folder.

    Returns the run's summary and the run. Raises: RecipeError, DataError, RunError; nothing is written before the
    recipe is known to be sound and its data to be there. KeyboardInterrupt leaves what was saved so far.
    """
    runs.refuse_used(run_dir)
    with quiet():
        make_trainer(recipe)  # what Lightning refuses is told before anything is written
    check(recipe)
    data = make_data(recipe)
    data.repeat = bool(recipe["trainer"]["overfit_batches"])
    data.prepare()
    check_batches(recipe, data)
    module, coverage = start(recipe, data)
    callbacks = make_callbacks(recipe, module)
    run = runs.create(recipe["name"], run_dir, recipe["seed"])
    run.write_config(recipes.dump(redact(recipe)))
    known = _facts(recipe, module, data) | coverage
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
    known |= _means(trainer, recipe)
    if run.writer:
        report.show_header(known, recipe, run.path)
    keep_memory()
    try:
        _go_on(trainer, lambda: trainer.fit(module, data))
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
            _go_on(trainer, lambda: trainer.test(module, data, verbose=False))
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


def _means(trainer: pl.Trainer, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is computed with."""
    device = trainer.strategy.root_device.type
    has = "computes in bfloat16" if capability.bfloat16(device) else "does not compute in bfloat16"
    return {
        "device": device,
        "precision": trainer.precision,
        **({"precision_reason": f"auto: this {device} {has}"} if recipe["trainer"]["precision"] == "auto" else {}),
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
    }


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
        module = restore(kept, recipe, spec)
    set_path(module, recipe["engine"])
    _compare_data(kept, data)
    with quiet():
        trainer = make_trainer(
            recipe,
            callbacks=[BatchSize(), Termination(), *([Progress()] if recipe["trainer"]["enable_progress_bar"] else [])],
        )
        look = trainer.test if part == "test" else trainer.validate
        _go_on(trainer, lambda: look(module, data, verbose=False))
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


def origin(kept: checkpoint.Checkpoint) -> tuple[dict[str, Any], DataSpec]:
    """The resolved recipe that a checkpoint is from, and its data as the model sees it. Raises: RunError."""
    try:
        recipe, spec = kept.meta["recipe"], DataSpec.from_json(kept.spec)
        sections = [recipe[name] for name in ("data", "task", "model", "optimizer", "schedule", "trainer")]
        parts = [part[key] for part in kept.meta["parts"] for key in ("kind", "name", "distribution", "version")]
        if not all(isinstance(section, dict) for section in sections) or not all(isinstance(p, str) for p in parts):
            raise TypeError("a section is not a mapping, or a part not named")
        return recipe, spec
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"the checkpoint does not say how its model is built: {type(error).__name__}: {error}.\n"
            "  Its meta.json holds the recipe and its spec.json the data, where `rnnzoo fit` wrote them."
        ) from error


def _go_on(trainer: pl.Trainer, work: Any) -> None:
    """Do a part of the run; Ctrl-C, which Lightning turns into an exit and then ignores, is KeyboardInterrupt again,
    and SIGTERM is Terminated.

    Raises: RunError if another process of the run is gone, or memory ran out.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        work()
    except SystemExit as end:
        if trainer.interrupted:
            signal.signal(signal.SIGINT, handler)
            raise (Terminated if isinstance(end.__context__, Terminated) else KeyboardInterrupt) from None
        raise
    except ProcessRaisedException as error:  # of a process of the Trainer's own, with its traceback as text
        _, ours, message = str(error).rpartition("rnnzoo.errors.")
        if ours:
            raise RunError(message.partition(": ")[2].strip()) from error
        raise
    except (RuntimeError, MemoryError) as error:
        size = next((c for c in trainer.callbacks if isinstance(c, BatchSize)), BatchSize())  # type: ignore[attr-defined]
        if ran_out(error):
            raise size.error(error) from error
        lost = isinstance(error, getattr(torch.distributed, "DistError", ())) or "gloo" in str(error)
        if lost and trainer.world_size > 1:
            raise RunError("another process of the run has stopped; what it said stands above.") from error
        raise


@contextmanager
def quiet() -> Iterator[None]:
    """Without Lightning's remarks on devices and loaders; its warnings of real trouble stay."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in REMARKS:
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            logger.setLevel(level)


# -- facts ----------------------------------------------------------------------------------------------------------


def run_name(recipe: Mapping[str, Any]) -> str:
    """What tells a run from others in a list: "imdb_bilstm-bidirectional-gru-seed2"."""
    architecture = recipe["model"]["architecture"]
    cell = architecture.get("cell")
    names = [recipe["name"], architecture["name"], cell.get("name") if isinstance(cell, dict) else None]
    return "-".join(dict.fromkeys([*filter(None, names), f"seed{recipe['seed']}"]))


def used_parts(recipe: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every registered part that a recipe names: kind, name, distribution and version."""
    found = {("datasets", recipe["data"]["name"]), ("tasks", recipe["task"]["name"])}

    def walk(component: Any, kind: str) -> None:
        name = component if isinstance(component, str) else component["name"]
        found.add((kind, name))
        cls = registry.load(kind, name)
        for key, parameter in signature(cls).items():
            inner = part_kind(parameter.annotated)
            value = parameter.default if isinstance(component, str) else component.get(key)
            if inner and value is not None:
                walk(value, inner)

    for component in (recipe["model"]["architecture"], recipe["model"]["character_encoder"]):
        if component is not None:
            walk(component, "architectures")
    return [registry.find(kind, name)._asdict() | {"name": name} for kind, name in sorted(found)]


def versions(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Of python, torch, lightning, rnnzoo, and of each plugin that the recipe uses."""
    plugins = {part["distribution"]: part["version"] for part in used_parts(recipe)}
    return plugins | {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "lightning": pl.__version__,
        "rnnzoo": __version__,
    }


def _facts(recipe: Mapping[str, Any], module: ZooModule, data: ZooData) -> dict[str, Any]:
    """What is known of a run however it ends."""
    return {
        "recipe": recipe["name"],
        "seed": recipe["seed"],
        "digest": recipes.digest(recipe),
        "parameters": sum(p.numel() for p in module.model.parameters()),
        "versions": versions(recipe),
        "scoring": module.task.scoring(),
        "commit": provenance.commit(),
        "hardware": provenance.hardware(),
        "data": {
            **data.identity,
            "fingerprint": data.fingerprint,
            "sizes": data.sizes,
            "labels": data.labels,
            "truncated": data.truncated,
            "unknown_share": {part: round(share, 6) for part, share in data.unknown_share.items()},
            "notes": data.notes,
        },
    }
