"""Stochastic weight averaging: the mean of the weights at the ends of the last epochs."""

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch.optim.swa_utils import SWALR

from rnnzoo.errors import RecipeError
from rnnzoo.limits import Count, Positive, Share, checked
from rnnzoo.runs.state import State
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
        self._schedule: SWALR | None = None
        self._schedule_state: State | None = None  # of the training that is resumed

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
        super().on_train_start(trainer, pl_module)
        self.first(trainer)
        if self._schedule_state is not None:
            self._start_schedule(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == self.first(trainer) and self._schedule is None:
            self._start_schedule(trainer)

    def _start_schedule(self, trainer: Trainer) -> None:
        """Put the rate's own schedule in the place of the recipe's; as it was saved, if the training is resumed."""
        optimizer = trainer.optimizers[0]
        rates = [{key: group[key] for key in group if key != "params"} for group in optimizer.param_groups]
        self._schedule = SWALR(optimizer, swa_lr=self.lr, anneal_epochs=self.annealing_epochs)
        if self._schedule_state is not None:
            self._schedule.load_state_dict(self._schedule_state)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group.update(rate)
        trainer.strategy.lr_scheduler_configs = [LRSchedulerConfig(self._schedule)]
        self._schedule_state = None

    def state_dict(self) -> State:
        schedule = None if self._schedule is None else self._schedule.state_dict()
        return super().state_dict() | {"schedule": schedule}

    def load_state_dict(self, state_dict: State) -> None:
        super().load_state_dict(state_dict)
        self._schedule_state = state_dict["schedule"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:
        if self._schedule is not None:  # a resumed training begins with the recipe's, which this state does not fit
            checkpoint["lr_schedulers"] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._schedule = self._schedule_state = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: object) -> None:
        if self.average is None and self.due(trainer) and trainer.current_epoch >= self.first(trainer):
            self.begin(trainer, pl_module)
        else:
            super().on_train_batch_end(trainer, pl_module, *args)

    def due(self, trainer: Trainer) -> bool:
        return trainer.is_last_batch

    def share(self, updates: int) -> float:
        return 1 / (updates + 2)  # the average began as the first epoch's weights
