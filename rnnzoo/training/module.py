"""The one LightningModule: it asks the task, logs what comes back, and returns the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import LRSchedulerConfigType, OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torchmetrics import MetricCollection

from rnnzoo import registry
from rnnzoo.batch import Batch
from rnnzoo.cells.base import State as CellState
from rnnzoo.engine.recurrence import detach
from rnnzoo.errors import RecipeError
from rnnzoo.model import SequenceModel
from rnnzoo.runs.state import State
from rnnzoo.system import seeds
from rnnzoo.tasks.base import Answer, Output, Task
from rnnzoo.tasks.metrics.sums import Mean
from rnnzoo.training import exchange, sparse
from rnnzoo.training.depth import parameter_groups, scale_rates
from rnnzoo.training.freezing import Freezing
from rnnzoo.training.metric_state import copied, load_metric_states, metric_states
from rnnzoo.training.schedules import interval

STAGES = ("train", "val", "test")
Observer = Callable[[Output, Batch, Tensor], None]


class ZooModule(pl.LightningModule):
    """A task and its model, under any `lightning.Trainer`.

    Losses and metrics are summed over a whole part of the data and divided once, so that they are the same for every
    batch size and number of processes. A step's gradient is that of the mean loss over all answers of its batches, over
    accumulated ones and over processes. What training draws at random depends on the module's seed, the process, the
    epoch and the batch alone: not on what validation, logging or a callback drew in between.

    optimizer, schedule: {"name": ..., parameters}, registered parts. The seed comes from torch's generator. freeze:
    parts that are not trained, see `Freezing`. layer_decay: of learning rates by depth, see `parameter_groups`; all
    layers have the same if not given.

    Raises: ValueError for a part to freeze that the model does not have.
    """

    splits_validation = True  # whether each process scores other rows of the dev split

    def __init__(
        self,
        model: SequenceModel,
        task: Task,
        optimizer: Mapping[str, Any],
        schedule: Mapping[str, Any] | None = None,
        *,
        freeze: Mapping[str, int | str] | None = None,
        layer_decay: float | None = None,
    ) -> None:
        super().__init__()
        self.model, self.task = model, task
        self.optimizer, self.schedule = optimizer, schedule or {"name": "constant"}
        self.losses = nn.ModuleList(Mean() for _ in STAGES)
        self.measures = nn.ModuleList(task.train_metrics() if stage == "train" else task.metrics() for stage in STAGES)
        self._carried: dict[str, list[CellState]] = {}
        self._counts: Callable[[], list[float]] | None = None  # of the batch, by process
        self._answers = 0.0  # answers behind the gradients accumulated so far, of all processes
        self.seed = int(torch.randint(2**62, ()))
        self.steps_before_schedule = 0  # of a training that is extended: made under another schedule
        self._step = _Step(-1, torch.zeros(()))
        self.freezing, self.layer_decay = Freezing(model, freeze or {}), layer_decay
        self.observers: dict[str, list[Observer]] = {stage: [] for stage in STAGES}  # are told of each evaluated batch
        self.undoable = False  # whether `undo_step` is to work; keeping what it needs takes a little time
        self.rate_factor = 1.0  # of the learning rate that the schedule gives
        self._before_step: State | None = None

    @property
    def monitor(self) -> tuple[str, Literal["max", "min"]]:
        """The dev metric that chooses a checkpoint, as it is logged, and whether "max" or "min" is better."""
        name, mode = self.task.monitor
        return f"val/{name}", mode

    def forward(self, batch: Batch, state: list[CellState] | None = None) -> Output:
        """The task's `forward` on a batch: logits (batch, classes) or (batch, time, classes), see `Output`."""
        return self.task.forward(self.model, batch, state, self.global_step)

    def _answer(self, stage: str, batch: Batch) -> Output:
        """The model's answer, with the state of the stage's stream carried on from the batch before, and cut there."""
        output = self(batch, None if batch.fresh else self._carried.get(stage))
        if output.state is not None:
            self._carried[stage] = detach(output.state)
        return output

    def on_fit_start(self) -> None:
        finds = getattr(self.trainer.strategy, "_ddp_kwargs", {}).get("find_unused_parameters", False)
        if self.freezing.thaws and self.trainer.world_size > 1 and not finds:
            raise RecipeError(
                "freeze: a part that thaws has no gradients at first, and the other processes wait for them.\n"
                "  Set trainer.strategy to ddp_find_unused_parameters_true, or freeze for always, or use one device."
            )

    def on_train_start(self) -> None:
        self.freezing.apply(self.current_epoch)  # also in the middle of an epoch, where training goes on
        if (ranks := self._ranks()) is not None:
            exchange.by_rows(ranks, self.model)

    def on_train_epoch_start(self) -> None:
        self.freezing.apply(self.current_epoch)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if self.undoable and batch_idx % self.trainer.accumulate_grad_batches == 0:
            self._before_step = self._records()
        seeds.seed(self.seed, self.global_rank, self.current_epoch, batch_idx)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        count = self.task.count(batch)
        if self.trainer.world_size > 1:  # waited for after the forward pass
            self._counts = exchange.begin(torch.tensor(float(count), device=self.device))
        output = self._answer("train", batch)
        loss = self.task.loss(self.model, output, batch)
        mean_loss, measures = self._metrics("train")
        mean_loss.update(loss.detach(), weight=count)
        if len(measures):
            with torch.no_grad():
                self.task.update(measures, output, batch, loss, self.model)
        self._log_step(loss.detach().float(), count, len(batch))
        return loss * self._weight(count, batch_idx)

    def _log_step(self, loss: Tensor, count: int, batch_size: int) -> None:
        """Log the mean loss of the optimizer step so far, which is that of the whole step once its last batch is in.

        Logged at every batch: Lightning writes one step in `log_every_n_steps`, with whatever was logged last.
        """
        if self._step.number != self.global_step:
            self._step = _Step(self.global_step, torch.zeros_like(loss))
        self._step.total = self._step.total + loss * count
        self._step.count += count
        sums = torch.stack((self._step.total, loss.new_full((), self._step.count)))
        if self.trainer.world_size > 1 and (self.global_step + 1) % max(1, self.trainer.log_every_n_steps) == 0:  # type: ignore[attr-defined]
            sums = self._of_all_processes(sums)
        self.log("train/loss_step", sums[0] / sums[1].clamp(min=1), prog_bar=True, batch_size=batch_size)

    def _of_all_processes(self, sums: Tensor) -> Tensor:
        """A step's loss and count, summed over the processes."""
        reduced: Tensor = self.trainer.strategy.reduce(sums, reduce_op="sum")  # type: ignore[assignment]
        return reduced

    def _metrics(self, stage: str) -> tuple[Mean, MetricCollection]:
        """The mean loss and the task's metrics of one stage."""
        index = STAGES.index(stage)
        return cast(Mean, self.losses[index]), cast(MetricCollection, self.measures[index])

    def task_metrics(self, stage: str) -> MetricCollection:
        """The task's metrics of one of the stages "train", "val" and "test"."""
        return self._metrics(stage)[1]

    def _weight(self, count: int, batch_idx: int) -> float:
        """The factor of this batch's mean loss in the mean over all answers of the step, where each batch has its own
        `count`. What is accumulated so far becomes its part of that mean, too: a running mean over batches.

        Lightning divides by the number of accumulated batches, and the strategy by the number of processes.
        """
        world, accumulated = self.trainer.world_size, self.trainer.accumulate_grad_batches
        total = float(count) if self._counts is None else sum(self._counts())
        self._counts = None
        self._make_room(total, batch_idx)
        return accumulated * world * count / max(1.0, self._answers)

    def _make_room(self, total: float, batch_idx: int) -> None:
        """Count a batch's answers, of all processes; scale the gradients so far to their part of the mean."""
        if batch_idx % self.trainer.accumulate_grad_batches == 0:
            self._answers = 0.0
        before, self._answers = self._answers, self._answers + total
        if before and total:
            trained = (group["params"] for optimizer in self.trainer.optimizers for group in optimizer.param_groups)
            for parameter in chain.from_iterable(trained):  # not the module's, which fsdp2 has replaced for this pass
                if parameter.grad is not None:
                    parameter.grad.mul_(before / self._answers)

    def _evaluate(self, stage: str, batch: Batch) -> None:
        output = self._answer(stage, batch)
        loss = self.task.loss(self.model, output, batch)
        mean_loss, measures = self._metrics(stage)
        mean_loss.update(loss, weight=self.task.count(batch))
        self.task.update(measures, output, batch, loss, self.model)
        for observer in self.observers[stage]:
            observer(output, batch, loss)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("test", batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> list[Answer]:
        """One JSON object for each sequence of the batch."""
        return self.task.predictions(self.model, batch)

    def _report(self, stage: str) -> None:
        """Log what a whole part of the data gave; the metric objects have summed over all processes.

        A metric that is NaN has nothing in this part to be a mean of, and is left out, but for the monitored one. Where
        the loss is not finite the network has broken: then no metric is a number, not even one that only asks which
        logit is largest.
        """
        mean_loss, measures = self._metrics(stage)
        monitored = self.task.monitor[0] if stage == "val" else None
        loss: Tensor = mean_loss.compute()
        values = {name: torch.as_tensor(value) for name, value in measures.compute().items()}
        if loss.isfinite():
            values = {name: value for name, value in values.items() if name == monitored or not value.isnan()}
        else:
            values = {name: torch.full_like(value, math.nan, dtype=torch.float) for name, value in values.items()}
        mean_loss.reset()
        measures.reset()
        for name, value in {"loss": loss, **values}.items():
            self.log(f"{stage}/{name}", value, prog_bar=name == monitored, rank_zero_only=False)

    def on_train_epoch_end(self) -> None:
        self._report("train")

    def on_validation_start(self) -> None:
        """Share the buffers once: from here on, no pass through the network waits for processes with fewer batches."""
        if (ranks := self._ranks()) is not None:
            for buffer in self.buffers():
                torch.distributed.broadcast(buffer, 0)
            ranks.require_forward_param_sync = False

    def on_validation_end(self) -> None:
        if (ranks := self._ranks()) is not None:
            ranks.require_forward_param_sync = True

    def _ranks(self) -> DistributedDataParallel | None:
        """What shares gradients, and buffers before each pass, between the processes of a training."""
        wrapped = self.trainer.strategy.model
        return wrapped if isinstance(wrapped, DistributedDataParallel) else None

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _records(self) -> State:
        """What a training step leaves behind beside gradients and weights: this process's own, and copied."""
        return {
            "carried": self._stream(),
            "step": (self._step.number, self._step.total, self._step.count),
            "metrics": copied(metric_states(self)),
            "buffers": [buffer.clone() for buffer in self.model.buffers()],
        }

    def undo_step(self) -> None:
        """Take back what the batches of this optimizer step have changed, but for gradients; in an `undoable` module.

        These are sums of metrics, carried states and buffers.
        """
        before, self._before_step = self._before_step, None
        if before is None:  # resumed within a step, of a training that was not undoable
            return
        self._carry(before["carried"])
        self._step = self._loaded_step(before["step"])
        load_metric_states(self, before["metrics"], self.device)
        for buffer, value in zip(self.model.buffers(), before["buffers"], strict=True):
            buffer.copy_(value)

    def _try_undoing(self, before: State) -> None:
        """Raise now what `undo_step` would raise in the middle of training: a stranger may have written it."""
        buffers = [buffer.clone() for buffer in self.model.buffers()]
        self._before_step = before
        self.undo_step()
        for buffer, value in zip(self.model.buffers(), buffers, strict=True):
            buffer.copy_(value)

    def forget_stream(self) -> None:
        """Start the train split's stream anew with the next batch, from the states of a new sequence."""
        self._carried.pop("train", None)

    def _stream(self) -> Any:
        """The state that the train split's stream goes on with, for `_carry`."""
        return self._carried.get("train")

    def _carry(self, carried: Any) -> None:
        self.forget_stream()
        if carried is not None:
            self._carried["train"] = self._here(carried)

    def _here(self, state: list[CellState]) -> list[CellState]:
        return [tuple(s.to(self.device) for s in layer) for layer in state]

    def _loaded_step(self, saved: tuple[int, Tensor, int]) -> _Step:
        number, total, count = saved
        return _Step(number, total.to(self.device), count)

    def training_state(self) -> dict[str, Any]:
        """What the next batch of training depends on besides weights, optimizer and schedule: this process's own."""
        return {
            "seed": self.seed,
            "carried": self._stream(),
            "answers": self._answers,
            "step": (self._step.number, self._step.total, self._step.count),
            "before_step": self._before_step,
        }

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `training_state` gave. The sums of the metrics are to be loaded after it."""
        if state["before_step"] is not None:
            self._try_undoing(state["before_step"])
        self.seed, self._answers = state["seed"], state["answers"]
        self._carry(state["carried"])
        self._step = self._loaded_step(state["step"])
        self._before_step = state["before_step"]

    def on_after_backward(self) -> None:
        sparse.coalesce(self.model)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        if not sparse.parameters(self.model):
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            weights = [p for group in optimizer.param_groups for p in group["params"]]
            sparse.clip(weights, float(gradient_clip_val), by_value=gradient_clip_algorithm == "value")

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Make the step at the schedule's learning rate times `rate_factor`, of which the schedule knows nothing."""
        rates = [group["lr"] for group in optimizer.param_groups] if self.rate_factor != 1 else []
        for group, rate in zip(optimizer.param_groups, rates, strict=False):
            group["lr"] = rate * self.rate_factor
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        for group, rate in zip(optimizer.param_groups, rates, strict=False):
            group["lr"] = rate

    def configure_optimizers(self) -> OptimizerLRScheduler:
        monitor, mode = self.monitor
        optimizer = self._make_optimizer()
        steps = self.trainer.estimated_stepping_batches - self.steps_before_schedule
        if math.isinf(steps):
            raise RecipeError("a schedule needs to know the last step.\n  Give the Trainer max_epochs or max_steps.")
        scheduler = self._built("schedule", self.schedule, optimizer, total_steps=int(steps), mode=mode)
        when = interval(scheduler)
        every = self.trainer.check_val_every_n_epoch or 1  # epochs from one score to the next
        config = LRSchedulerConfigType(scheduler=scheduler, interval="step" if when == "step" else "epoch")
        if when == "plateau":
            config["monitor"], config["frequency"] = monitor, every
        return {"optimizer": optimizer, "lr_scheduler": config}

    def _make_optimizer(self) -> Optimizer:
        sparse.mark(self.model)
        if self.layer_decay is None:
            return self._built("optimizer", self.optimizer, [p for p in self.model.parameters() if p.requires_grad])
        optimizer: Optimizer = self._built("optimizer", self.optimizer, parameter_groups(self.model, self.layer_decay))
        scale_rates(optimizer)
        return optimizer

    @staticmethod
    def _built(kind: str, component: Mapping[str, Any], *given: object, **offered: object) -> Any:
        """An optimizer or a schedule. Raises: RecipeError for settings that it refuses."""
        try:
            return registry.build(kind, component, *given, **offered)
        except (ValueError, TypeError) as error:
            raise RecipeError(f"{kind}: '{component['name']}' refuses its settings: {error}") from error


@dataclass
class _Step:
    """The loss of one optimizer step, summed over what its batches ask for."""

    number: int
    total: Tensor
    count: int = 0
