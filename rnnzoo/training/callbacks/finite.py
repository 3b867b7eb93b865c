"""What follows on a step whose numbers are not finite: the run ends, leaves the step out, or goes back."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torch.optim import Optimizer

from rnnzoo.errors import RunError
from rnnzoo.runs.state import State
from rnnzoo.runs.summary import BadNumbers
from rnnzoo.system.quantities import amount
from rnnzoo.training import exchange
from rnnzoo.training.callbacks.good_states import GoodStates
from rnnzoo.training.callbacks.loss_watch import LossWatch
from rnnzoo.training.module import ZooModule
from rnnzoo.training.sparse import values
from rnnzoo.training.strategies.shares import whole

ROWS = 12  # that a message names
FINE, GRADIENT, LOSS = range(3)  # what is bad in a step; the greater explains the smaller
WHAT = {GRADIENT: "the gradient", LOSS: "the loss"}
log = logging.getLogger("rnnzoo")


class Step(NamedTuple):
    """The last optimizer step: the mean loss of its batches, its gradient norm before clipping, its learning rate."""

    loss: float  # nats, or the task's own unit
    norm: float
    rate: float
    epoch: int  # from 1


class Finite(Callback):
    """NaN or infinity never overwrites a weight, and is never saved. Place it before `Checkpoints`.

    It checks the loss and the gradient's norm, before clipping, at every optimizer step; the weights before each
    validation and at the end, where they could be saved; and the loss of each validation. One NaN would make all
    clipped gradients NaN. A step costs one norm and one number read back. Of several processes, all do what one does.

    policy, at_most, lr_factor, every_n_steps: see `rnnzoo.recipe.sections.BadNumbersOptions`. All but "stop" need a
    `ZooModule`. The schedule goes on in any case: a step that is left out is one of its steps.

    With mixed float16 gradients overflow now and then: the loss scaler skips the step and halves its scale. Below a
    scale of 1 an overflow is not the scaler's.
    """

    def __init__(
        self,
        policy: Literal["stop", "skip", "rollback"] = "stop",
        at_most: int = 5,
        lr_factor: float = 0.5,
        every_n_steps: int = 100,
    ) -> None:
        self.policy, self.at_most, self.lr_factor = policy, at_most, lr_factor
        self.skipped = self.rolled_back = 0  # steps; returns to an earlier state
        self.good = GoodStates(every_n_steps)
        self.watch = LossWatch()
        self._rate_factor = 1.0
        self._return = False  # to an earlier state, at the end of this batch
        self._loss: Tensor | None = None  # summed over the batches of one step
        self._losses: Callable[[], list[float]] | None = None  # the same, of each process
        self._rows: list[Tensor] = []  # of the batches of one step, where they have numbers
        self.step: Step | None = None  # the last one

    def summary(self) -> BadNumbers:
        """How often a step was left out, and how often training returned to an earlier state."""
        return {"skipped": self.skipped, "rolled_back": self.rolled_back}

    # the state of a training that is resumed

    def state_dict(self) -> State:
        own = {"skipped": self.skipped, "rolled_back": self.rolled_back, "rate_factor": self._rate_factor}
        return own | {"good": self.good.states}

    def load_state_dict(self, state_dict: State) -> None:
        self.skipped, self.rolled_back = int(state_dict["skipped"]), int(state_dict["rolled_back"])
        self._rate_factor, self.good.states = float(state_dict["rate_factor"]), list(state_dict["good"])

    # the check of each step

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._loss, self._rows, self.step = None, [], None
        if self.policy != "stop" or self._rate_factor != 1:
            module = _zoo_module(pl_module)
            module.undoable, module.rate_factor = self.policy != "stop", self._rate_factor
        if self.policy == "rollback":
            self.good.check(trainer, _zoo_module(pl_module))
        if self.policy == "rollback" and not self.good.states:
            self.good.keep(trainer, _zoo_module(pl_module))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = trainer.callback_metrics.get("train/loss")
        if loss is not None and math.isfinite(loss):
            self.watch.epoch(float(loss))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._rows, self._loss = [], None
        if isinstance(index := getattr(batch, "index", None), Tensor):
            self._rows.append(index)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        loss = loss.detach()
        self._loss = loss if self._loss is None else self._loss + loss
        if trainer.world_size > 1:  # waited for after the backward pass
            self._losses = exchange.begin(self._loss.float())

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        gradients = _gradients(optimizer)
        norm = whole(torch.nn.utils.get_total_norm(gradients)) if gradients else torch.zeros(())
        loss = norm.new_zeros(()) if self._loss is None else self._loss.to(norm)
        loss_value, norm_value = torch.stack((loss, norm)).tolist()  # waits for the device once
        self.step = Step(loss_value, norm_value, float(optimizer.param_groups[0]["lr"]), trainer.current_epoch + 1)
        process, bad = self._verdict(trainer)
        if bad == FINE:
            self.watch.step(trainer.global_step, loss_value, norm_value)
            return
        weight = _first_bad_weight(pl_module)
        where = f"first bad weight: {weight}" if weight else _first_bad_gradient(pl_module)
        what = WHAT[bad]
        if process != trainer.global_rank:
            what, self._rows = f"{what} of process {process}", []  # the rows here are not those of the bad numbers
        if self._exhausted or (self.policy == "skip" and weight):
            raise self._error(trainer, what, where)
        if process == trainer.global_rank:
            self._warn(trainer, what, where, "The step is left out" if self.policy == "skip" else "Training goes back")
        _zoo_module(pl_module).undo_step()
        for parameter in pl_module.parameters():
            parameter.grad = None  # optimizers pass over a parameter without a gradient
        if self.policy == "skip":
            self.skipped += 1
        self._return = self.policy == "rollback"

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: object) -> None:
        if self._return:
            self._roll_back(trainer, pl_module)
        elif self.policy == "rollback" and self.good.due(trainer.global_step):
            self.good.keep(trainer, _zoo_module(pl_module))

    def _verdict(self, trainer: Trainer) -> tuple[int, int]:
        """The process whose step is bad and what is bad in it: the same in all, as they share gradients."""
        assert self.step is not None
        losses = [self.step.loss] if self._losses is None else self._losses()
        self._losses = None
        bad = [process for process, loss in enumerate(losses) if not math.isfinite(loss)]
        if bad:
            return bad[0], LOSS
        scaler: torch.amp.GradScaler | None = getattr(trainer.precision_plugin, "scaler", None)
        scalers_matter = scaler is not None and scaler.get_scale() >= 1
        return 0, FINE if math.isfinite(self.step.norm) or scalers_matter else GRADIENT

    # the check of the weights

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._check_weights(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = trainer.callback_metrics.get("val/loss")
        if trainer.state.fn == TrainerFn.FITTING and loss is not None and not math.isfinite(loss):
            self._repair(trainer, pl_module, f"the loss of the dev split ({float(loss):.6g})", "every weight is finite")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check_weights(trainer, pl_module)

    def _check_weights(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if bad := _first_bad_weight(pl_module):
            self._repair(trainer, pl_module, "a weight", f"first bad weight: {bad}")

    def _repair(self, trainer: Trainer, pl_module: LightningModule, what: str, where: str) -> None:
        """Go back to good weights, where the policy allows it. Raises: RunError where it does not."""
        self._rows = []
        if self.policy != "rollback" or self._exhausted:
            raise self._error(trainer, what, where)
        if trainer.is_global_zero:
            self._warn(trainer, what, where, "Training goes back")
        self._roll_back(trainer, pl_module)

    def _roll_back(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._return = False
        module = _zoo_module(pl_module)
        step = self.good.restore(trainer, module)
        self.rolled_back += 1
        self._rate_factor *= self.lr_factor
        module.rate_factor = self._rate_factor
        if trainer.is_global_zero:
            log.warning(
                "back to the weights of step %d, and on with %g times the learning rate.", step, self._rate_factor
            )

    # messages

    @property
    def _exhausted(self) -> bool:
        none = self.policy == "rollback" and not self.good.states
        return self.policy == "stop" or none or self.skipped + self.rolled_back >= self.at_most

    def _warn(self, trainer: Trainer, what: str, where: str, action: str) -> None:
        log.warning("%s: %s is not finite. %s.\n%s", self._at(trainer), what, action, self._details(where))

    def _error(self, trainer: Trainer, what: str, where: str) -> RunError:
        remedies = "Try a lower optimizer.lr or trainer.gradient_clip_val, and look for NaN in the data"
        if self.policy == "stop":
            remedies += "; bad_numbers.policy skip or rollback goes on"
        else:
            count = amount(self.skipped + self.rolled_back, "time")
            remedies += f"; bad_numbers.policy {self.policy} was used {count}, at_most is {self.at_most}"
        return RunError(
            f"training broke at {self._at(trainer)}: {what} is not finite.\n{self._details(where)}\n"
            f"  Nothing was overwritten: checkpoints saved before are good.\n  {remedies}."
        )

    def _at(self, trainer: Trainer) -> str:
        return f"step {trainer.global_step}" + (f", epoch {self.step.epoch}" if self.step else "")

    def _details(self, where: str) -> str:
        """The numbers and the rows of the last step, each a line."""
        if self.step is None:
            return f"  No step was made; {where}."
        loss, norm, rate, _ = self.step
        numbers = f"  Loss {loss:.6g}, gradient norm {norm:.6g} before clipping, learning rate {rate:.6g}; {where}."
        rows = [row for index in self._rows for row in index.tolist()]
        some = ", ".join(map(str, rows[:ROWS])) + (f" and {len(rows) - ROWS} more" if len(rows) > ROWS else "")
        return numbers + (f"\n  {amount(len(rows), 'row')} of the train split: {some}." if rows else "")


def _zoo_module(module: LightningModule) -> ZooModule:
    assert isinstance(module, ZooModule)
    return module


def _gradients(optimizer: Optimizer) -> list[Tensor]:
    return [values(p.grad) for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def _first_bad_weight(module: LightningModule) -> str | None:
    return next((name for name, p in module.named_parameters() if not whole(p.detach()).isfinite().all()), None)


def _first_bad_gradient(module: LightningModule) -> str:
    named = [(name, p.grad) for name, p in module.named_parameters() if p.grad is not None]
    bad = next((name for name, grad in named if not whole(values(grad)).isfinite().all()), None)
    return f"first bad gradient: {bad}" if bad else "every single gradient is finite"
