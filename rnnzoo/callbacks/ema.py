"""Averaged weights: smoother than the last ones, and often better."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor


class EMA(Callback):
    """Exponential moving average of all parameters, one update per optimizer step.

        d_n = min(decay, (1 + n) / (10 + n))        n = 0, 1, ... updates so far
        a  <- d_n * a + (1 - d_n) * w

    Validation sees a instead of w, and so do the checkpoints saved then; training goes on with w, bit for bit. After
    training the model holds a. Buffers are not averaged.
    Source: Polyak and Juditsky, 1992, for averaging; the warm-up is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, decay: float = 0.999) -> None:
        """decay: in [0, 1); 0.999 remembers about the last thousand steps."""
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.average: list[Tensor] | None = None
        self._aside: list[Tensor] | None = None  # the training weights, while the averages are in the model
        self._updates = 0
        self._seen_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.average = [p.detach().clone() for p in _parameters(pl_module)]
        self._aside, self._updates, self._seen_step = None, 0, trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: object) -> None:
        if self.average is None or trainer.global_step == self._seen_step:
            return  # a batch that only accumulated gradients
        decay = min(self.decay, (1 + self._updates) / (10 + self._updates))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, _parameters(pl_module), 1 - decay)
        self._updates += 1
        self._seen_step = trainer.global_step

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._swap_in(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._swap_out(pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._swap_out(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._swap_in(pl_module)
        self.average = self._aside = None

    @contextmanager
    def applied(self, pl_module: LightningModule) -> Iterator[None]:
        """Inside, the model holds the averages, whether or not it did before."""
        if self.average is None or self._aside is not None:
            yield
            return
        self._swap_in(pl_module)
        try:
            yield
        finally:
            self._swap_out(pl_module)

    @torch.no_grad()
    def _swap_in(self, pl_module: LightningModule) -> None:
        if self.average is not None and self._aside is None:
            parameters = _parameters(pl_module)
            self._aside = [p.detach().clone() for p in parameters]
            torch._foreach_copy_(parameters, self.average)

    @torch.no_grad()
    def _swap_out(self, pl_module: LightningModule) -> None:
        if self._aside is not None:
            torch._foreach_copy_(_parameters(pl_module), self._aside)
            self._aside = None


def _parameters(pl_module: LightningModule) -> list[Tensor]:
    return [p.detach() for p in pl_module.parameters()]
