"""A learning rate to begin with: steps at rising rates, and where the loss falls fastest.

Source: Smith, "Cyclical learning rates for training neural networks", arXiv:1506.01186 (the range test).
Differs: the suggestion is the rate of the steepest fall of the smoothed curve, as in Lightning's `Tuner.lr_find`. That
one writes the weights by pickle, and smooths over the steps behind, which moves the curve to higher rates; here
the smoothing is centred.
"""

from __future__ import annotations

import datetime
import math
import secrets
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo import runs
from rnnzoo.data.datamodule import ZooData
from rnnzoo.errors import RecipeError, RunError
from rnnzoo.experiment import build
from rnnzoo.experiment.initial import read_initial
from rnnzoo.experiment.interruptible import interruptible
from rnnzoo.pictures.lines import lines
from rnnzoo.pictures.theme import Picture
from rnnzoo.recipe import Recipe
from rnnzoo.system import files
from rnnzoo.system.launcher import rank
from rnnzoo.training.callbacks.memory import BatchSize
from rnnzoo.training.checks import check_batches, check_options
from rnnzoo.training.module import ZooModule
from rnnzoo.training.trainer import make_trainer, quiet

LOWEST, HIGHEST, STEPS = 1e-6, 100.0, 100  # the rates that are tried, evenly on a logarithmic scale
WIDTH = 3.0  # steps, the standard deviation of the bell by which losses are smoothed
RISE = 3.0  # times the lowest loss, or the fall to it: a loss that rises as much diverges
CLEAR = 1.0  # times the noise: of noise alone, one curve in ten falls as much
LEAST = 1e-3  # of the first loss: a fall that is less is none
FEWEST = 10  # steps with a finite loss
PICTURE = "find_lr.svg"
Curve = list[tuple[float, float]]  # learning rate, loss before the step that is made with it


class Found(NamedTuple):
    """now: the recipe's learning rate. suggestion: one to begin with. curve: what was tried. picture: its file."""

    now: float
    suggestion: float
    curve: Curve
    picture: Path


def find_lr(recipe: Recipe, run_dir: Path | None = None) -> Found:
    """Try learning rates on a resolved recipe, and draw their loss into `run_dir`, or a new folder in runs/RECIPE.

    Nothing is trained on, and no tracker hears of it. The recipe's schedule and callbacks are left out; it runs on one
    device, where no launcher has started more. Raises: RecipeError, DataError; RunError if no rate makes the loss fall.
    """
    runs.refuse_used(run_dir)
    with quiet():
        make_trainer(recipe)  # raises what Lightning refuses
    check_options(recipe)
    lr = recipe["optimizer"].get("lr")
    if not isinstance(lr, (int, float)) or not 0 < lr < math.inf:
        name = recipe["optimizer"]["name"]
        raise RecipeError(f"{recipe['name']}: optimizer '{name}' has no positive lr, so there is none to be found.")
    initial = read_initial(recipe)
    data = build.make_data(recipe, known=initial and initial.trained.spec)
    data.repeat = bool(recipe["trainer"]["overfit_batches"])
    check_batches(recipe, data)
    module = build.start(recipe, data, initial).module
    curve = sweep(recipe, module, data)
    suggestion, path = suggest(curve), _folder(recipe, run_dir) / PICTURE
    told = ""
    if len(curve) > 1 and rank() == 0:
        told = f"\n  The curve: {path}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise files.unwritable(path.parent, error) from error
        files.write_text(path, draw(recipe["name"], curve, suggestion).svg())
    if suggestion is None:
        raise RunError(f"no learning rate was found for {recipe['name']}: {_why(curve)}.{told}")
    return Found(lr, suggestion, curve, path)


def _folder(recipe: Recipe, run_dir: Path | None) -> Path:
    stamp = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    return run_dir or runs.ROOT / runs.slug(recipe["name"]) / f"{stamp}-find_lr"


