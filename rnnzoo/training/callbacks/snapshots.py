"""Saves a training so that it can go on as if it had never stopped, and puts it back."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loops.progress import _Progress
from torch import Tensor
from torch.optim import Optimizer

from rnnzoo.errors import RunError, Stopped
from rnnzoo.runs import atomic_folder, snapshot
from rnnzoo.runs.state import State
from rnnzoo.system import files
from rnnzoo.system.files import JsonObject
from rnnzoo.system.signals import Listener
from rnnzoo.training import sparse
from rnnzoo.training.metric_state import load_metric_states, metric_states
from rnnzoo.training.module import ZooModule
from rnnzoo.training.strategies.shares import from_share, share

COST = 0.02  # the share of a training's time that saving at the ends of epochs may take
log = logging.getLogger("rnnzoo")


class SnapshotIO(CheckpointIO):
    """Lightning's training state without pickle: a plugin of the Trainer. Paths are folders.

    Where a state cannot be written, as the disk is full, those before stay, and training goes on with one warning.
    """

    def __init__(self) -> None:
        self._warned = False

    def save_checkpoint(self, checkpoint: State, path: str | Path, storage_options: object = None) -> None:
        """In the first process alone; an error here would leave the others waiting for it."""
        try:
            snapshot.write(Path(path), checkpoint)
        except OSError as error:
            if not self._warned:
                folder, reason = Path(path).parent, files.reason(error)
                log.warning("the training state cannot be saved in %s: %s. The run goes on.", folder, reason)
            self._warned = True

    def load_checkpoint(self, path: str | Path, map_location: object = None, weights_only: bool | None = None) -> State:
        return snapshot.read(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete what `ddp_spawn` and `ddp_notebook` handed from the first process to the one that started it."""
        atomic_folder.remove(Path(path))


