"""Logs the learning rate."""

from typing import Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer


class LearningRate(Callback):
    """Logs `lr`: the rate of each optimizer step that is logged, or of the start of each epoch.

    Lightning's own monitor logs each batch: several times a step where gradients are accumulated.
    """

    def __init__(self, interval: Literal["step", "epoch"] = "step") -> None:
        self.interval = interval

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if self.interval == "step":
            pl_module.log("lr", optimizer.param_groups[0]["lr"])

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.interval == "epoch":
            factor = getattr(pl_module, "rate_factor", 1.0)  # of a `ZooModule`, where bad numbers have lowered the rate
            pl_module.log("lr", trainer.optimizers[0].param_groups[0]["lr"] * factor)