def sweep(recipe: Recipe, module: ZooModule, data: ZooData) -> Curve:
    """The loss of each optimizer step at rising learning rates; ends early where it diverges.

    Groups of parameters keep their ratios. The module has its weights and its schedule back in the end.
    """
    rates = _Rates(recipe["optimizer"]["lr"])
    options = recipe["trainer"]
    given: dict[str, Any] = {"max_epochs": -1, "max_steps": STEPS, "limit_val_batches": 0, "val_check_interval": None}
    given |= {"log_every_n_steps": 1, "fast_dev_run": False, "overfit_batches": 0}
    given |= {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    if options["overfit_batches"]:
        given["limit_train_batches"] = options["overfit_batches"]
    weights = {name: value.clone() for name, value in module.model.state_dict().items()}
    trained = [parameter.requires_grad for parameter in module.parameters()]
    schedule, module.schedule = module.schedule, {"name": "constant"}
    try:
        with quiet():
            trainer = make_trainer(recipe, callbacks=[rates, BatchSize()], **given)
            interruptible(trainer, lambda: trainer.fit(module, data))
    finally:
        module.schedule = schedule
        module.model.load_state_dict(weights)
        module.forget_stream()
        for parameter, was in zip(module.parameters(), trained, strict=True):
            parameter.requires_grad_(was)
    return rates.curve


class _Rates(Callback):
    """Sets the learning rate of each optimizer step, and keeps its loss. lr: the recipe's own."""

    def __init__(self, lr: float) -> None:
        self.lr, self.curve = lr, Curve()
        self._ratios: list[float] = []  # of each group's learning rate to the recipe's

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        self._ratios = [float(group["lr"]) / self.lr for group in groups]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        for group, ratio in zip(groups, self._ratios, strict=True):
            group["lr"] = rate(trainer.global_step) * ratio

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        step = len(self.curve)
        if trainer.global_step == step:  # gradients are accumulated
            return
        loss = float(trainer.callback_metrics["train/loss_step"])
        self.curve.append((rate(step), loss))
        sound = all(bool(p.isfinite().all()) for p in pl_module.parameters() if p.requires_grad)
        if not (math.isfinite(loss) and sound) or diverges([loss for _, loss in self.curve]):
            trainer.should_stop = True


def rate(step: int) -> float:
    """The learning rate of a step, from 0."""
    return LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))


def diverges(losses: Sequence[float]) -> bool:
    """Whether the last loss is far above the lowest; losses may be negative."""
    return losses[-1] > _ceiling(losses)


def _ceiling(losses: Sequence[float]) -> float:
    lowest = min(losses)
    return lowest + RISE * max(abs(lowest), losses[0] - lowest)


def smoothed(losses: Sequence[float]) -> list[float]:
    """Means under a bell around each step; what diverges counts as the ceiling."""
    ceiling, reach = _ceiling(losses), round(3 * WIDTH)
    clipped = [min(loss, ceiling) for loss in losses]
    result = []
    for middle in range(len(clipped)):
        near = range(max(0, middle - reach), min(len(clipped), middle + reach + 1))
        weights = [math.exp(-(((step - middle) / WIDTH) ** 2) / 2) for step in near]
        result.append(math.fsum(w * clipped[s] for w, s in zip(weights, near, strict=True)) / math.fsum(weights))
    return result


def suggest(curve: Curve) -> float | None:
    """The rate, to two digits, at which the loss falls fastest; None if it does not fall by more than its noise."""
    finite = _finite(curve)
    if len(finite) < FEWEST:
        return None
    losses = [loss for _, loss in finite]
    smooth = smoothed(losses)
    lowest = min(range(len(smooth)), key=smooth.__getitem__)
    if lowest < 2:
        return None
    before = [*zip(losses, smooth, strict=True)][: lowest + 1]
    noise = math.sqrt(math.fsum((loss - mean) ** 2 for loss, mean in before) / len(before))
    level = median(smooth[:lowest])  # most rates are too low to change much
    if level - smooth[lowest] <= max(CLEAR * noise, LEAST * max(abs(losses[0]), abs(smooth[lowest]))):
        return None
    start = max(step for step in range(lowest) if smooth[step] >= level)
    steepest = min(range(max(1, start), lowest), key=lambda step: smooth[step + 1] - smooth[step - 1])
    return float(f"{finite[steepest][0]:.2g}")


def _finite(curve: Curve) -> Curve:
    return [point for point in curve if math.isfinite(point[1])]


def _why(curve: Curve) -> str:
    """Why there is no suggestion."""
    finite = _finite(curve)
    if not curve:
        return "the training split has no batch"
    if len(finite) < FEWEST:
        tried, loss = curve[-1]
        what = "diverges" if math.isfinite(loss) else f"is {loss:g}"
        return f"the loss {what} at step {len(curve)} already, at a rate of {tried:.2g}"
    losses = [loss for _, loss in finite]
    low, high = f"{curve[0][0]:.2g}", f"{curve[-1][0]:.2g}"
    return f"from {low} to {high} the loss never falls clearly: {losses[0]:.4g} at first, {min(losses):.4g} at best"


def draw(name: str, curve: Curve, suggestion: float | None = None) -> Picture:
    """The loss over the logarithm of the rate, smoothed too, and the suggestion. Raises: ValueError without a loss."""
    finite = _finite(curve)
    losses = [loss for _, loss in finite]
    if not losses:
        raise ValueError("a curve of learning rates has nothing to draw")
    ceiling, places = _ceiling(losses), [math.log10(tried) for tried, _ in finite]
    shown, smooth = [min(loss, ceiling) for loss in losses], smoothed(losses)
    named = {"mean": [*zip(places, smooth, strict=True)], "loss": [*zip(places, shown, strict=True)]}
    if suggestion is not None:
        place = math.log10(suggestion)
        nearest = min(range(len(places)), key=lambda step: abs(places[step] - place))
        named[f"{suggestion:g}"] = [(place, smooth[nearest])]
    return lines(f"Loss by learning rate: {name}", "log10 of the learning rate", named)
