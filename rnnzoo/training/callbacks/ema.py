"""An exponential moving average of the weights."""

from lightning.pytorch import LightningModule, Trainer

from rnnzoo.limits import Probability, checked
from rnnzoo.training.callbacks.averaging import Averaging


class EMA(Averaging):
    """Exponential moving average of all parameters, one update per optimizer step.

        d_n = min(decay, (1 + n) / (10 + n))        n = 0, 1, ... updates so far
        a  <- d_n * a + (1 - d_n) * w

    Source: Polyak and Juditsky, 1992, for averaging; the warm-up is that of TensorFlow's ExponentialMovingAverage.
    """

    @checked
    def __init__(self, decay: Probability = 0.999) -> None:
        """decay: in [0, 1); 0.999 remembers about the last thousand steps."""
        super().__init__()
        self.decay = decay

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if self.average is None:
            self.begin(trainer, pl_module)

    def share(self, updates: int) -> float:
        return 1 - min(self.decay, (1 + updates) / (10 + updates))
