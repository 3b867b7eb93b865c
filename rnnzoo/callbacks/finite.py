"""Stops a training that has broken before it overwrites good weights."""

import math

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from rnnzoo.errors import RunError


class Finite(Callback):
    """Checks the loss and the gradient's norm, before clipping, at every optimizer step; NaN or infinity ends the run.

    One NaN would make all clipped gradients NaN. The check costs one norm and one number read back per step.
    With mixed float16 a gradient that overflows is ordinary, the loss scaler skips it: there only the loss is checked.
    """

    def __init__(self) -> None:
        self._loss: Tensor | None = None  # summed over the batches of one step, nats or the task's own unit

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._loss = None

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        loss = loss.detach()
        self._loss = loss if self._loss is None else self._loss + loss

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        gradients = [] if trainer.precision == "16-mixed" else _gradients(optimizer)
        norm = torch.nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())
        loss = norm.new_zeros(()) if self._loss is None else self._loss.to(norm)
        self._loss = None
        values = torch.stack((loss, norm)).tolist()  # one wait for the device
        if not all(map(math.isfinite, values)):
            raise RunError(self._message(trainer, pl_module, optimizer, *values))

    def _message(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer, loss: float, norm: float
    ) -> str:
        lr = optimizer.param_groups[0]["lr"]
        named = [(name, p.grad) for name, p in pl_module.named_parameters() if p.grad is not None]
        bad = next((name for name, grad in named if not torch.isfinite(_values(grad)).all()), None)
        where = f"first bad gradient: {bad}" if bad else "every single gradient is finite"
        what = "loss" if not math.isfinite(loss) else "gradient"
        return (
            f"training broke at step {trainer.global_step}: the {what} is not finite.\n"
            f"  Loss {loss:.6g}, gradient norm {norm:.6g}, learning rate {lr:.6g}; {where}.\n"
            "  Nothing was overwritten: the checkpoints saved before are good.\n"
            "  Try a lower optimizer.lr or trainer.gradient_clip_val, and look for NaN in the data."
        )


def _gradients(optimizer: Optimizer) -> list[Tensor]:
    return [_values(p.grad) for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def _values(gradient: Tensor) -> Tensor:
    """The numbers of a dense or sparse gradient."""
    return gradient._values() if gradient.is_sparse else gradient