class Snapshots(Callback):
    """Saves the training state between two batches: every so often, at the end, and when the process is asked to stop.

    A resumed training (`trainer.fit(..., ckpt_path=folder)`) equals one that was never stopped, bit for bit on the CPU
    with one or two processes; sums over more are rounded in another order. It may be stopped in the middle of an epoch,
    of an accumulation, of a stream. What Lightning does not save is saved here, for each process its own: carried
    states, gradients so far, sums of metrics, random states, the place in the epoch. To stand before all other
    callbacks, and `SnapshotIO` among the Trainer's plugins.

    folder: the run's `resume` folder. identity: JSON that is saved along. every_n_steps: optimizer steps; None for time
    alone. every_minutes: minutes. max_minutes: after which training ends, None for never. Between epochs a state is
    saved, too, where that takes less than `COST` of the time. metrics: the run's metrics file, which a resumed training
    cuts back to what it held when the state was saved. extends: a resumed training begins a new schedule, made for the
    steps that are left. under_way: whether a step was trained since the start, so that what was restored has proved to
    fit.

    Raises: Stopped when a process of the run was sent a signal to stop, once the state is saved.
    """

    def __init__(
        self,
        folder: Path,
        identity: JsonObject,
        *,
        every_n_steps: int | None = None,
        every_minutes: float = 5.0,
        max_minutes: float | None = None,
        metrics: Path | None = None,
        extends: bool = False,
    ) -> None:
        self.folder, self.identity, self.metrics = folder, identity, metrics
        self.every_n_steps, self.every_seconds = every_n_steps, 60 * every_minutes
        self.max_seconds = math.inf if max_minutes is None else 60 * max_minutes
        self.extends = extends
        self.listener = Listener()
        self.out_of_time = self.under_way = self._ended_within = False
        self._resumed: State | None = None
        self._schedules: list[State] = []
        self._optimizers = 0
        self._started = self._saved_at = self._cost = 0.0  # seconds
        self._saved_step = self._first_step = 0

    # saving

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        if self._resumed is not None:  # Lightning counts one too many where a state was saved between batches
            trainer.fit_loop.epoch_loop._batches_that_stepped = self._resumed["batches_that_stepped"]
            self._resumed = None
            return
        stop, self.out_of_time = self._agree(trainer, pl_module)
        if stop or self.out_of_time or self._due(trainer, batch_idx):
            self._save(trainer)
        if stop:
            raise Stopped(number=stop)
        if self.out_of_time:
            trainer.should_stop = True
            raise StopIteration  # ends the epoch, for Lightning

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        self.under_way = self.under_way or trainer.global_step > self._first_step

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save a training that ends in the middle of an epoch, as by `max_steps`, as if its next batch had come."""
        epochs, loop = trainer.fit_loop.epoch_progress, trainer.fit_loop.epoch_loop
        if self.out_of_time or loop._num_ready_batches_reached():
            return
        with _ahead(epochs, processed=-1), _ahead(loop.batch_progress, ready=1):
            self._save(trainer)
        self._ended_within = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.listener.stop()
        if not (self.out_of_time or self._ended_within):
            self._save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.listener.stop()

    def _agree(self, trainer: Trainer, pl_module: LightningModule) -> tuple[int, bool]:
        """The signal that a process of the run was sent, 0 for none; whether the time of one is over."""
        asked = (self.listener.number, time.monotonic() - self._started >= self.max_seconds)
        if trainer.world_size == 1:
            return asked
        both = torch.tensor([float(part) for part in asked], device=pl_module.device)
        number, over = trainer.strategy.reduce(both, reduce_op="max").tolist()  # type: ignore[arg-type, union-attr]
        return int(number), bool(over)

    def _due(self, trainer: Trainer, batch_idx: int) -> bool:
        elapsed = time.monotonic() - self._saved_at
        between_epochs = batch_idx == 0 and trainer.current_epoch > 0 and elapsed * COST >= self._cost
        steps = trainer.global_step - self._saved_step
        due = between_epochs or elapsed >= self.every_seconds or steps >= (self.every_n_steps or steps + 1)
        if trainer.world_size > 1:  # all processes save together, and their clocks differ
            due = bool(trainer.strategy.broadcast(due))
        return due

    def _save(self, trainer: Trainer) -> None:
        start = time.monotonic()
        folder = self.folder / f"step-{trainer.global_step:09d}-{trainer.fit_loop.epoch_loop.total_batch_idx + 1}"
        trainer.save_checkpoint(folder)
        self._saved_step, self._saved_at = trainer.global_step, time.monotonic()
        self._cost = self._saved_at - start

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:
        progress = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        here = _process_state(pl_module)
        states: list[State | None] = [here]
        if trainer.world_size > 1:
            states = [None] * trainer.world_size
            torch.distributed.all_gather_object(states, here)
        checkpoint["rnnzoo"] = {
            "identity": self.identity,
            "batches_done": progress % int(trainer.num_training_batches),  # of the epoch; all of them: of the next one
            "total_steps": int(trainer.estimated_stepping_batches),  # that the schedule was made for
            "batches_that_stepped": trainer.fit_loop.epoch_loop._batches_that_stepped,
            "metrics_bytes": self.metrics.stat().st_size if self.metrics is not None and self.metrics.exists() else 0,
            "processes": states,
        }

    # restoring

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:
        resumed = checkpoint["rnnzoo"]
        if len(resumed["processes"]) != trainer.world_size:
            raise RunError(
                f"the training was stopped with {len(resumed['processes'])} processes, and goes on with no other "
                f"number; here there are {trainer.world_size}.\n"
                "  Start as many, or start a new run from its weights."
            )
        self._resumed = resumed
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            _check_alike(checkpoint["callbacks"].get(callback.state_key), callback.state_dict(), callback.state_key)
        _check_alike(checkpoint["loops"]["fit_loop"], trainer.fit_loop.state_dict(), "the training loop")
        if self.extends:
            checkpoint["lr_schedulers"] = []
        self._schedules = checkpoint["lr_schedulers"]
        self._optimizers = len(checkpoint["optimizer_states"])
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        data.batches_done = resumed["batches_done"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Here a new training's optimizer and schedule are made, and what the state has of them is not loaded yet."""
        if self._resumed is not None and self._optimizers != len(trainer.optimizers):
            raise ValueError(f"it holds {self._optimizers} optimizers, and {len(trainer.optimizers)} go on")
        for saved, config in zip(self._schedules, trainer.lr_scheduler_configs, strict=False):
            _check_alike(saved, config.scheduler.state_dict(), "the schedule")
        self._schedules = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.listener.start()  # here: Lightning has just set handlers of its own, and puts back those before them
        self._started = self._saved_at = time.monotonic()
        self._saved_step = self._first_step = trainer.global_step
        self._ended_within = False
        if self._resumed is None:
            return
        if self.extends:
            for config in trainer.lr_scheduler_configs:
                for group, rate in zip(
                    config.scheduler.optimizer.param_groups, config.scheduler.get_last_lr(), strict=True
                ):
                    group["lr"] = rate
        for optimizer in trainer.optimizers:
            check_fused(optimizer)
        _restore_process(pl_module, self._resumed["processes"][trainer.global_rank])
        if trainer.is_global_zero and self.metrics is not None and self.metrics.exists():
            files.truncate(self.metrics, self._resumed["metrics_bytes"])


