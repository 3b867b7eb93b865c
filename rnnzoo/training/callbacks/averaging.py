"""Averages of the weights over training: smoother than the last ones, and often better."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from rnnzoo.runs.state import State


class Averaging(Callback):
    """A running average of the weights and of running statistics, one update per optimizer step from `begin` on.

        a <- (1 - s_n) * a + s_n * w        n = 0, 1, ... updates so far; s_n = share(n)

    Validation, and the checkpoints saved then, use a instead of w; training continues with w, bit for bit. After
    training the model holds a. All parameters are averaged, and the floating-point buffers that checkpoints hold, such
    as the statistics of a BatchNorm. A subclass writes `share`, calls `begin`, and may override `due`.
    """

    exclusive: ClassVar[str] = "the model's weights for their own averages"
    expected_failures: ClassVar[dict[str, str]] = {"leaves_training_alone": "after training the model holds averages"}

    def __init__(self) -> None:
        self.average: list[Tensor] | None = None
        self._aside: list[Tensor] | None = None  # the training weights, while the averages are in the model
        self._updates = 0
        self._seen_step = 0

    def share(self, updates: int) -> float:
        """The newest weights' part of the average, in [0, 1], after so many updates."""
        raise NotImplementedError

    def due(self, trainer: Trainer) -> bool:
        """Whether the weights after this batch count; asked where the batch ended an optimizer step."""
        return True

    def begin(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the average with the current weights."""
        self.average = [w.clone() for w in _weights(pl_module)]
        self._aside, self._updates, self._seen_step = None, 0, trainer.global_step

    def state_dict(self) -> State:
        return {"average": self.average, "updates": self._updates, "seen_step": self._seen_step}

    def load_state_dict(self, state_dict: State) -> None:
        self.average, self._updates = state_dict["average"], int(state_dict["updates"])
        self._seen_step = int(state_dict["seen_step"])

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":  # before a state is loaded
            self.average = self._aside = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.average is not None:  # of a training that is resumed
            weights = _weights(pl_module)
            if [a.shape for a in self.average] != [w.shape for w in weights]:
                raise ValueError("the averaged weights have other shapes than the model's")
            self.average = [a.to(w.device) for a, w in zip(self.average, weights, strict=True)]

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: object) -> None:
        if self.average is None or trainer.global_step == self._seen_step or not self.due(trainer):
            return
        with torch.no_grad():
            torch._foreach_lerp_(self.average, _weights(pl_module), self.share(self._updates))
        self._updates += 1
        self._seen_step = trainer.global_step

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._swap_in(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.swap_out(pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.swap_out(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._swap_in(pl_module)
        self.average = self._aside = None

    @contextmanager
    def applied(self, pl_module: LightningModule) -> Iterator[None]:
        """Within the block the model holds the averages, whether or not it did before."""
        if self.average is None or self._aside is not None:
            yield
            return
        self._swap_in(pl_module)
        try:
            yield
        finally:
            self.swap_out(pl_module)

    @torch.no_grad()
    def _swap_in(self, pl_module: LightningModule) -> None:
        if self.average is not None and self._aside is None:
            weights = _weights(pl_module)
            self._aside = [w.clone() for w in weights]
            torch._foreach_copy_(weights, self.average)

    @torch.no_grad()
    def swap_out(self, pl_module: LightningModule) -> None:
        """Give the model its training weights back, where it holds the averages."""
        if self._aside is not None:
            torch._foreach_copy_(_weights(pl_module), self._aside)
            self._aside = None


def _weights(pl_module: LightningModule) -> list[Tensor]:
    saved = pl_module.state_dict(keep_vars=True)
    buffers = [b for name, b in pl_module.named_buffers() if name in saved and b.is_floating_point()]
    return [tensor.detach() for tensor in (*pl_module.parameters(), *buffers)]
