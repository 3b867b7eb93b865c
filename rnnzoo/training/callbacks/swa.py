"""Stochastic weight averaging: the mean of the weights at the ends of the last epochs."""

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch.optim.swa_utils import SWALR

from rnnzoo.errors import RecipeError
from rnnzoo.limits import Count, Positive, Share, checked
from rnnzoo.training.callbacks.averaging import Averaging


class SWA(Averaging):
    """The mean of the weights at the end of each of the last epochs, which are trained at a rate of their own.

    Of E epochs, the first `start` * E (rounded down, at most E - 1) are trained as without it. Then the schedule ends:
    the learning rate goes to `lr` in half a cosine over `annealing_epochs`, and stays; after `one_cycle`, momentum
    stays as it is.
    Source: Izmailov et al., arXiv:1803.05407. Differs: the statistics of BatchNorm are averaged, not computed anew.
    """

    @checked
    def __init__(self, lr: Positive, start: Share = 0.8, annealing_epochs: Count = 10) -> None:
        super().__init__()
        self.lr, self.start, self.annealing_epochs = lr, start, annealing_epochs

    def first(self, trainer: Trainer) -> int:
        """The first epoch whose end counts, from 0."""
        epochs = trainer.max_epochs
        if epochs is None or epochs < 1:
            raise RecipeError(
                "callbacks.swa averages over the last epochs, and the number of epochs is not known.\n"
                "  Give trainer.max_epochs beside max_steps, or take callbacks.ema, which counts steps."
            )
        return min(int(self.start * epochs), epochs - 1)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.average = None
        self.first(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == self.first(trainer):
            schedule = SWALR(trainer.optimizers[0], swa_lr=self.lr, anneal_epochs=self.annealing_epochs)
            trainer.strategy.lr_scheduler_configs = [LRSchedulerConfig(schedule)]

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: object) -> None:
        if self.average is None and self.due(trainer) and trainer.current_epoch >= self.first(trainer):
            self.begin(trainer, pl_module)
        else:
            super().on_train_batch_end(trainer, pl_module, *args)

    def due(self, trainer: Trainer) -> bool:
        return trainer.is_last_batch

    def share(self, updates: int) -> float:
        return 1 / (updates + 2)  # the average began as the first epoch's weights
