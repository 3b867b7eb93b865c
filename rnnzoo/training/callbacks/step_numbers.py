"""Logs what an optimizer step is made with: its learning rates, its gradient, and how often that is clipped."""

from __future__ import annotations

import math

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import GradClipAlgorithmType
from torch.optim import Optimizer

from rnnzoo.runs.state import State
from rnnzoo.training.callbacks.finite import Finite
from rnnzoo.training.sparse import values


class StepNumbers(Callback):
    """One line in `log_every_n_steps` has `train/lr`, `train/grad_norm` and, with clipping, `train/clipped_share`.

    train/lr: of each group of parameters, `train/lr/0`, `train/lr/1`, ... where there are several. train/grad_norm:
    before clipping, as `finite` has measured it; place this callback after it. train/clipped_share: of the steps since
    the line before, those whose gradient was larger than the limit, 0 to 1.
    """

    def __init__(self, finite: Finite) -> None:
        self.finite = finite
        self._steps = self._clipped = 0  # since the last line

    def state_dict(self) -> State:
        return {"steps": self._steps, "clipped": self._clipped}

    def load_state_dict(self, state_dict: State) -> None:
        self._steps, self._clipped = int(state_dict["steps"]), int(state_dict["clipped"])

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        assert self.finite.step is not None
        norm, limit = self.finite.step.norm, float(trainer.gradient_clip_val or math.inf)
        self._steps += 1
        self._clipped += limit < norm < math.inf and _clips(trainer, optimizer, limit)
        if (trainer.global_step + 1) % max(1, trainer.log_every_n_steps):  # type: ignore[attr-defined]
            return
        groups = optimizer.param_groups
        rates = {"train/lr" if len(groups) == 1 else f"train/lr/{i}": group["lr"] for i, group in enumerate(groups)}
        clipped = {"train/clipped_share": self._clipped / self._steps} if limit < math.inf else {}
        pl_module.log_dict({**rates, "train/grad_norm": norm, **clipped}, rank_zero_only=True)
        self._steps = self._clipped = 0


def _clips(trainer: Trainer, optimizer: Optimizer, limit: float) -> bool:
    """Whether a gradient whose norm is above the limit is clipped: by value only if one of its numbers is, too."""
    if trainer.gradient_clip_algorithm != GradClipAlgorithmType.VALUE:
        return True
    gradients = [values(p.grad) for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients, math.inf)) > limit
