"""What a training has cost so far, beside everything that it logs."""

from __future__ import annotations

import time

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo.batch import Batch
from rnnzoo.runs import tracking
from rnnzoo.runs.state import State


class Costs(Callback):
    """Tokens read, seconds and processor seconds since a training began: the axes that runs are compared on.

    Each line that a tracker of the run gets has them, see `axes`. They are totals over all processes (seconds: the
    longest), and over all parts of a training that was stopped and resumed. Validation is a part of the seconds, not of
    the tokens.
    """

    def __init__(self) -> None:
        self.tokens, self.seconds, self.cpu_seconds = 0, 0.0, 0.0
        self._before = (0, 0.0, 0.0)  # this training was resumed, in all processes
        self._tokens = 0  # read by this process since then
        self._began: tuple[float, float] | None = None  # wall and processor seconds; None while nothing is trained
        self._alone = True

    def axes(self) -> dict[str, float]:
        """tokens_seen (where data have tokens), train_seconds and cpu_seconds."""
        seconds = {"train_seconds": round(self.seconds, 3), "cpu_seconds": round(self.cpu_seconds, 3)}
        return {"tokens_seen": self.tokens, **seconds} if self.tokens else seconds

    # the state of a training that is resumed

    def state_dict(self) -> State:
        return {"tokens": self.tokens, "seconds": self.seconds, "cpu_seconds": self.cpu_seconds}

    def load_state_dict(self, state_dict: State) -> None:
        tokens, seconds, cpu_seconds = (state_dict[name] for name in ("tokens", "seconds", "cpu_seconds"))
        self._before = (int(tokens), float(seconds), float(cpu_seconds))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:
        """Called in all processes, unlike what reads the state that is saved."""
        self._total(trainer)
        checkpoint["callbacks"][self.state_key] = self.state_dict()

    # counting

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began, self._tokens = (time.perf_counter(), time.process_time()), 0
        self._alone = trainer.world_size == 1
        self._add_up()
        tracking.add_axes(trainer.loggers, self.axes)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        self._tokens += getattr(batch, "tokens", 0)
        if self._alone or trainer.global_step % max(1, trainer.log_every_n_steps) == 0:  # type: ignore[attr-defined]
            self._total(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._total(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit":
            self._total(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._total(trainer)
        self._began = None

    def _total(self, trainer: Trainer) -> None:
        """Add up what all processes have counted; each of them calls this."""
        self._add_up()
        if self._alone or self._began is None:
            return
        tokens, _, cpu_seconds = self._before
        here = torch.tensor([self.tokens - tokens, self.cpu_seconds - cpu_seconds], dtype=torch.float64)
        sums = trainer.strategy.reduce(here.to(trainer.strategy.root_device), reduce_op="sum").tolist()
        self.tokens, self.cpu_seconds = tokens + int(sums[0]), cpu_seconds + sums[1]

    def _add_up(self) -> None:
        """What this process has counted, and what was before it."""
        if self._began is None:
            return
        tokens, seconds, cpu_seconds = self._before
        self.tokens = tokens + self._tokens
        self.seconds = seconds + time.perf_counter() - self._began[0]
        self.cpu_seconds = cpu_seconds + time.process_time() - self._began[1]
