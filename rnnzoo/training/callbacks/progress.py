"""Progress of a run: a line for each epoch, and in a terminal a bar below it."""

import importlib.util
import math
import os
import sys
import time
from collections.abc import Mapping
from typing import SupportsFloat

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from tqdm import tqdm

from rnnzoo.batch import Batch
from rnnzoo.system import console
from rnnzoo.system.console import printable
from rnnzoo.system.quantities import amount, duration, roughly

BAR = "{desc}{percentage:3.0f} %|{bar:20}| {n_fmt} of {total_fmt} {unit}, {remaining} left{postfix}"
ENDLESS = "{desc}{n_fmt} {unit}, {elapsed}{postfix}"


FORECAST = 20  # steps after which a run says how long it will take
WARM = 5  # the first of them, which are slower: they compile and fill caches
MANY = 100  # steps; a shorter run is over before anybody asks


class Progress(Callback):
    """After 20 steps the time that a run will take; after each epoch a line: losses, dev scores, time, tokens a second,
    and about how long the rest takes.

    The bar is drawn in a terminal, and as a widget in a notebook. A file or the log of a CI job would keep each of its
    steps, so it gets the lines alone. The first process prints, on what `sys.stdout` is at that time.
    """

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._epoch: int | None = None  # the current one, from 0
        self._began = self._epoch_began = self._training = 0.0  # seconds; _training: of this epoch, in training batches
        self._first_step = self._tokens = 0
        self._validated = False
        self._trained = 0.0  # seconds in training batches, of all epochs
        self._warm: float | None = None  # the same when WARM steps were made
        self._forecasted = False

    # -- training --

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began, self._first_step, self._epoch = time.monotonic(), trainer.global_step, None
        self._trained, self._warm, self._forecasted = 0.0, None, False
        self._open(trainer, _steps(trainer), "steps", trainer.global_step)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close_epoch(trainer)
        self._epoch, self._tokens, self._training, self._validated = trainer.current_epoch, 0, 0.0, False
        self._epoch_began = time.monotonic()
        if self._bar is not None:
            self._bar.set_description_str(f"{_name(trainer, self._epoch)} ", refresh=True)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        self._batch_began = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        seconds = time.monotonic() - self._batch_began
        self._training += seconds
        self._tokens += getattr(batch, "tokens", 0)
        self._forecast(trainer, seconds)
        if self._bar is not None and self._bar.update(trainer.global_step - self._bar.n):
            loss = trainer.callback_metrics.get("train/loss_step")
            self._bar.set_postfix_str("" if loss is None else f"loss {printable(float(loss))}", refresh=False)

    def _forecast(self, trainer: Trainer, seconds: float) -> None:
        """Say once, after the first steps, how long the training takes; of validation nothing is known yet."""
        self._trained += seconds
        done = trainer.global_step - self._first_step
        if done >= WARM and self._warm is None:
            self._warm = self._trained
        if done < FORECAST or self._warm is None or self._forecasted:
            return
        self._forecasted = True
        left = _steps(trainer) - trainer.global_step
        each = (self._trained - self._warm) / (FORECAST - WARM)
        if trainer.is_global_zero and MANY <= left < math.inf and each > 0:
            time_left = f"about {roughly(each * left)} for the {amount(int(left), 'step')} to come"
            self._print(f"{1 / each:,.1f} steps/s: {time_left}, validation not counted")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = not trainer.sanity_checking

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close_epoch(trainer)
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def _close_epoch(self, trainer: Trainer) -> None:
        """Print the line of the last epoch. Its scores are complete once the next epoch begins or training ends."""
        if self._epoch is None:
            return
        speed = _summed(trainer, self._tokens) / self._training if self._training else 0.0
        if trainer.is_global_zero:
            done = trainer.global_step - self._first_step
            left = (_steps(trainer) - trainer.global_step) * (time.monotonic() - self._began) / max(1, done)
            rest = f"about {roughly(left)} left" if 0 < left < math.inf and not trainer.should_stop else ""
            times = [duration(time.monotonic() - self._epoch_began), f"{speed:,.0f} tokens/s" if speed else "", rest]
            shown = scores(trainer.callback_metrics, self._validated)
            self._print("  ".join([_name(trainer, self._epoch), *shown, ", ".join(filter(None, times))]))
        self._epoch = None

    def _print(self, line: str) -> None:
        if self._bar is None:
            console.print(line)
            console.flush()
        else:
            self._bar.write(console.escape(line), file=sys.stdout)

    # -- scoring outside of training --

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._open(trainer, sum(map(float, trainer.num_test_batches)), "batches")

    def on_test_batch_end(self, trainer: Trainer, *args: object, **kwargs: object) -> None:
        if self._bar is not None:
            self._bar.update()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._open(trainer, sum(map(float, trainer.num_val_batches)), "batches")

    def on_validation_batch_end(self, trainer: Trainer, *args: object, **kwargs: object) -> None:
        if self._bar is not None and trainer.state.fn == "validate":
            self._bar.update()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._close()

    # -- the bar --

    def _open(self, trainer: Trainer, total: float, unit: str, done: int = 0) -> None:
        make = bar_class()
        if trainer.is_global_zero and make is not None:
            known = int(total) if 0 <= total < math.inf else None
            shape = BAR if known else ENDLESS
            self._bar = make(
                total=known,
                initial=done,
                unit=unit,
                bar_format=shape if make is tqdm else shape.replace("{bar:20}", "{bar}"),  # a widget has a width
                file=sys.stdout,
                leave=False,
                mininterval=0.25,
                smoothing=0,
                dynamic_ncols=True,
                desc="" if unit == "steps" else "scoring ",
            )

    def _close(self) -> None:
        """Remove the bar, so that the next output has a line of its own."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def bar_class() -> type[tqdm] | None:
    """What draws a bar where the output goes; None where nothing does."""
    if in_terminal():
        return tqdm
    if in_notebook() and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as widget

        return widget
    return None


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


def in_terminal() -> bool:
    """Whether what is printed goes to a terminal that can draw over its last line."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def scores(metrics: Mapping[str, SupportsFloat], validated: bool) -> list[str]:
    """The losses and dev scores of an epoch, as they are printed; the losses first."""
    names = ["train/loss", *(["val/loss"] if validated else [])]
    names += sorted(name for name in metrics if validated and name.startswith("val/") and name != "val/loss")
    return [f"{name} {printable(float(metrics[name]))}" for name in names if name in metrics]


def _name(trainer: Trainer, epoch: int) -> str:
    last = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else None
    return f"epoch {epoch + 1}/{last}" if last else f"epoch {amount(epoch + 1)}"


def _steps(trainer: Trainer) -> float:
    """The number of the last step, at most."""
    return float(trainer.estimated_stepping_batches)


def _summed(trainer: Trainer, count: int) -> int:
    """The total over all processes, each of which calls this."""
    if trainer.world_size == 1:
        return count
    counts = torch.tensor(float(count), device=trainer.strategy.root_device)
    return int(float(trainer.strategy.reduce(counts, reduce_op="sum")))
