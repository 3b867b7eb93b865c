"""The parts of a recipe that are Lightning's and the tracker's business: how to run it, what to watch, what to tell.

Each signature here is the schema of a section: its parameters with their types, ranges and defaults.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from rnnzoo.limits import COUNT, Limit

if TYPE_CHECKING:
    from lightning.pytorch import Callback

Share = Annotated[float, Limit(False, 0, 1)]
Count = Annotated[int, COUNT]
Devices = Annotated[int, COUNT] | Literal[-1, "auto"] | list[Annotated[int, Limit(True, 0)]]
Batches = Annotated[int, Limit(True, 0)] | Share  # so many batches, or a share of them: 1 is not 1.0


@dataclass(frozen=True)
class TrainerOptions:
    """Arguments of `lightning.Trainer`, by its names.

    devices: how many, -1 for all, "auto" for all of an accelerator (one process on the CPU), or a list of indices.
    limit_*_batches, overfit_batches: a whole number of batches, or a share of them as a float; None is all.
    max_time: "00:12:00:00", in days, hours, minutes and seconds: training ends with the batch in which it is over.
    precision: "auto" is bf16-mixed where the processor or GPU computes in bfloat16, and else 32-true.
    gradient_clip_val: the largest norm, or the largest value, of the gradient.
    """

    max_epochs: int = 5
    max_steps: Annotated[int, Limit(True, -1)] = -1
    max_time: str | None = None
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"] = "auto"
    devices: Devices = 1
    num_nodes: Count = 1
    strategy: Literal["auto", "ddp", "ddp_spawn", "ddp_notebook", "ddp_find_unused_parameters_true", "fsdp"] = "auto"
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true"] = "32-true"
    gradient_clip_val: float | None = None
    gradient_clip_algorithm: Literal["norm", "value"] = "norm"
    accumulate_grad_batches: int = 1
    limit_train_batches: Batches | None = None
    limit_val_batches: Batches | None = None
    limit_test_batches: Batches | None = None
    overfit_batches: Batches = 0.0
    val_check_interval: Count | Annotated[float, Limit(False, 0, 1, open_low=True)] | None = None
    check_val_every_n_epoch: Count = 1
    log_every_n_steps: int = 50
    deterministic: bool = False
    detect_anomaly: bool = False
    fast_dev_run: bool | Count = False
    enable_progress_bar: bool = True


@dataclass(frozen=True)
class TrackingOptions:
    """What Weights & Biases is told, if anything; a run's own files are written in any case.

    mode: "auto" is online where a key is configured and offline where none is. What is left open is as W&B's
    environment says (WANDB_PROJECT, WANDB_NAME, WANDB_RUN_GROUP, ...), or `wandb init`; then the project is "rnnzoo",
    and a run is named after its recipe, parts and seed.
    """

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    project: str | None = None
    group: str | None = None
    run_name: str | None = None
    tags: list[str] = field(default_factory=list)
    entity: str | None = None


# Callbacks: the keyword-only parameters are what a recipe may set; Lightning is imported when one is built.


def early_stopping(
    monitor: str, mode: str, *, patience: int = 3, min_delta: Annotated[float, Limit(False, 0)] = 0.0
) -> "Callback":
    """Stop after `patience` evaluations in a row of which none is better by more than `min_delta`."""
    from lightning.pytorch.callbacks import EarlyStopping

    return EarlyStopping(monitor=monitor, mode=mode, patience=patience, min_delta=min_delta, check_finite=False)


def attention(monitor: str, mode: str, *, sentences: Count = 2) -> "Callback":
    """Draw what a decoder attends to, for a few sentences of the dev part; see `rnnzoo.callbacks.attention`."""
    from rnnzoo.callbacks.attention import AttentionPictures

    return AttentionPictures(sentences)


def ema(monitor: str, mode: str, *, decay: Annotated[float, Limit(False, 0, 1, open_high=True)] = 0.999) -> "Callback":
    """Validate and keep an exponential moving average of the weights; see `rnnzoo.callbacks.ema`."""
    from rnnzoo.callbacks.ema import EMA

    return EMA(decay)


def nt_asgd(monitor: str, mode: Literal["max", "min"], *, interval: Count = 5) -> "Callback":
    """Validate and keep the mean of the weights since the dev metric was worse than the best `interval` before it."""
    from rnnzoo.callbacks.nt_asgd import NTASGD

    return NTASGD(monitor, mode, interval)


def swa(monitor: str, mode: str, *, lr: float, start: Share = 0.8, annealing_epochs: Count = 10) -> "Callback":
    """Validate and keep the mean of the weights over the epochs after the share `start`; see `rnnzoo.callbacks.swa`."""
    from rnnzoo.callbacks.swa import SWA

    return SWA(lr, start, annealing_epochs)


def lr_monitor(monitor: str, mode: str, *, interval: Literal["step", "epoch"] = "step") -> "Callback":
    """Log the learning rate of each step that is logged, or of each epoch's start."""
    from rnnzoo.callbacks.learning_rate import LearningRate

    return LearningRate(interval)


AVERAGES = ("ema", "nt_asgd", "swa")  # each takes the model's weights for its own: one at a time
RUNTIME = frozenset({"monitor", "mode"})  # arguments that the run gives, not the recipe
CALLBACKS: "dict[str, Callable[..., Callback]]" = {
    function.__name__: function for function in (attention, early_stopping, ema, lr_monitor, nt_asgd, swa)
}