@contextmanager
def _ahead(progress: _Progress, **counts: int) -> Iterator[None]:
    """Within the block Lightning's counts of batches or epochs, of now and in total, are greater by these."""
    before = progress.state_dict()
    for place in (progress.total, progress.current):
        for name, more in counts.items():
            setattr(place, name, getattr(place, name) + more)
    try:
        yield
    finally:
        progress.load_state_dict(before)


def _process_state(module: LightningModule) -> State:
    """What the next batch depends on besides weights, optimizer and schedule, in this process."""
    assert isinstance(module, ZooModule)
    return {
        "module": module.training_state(),
        "gradients": {name: share(p.grad).to_dense() for name, p in module.named_parameters() if p.grad is not None},
        "metrics": metric_states(module),
        "random": {
            "python": random.getstate(),
            "numpy": np.random.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        },
    }


def _restore_process(module: LightningModule, state: State) -> None:
    assert isinstance(module, ZooModule)
    module.load_training_state(state["module"])
    for name, parameter in module.named_parameters():
        gradient = state["gradients"].get(name)
        if gradient is not None and sparse.marked(parameter):
            gradient = gradient.to_sparse(1)
        parameter.grad = None if gradient is None else from_share(gradient, parameter)
    load_metric_states(module, state["metrics"], module.device)
    generators = state["random"]
    random.setstate(generators["python"])
    _check_numpy_state(generators["numpy"])
    np.random.set_state(generators["numpy"])
    torch.set_rng_state(generators["torch"])
    if generators["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(generators["cuda"])


def _check_alike(saved: object, new: object, name: str) -> None:
    """Loading takes whatever a state holds, and a value of another kind would fail much later.

    Raises: TypeError for a value that is of another kind than a new training's, unless one of them is None.
    """
    if isinstance(saved, Mapping) and isinstance(new, Mapping):
        for key in saved.keys() & new.keys():
            _check_alike(saved[key], new[key], f"{name}.{key}")
    elif saved is not None and new is not None and _kind(saved) is not _kind(new):
        raise TypeError(f"{name} is a {type(saved).__name__}, where a {type(new).__name__} belongs")


def _kind(value: object) -> type:
    kinds = {bool: float, int: float, tuple: list}
    return kinds.get(type(value), type(value))


def check_fused(optimizer: Optimizer) -> None:
    """A fused optimizer does not look at the shapes of its own averages, and would read and write beyond them.

    Raises: ValueError for averages that are not of their parameter's shape and type.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group.get("fused") else ():
            for name, value in optimizer.state.get(parameter, {}).items():
                wanted = ((), torch.float32) if name == "step" else (parameter.shape, parameter.dtype)
                if isinstance(value, Tensor) and (value.shape, value.dtype) != wanted:
                    raise ValueError(f"the optimizer's {name} has the shape {(*value.shape,)}, not {(*wanted[0],)}")


def _check_numpy_state(state: tuple[Any, ...]) -> None:
    """NumPy checks all but the place, and reads beyond its words. Raises: ValueError."""
    _, words, place, *_ = state
    if not (type(place) is int and 0 <= place <= len(words)):
        raise ValueError(f"NumPy's random state has no place {place!r:.20}")
