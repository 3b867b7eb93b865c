"""A training whose numbers are bad at chosen batches."""

from lightning.pytorch import Callback, LightningModule, Trainer


class Spoil(Callback):
    """Multiplies the loss of training batches, counted from 0 over all epochs, by numbers such as NaN."""

    def __init__(self, values: dict[int, float]) -> None:
        self.values = values
        self.factor = 1.0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        task_loss = pl_module.task.loss
        pl_module.task.loss = lambda *arguments: task_loss(*arguments) * (self.factor if trainer.training else 1.0)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        number = trainer.current_epoch * int(trainer.num_training_batches) + batch_idx
        self.factor = self.values.get(number, 1.0)
