"""How far a training is."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar


class Progress(TQDMProgressBar):
    """Lightning's bars, closed also when a run breaks or is stopped: what is said next has a line of its own."""

    def __init__(self, refresh_rate: int = 10) -> None:
        """refresh_rate: steps between two looks."""
        super().__init__(refresh_rate=refresh_rate, leave=False)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The metrics to show; a logger's run number is none."""
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        for bar in (self._val_progress_bar, self._test_progress_bar, self._train_progress_bar):
            if bar is not None:
                bar.close()
