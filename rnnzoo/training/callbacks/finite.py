"""Stops a training whose numbers are no longer finite, before it overwrites good weights."""

import math

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torch.optim import Optimizer

from rnnzoo.errors import RunError


class Finite(Callback):
    """NaN or infinity ends the run with one message, before a checkpoint is written. Place it before `Checkpoints`.

    It checks the loss and the gradient's norm, before clipping, at every optimizer step; the weights before each
    validation and at the end, where they could be saved; and the loss of each validation. One NaN would make all
    clipped gradients NaN. A step costs one norm and one number read back.

    With mixed float16 gradients overflow now and then: the loss scaler skips the step and halves its scale. Below a
    scale of 1 an overflow is not the scaler's, and ends the run.
    """

    def __init__(self) -> None:
        self._loss: Tensor | None = None  # summed over the batches of one step, nats or the task's own unit
        self._step: tuple[Tensor, float] | None = None  # loss and gradient norm of the last step, its learning rate

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._loss = self._step = None

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        loss = loss.detach()
        self._loss = loss if self._loss is None else self._loss + loss

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        gradients = _gradients(optimizer)
        norm = torch.nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())
        loss = norm.new_zeros(()) if self._loss is None else self._loss.to(norm)
        self._loss = None
        values = torch.stack((loss, norm))
        self._step = values, optimizer.param_groups[0]["lr"]
        finite = values.isfinite().tolist()  # waits for the device once
        scaler: torch.amp.GradScaler | None = getattr(trainer.precision_plugin, "scaler", None)
        skipped = scaler is not None and scaler.get_scale() >= 1
        if not finite[0]:
            raise self._broken(trainer, "the loss", self._first_gradient(pl_module))
        if not finite[1] and not skipped:
            raise self._broken(trainer, "the gradient", self._first_gradient(pl_module))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._check_weights(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loss = trainer.callback_metrics.get("val/loss")
        if trainer.state.fn == TrainerFn.FITTING and loss is not None and not math.isfinite(loss):
            raise self._broken(trainer, f"the loss of the dev part ({float(loss):.6g})", "every weight is finite")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check_weights(trainer, pl_module)

    def _check_weights(self, trainer: Trainer, pl_module: LightningModule) -> None:
        bad = next((name for name, p in pl_module.named_parameters() if not p.detach().isfinite().all()), None)
        if bad:
            raise self._broken(trainer, "a weight", f"first bad weight: {bad}")

    @staticmethod
    def _first_gradient(pl_module: LightningModule) -> str:
        named = [(name, p.grad) for name, p in pl_module.named_parameters() if p.grad is not None]
        bad = next((name for name, grad in named if not torch.isfinite(_values(grad)).all()), None)
        return f"first bad gradient: {bad}" if bad else "every single gradient is finite"

    def _broken(self, trainer: Trainer, what: str, where: str) -> RunError:
        step = "No step was made"
        if self._step is not None:
            (loss, norm), lr = self._step[0].tolist(), self._step[1]
            step = f"Loss {loss:.6g}, gradient norm {norm:.6g}, learning rate {lr:.6g}"
        return RunError(
            f"training broke at step {trainer.global_step}: {what} is not finite.\n"
            f"  {step}; {where}.\n"
            "  Nothing was overwritten: checkpoints saved before are good.\n"
            "  Try a lower optimizer.lr or trainer.gradient_clip_val, and look for NaN in the data."
        )


def _gradients(optimizer: Optimizer) -> list[Tensor]:
    return [_values(p.grad) for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def _values(gradient: Tensor) -> Tensor:
    """The numbers of a dense or sparse gradient."""
    return gradient._values() if gradient.is_sparse else gradient
