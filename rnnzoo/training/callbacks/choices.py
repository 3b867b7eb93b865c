"""What a recipe may ask to watch a run: a function for each callback, named after it.

The keyword-only parameters are what a recipe may set, with their types, ranges and defaults; Lightning is imported when
a callback is built.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from rnnzoo.limits import Count, NonNegative, Positive, Probability, Share

if TYPE_CHECKING:
    from lightning.pytorch import Callback


def early_stopping(monitor: str, mode: str, *, patience: Count = 3, min_delta: NonNegative = 0.0) -> "Callback":
    """Stop after `patience` evaluations in a row of which none is better by more than `min_delta`."""
    from lightning.pytorch.callbacks import EarlyStopping

    return EarlyStopping(monitor=monitor, mode=mode, patience=patience, min_delta=min_delta, check_finite=False)


def attention(monitor: str, mode: str, *, sentences: Count = 2) -> "Callback":
    """Draw what a decoder attends to, for a few sentences of the dev part; see `training.callbacks.attention`."""
    from rnnzoo.training.callbacks.attention import AttentionPictures

    return AttentionPictures(sentences)


def ema(monitor: str, mode: str, *, decay: Probability = 0.999) -> "Callback":
    """Validate and keep an exponential moving average of the weights; see `rnnzoo.training.callbacks.ema`."""
    from rnnzoo.training.callbacks.ema import EMA

    return EMA(decay)


def nt_asgd(monitor: str, mode: Literal["max", "min"], *, interval: Count = 5) -> "Callback":
    """Validate and keep the mean of the weights since the dev metric was worse than the best `interval` before it."""
    from rnnzoo.training.callbacks.nt_asgd import NTASGD

    return NTASGD(monitor, mode, interval)


def swa(monitor: str, mode: str, *, lr: Positive, start: Share = 0.8, annealing_epochs: Count = 10) -> "Callback":
    """Validate and keep the mean of the weights of the epochs after `start`; see `training.callbacks.swa`."""
    from rnnzoo.training.callbacks.swa import SWA

    return SWA(lr, start, annealing_epochs)


def lr_monitor(monitor: str, mode: str, *, interval: Literal["step", "epoch"] = "step") -> "Callback":
    """Log the learning rate of each step that is logged, or of each epoch's start."""
    from rnnzoo.training.callbacks.learning_rate import LearningRate

    return LearningRate(interval)


AVERAGES = ("ema", "nt_asgd", "swa")  # each takes the model's weights for its own: one at a time
RUNTIME = frozenset({"monitor", "mode"})  # arguments that the run gives, not the recipe
CALLBACKS: "dict[str, Callable[..., Callback]]" = {
    function.__name__: function for function in (attention, early_stopping, ema, lr_monitor, nt_asgd, swa)
}
