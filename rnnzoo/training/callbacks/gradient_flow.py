"""Pictures and numbers of the gradient through time, as training goes."""

from __future__ import annotations

import logging
import time
from typing import Annotated, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo.batch import Batch
from rnnzoo.limits import Count, Limit, checked
from rnnzoo.model import SequenceModel
from rnnzoo.pictures import svg
from rnnzoo.runs.tracking import draw
from rnnzoo.system import console
from rnnzoo.tasks.base import Task
from rnnzoo.training.gradient_flow import Flow, measure

log = logging.getLogger("rnnzoo")
TITLE = "Gradient through time after {:,} steps"
AXES = "steps before the last, k", "|dL/ds_(T-k)|"


class GradientFlow(Callback):
    """Measures, on a batch of training, how far back each recurrent layer's gradient reaches; see `gradient_flow.Flow`.

    Every `every_n_steps` optimizer steps, unless all measurements so far have taken more than `share` of the time: then
    the next one waits; the first does not count. Each adds to the run's metrics the memory in steps, the spectral
    radius and the share of saturated gates of each layer, and a picture of the gradient by lag. Training draws the same
    random numbers as without it. The first process alone measures, on its own batch. What cannot be measured, as for
    want of memory, is one warning, and nothing more is measured.
    """

    @checked
    def __init__(self, every_n_steps: Count = 100, share: Annotated[float, Limit(0, 1, open_low=True)] = 0.05) -> None:
        self.every_n_steps, self.share = every_n_steps, share
        self._began = self._spent = 0.0
        self._measured = -1
        self._failed = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began, self._spent = time.perf_counter(), 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        step = trainer.global_step
        if step % self.every_n_steps or step == self._measured or self._failed or not trainer.is_global_zero:
            return
        if self._spent > self.share * (time.perf_counter() - self._began):
            return
        batch = next(iter(getattr(batch, "shards", {0: batch}).values()))
        first, began = self._measured < 0, time.perf_counter()
        self._measured = step
        try:
            self._tell(trainer, self._flows(pl_module, batch), step)
        except Exception as error:  # of a plugin's cell or task, or of memory: the training is worth more
            self._failed = True
            why = console.inline(f"{type(error).__name__}: {error}", 200)
            log.warning("the gradient through time is not measured any more: %s", why)
        self._spent += 0.0 if first else time.perf_counter() - began  # the first loads and compiles, too

    @staticmethod
    def _flows(pl_module: LightningModule, batch: Batch) -> list[Flow]:
        model, task = cast(SequenceModel, pl_module.model), cast(Task, pl_module.task)
        devices = [pl_module.device] if pl_module.device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.autocast(pl_module.device.type, enabled=False):
            torch.manual_seed(0)
            return measure(model, task, task.preprocess(batch))

    @staticmethod
    def _tell(trainer: Trainer, flows: list[Flow], step: int) -> None:
        scalars = {name: value for flow in flows for name, value in flow.scalars().items()}
        for logger in trainer.loggers if scalars else []:
            logger.log_metrics({**scalars, "epoch": trainer.current_epoch}, step)
        lines = {flow.layer: list(enumerate(flow.by_lag)) for flow in flows if any(flow.by_lag)}
        if any(0 < norm < float("inf") for flow in flows for norm in flow.by_lag):
            draw(trainer.loggers, "gradient_flow", svg.chart(TITLE.format(step), *AXES, lines, log_y=True), step)
