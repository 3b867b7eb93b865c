"""Learning-rate schedules: functions of the optimizer, whose keyword-only arguments are what a recipe may set.

A schedule returns, or is, one of torch's `LRScheduler`. It may ask for `total_steps`, the optimizer steps of the whole
run, and for `mode`, "max" or "min", whichever is better for the monitored metric.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau, StepLR

from rnnzoo.limits import Count, Fraction, Limit, Share

Warmup = Annotated[float, Limit(0, 1, open_high=True)]  # a share of the steps
Interval = Literal["step", "epoch", "plateau"]


def interval(schedule: object) -> Interval:
    """When a schedule steps: after each optimizer "step", after an "epoch", or after an evaluation ("plateau").

    schedule: the scheduler, or its class. Its attribute `interval` says so; without one it is "step", and "plateau" for
    torch's ReduceLROnPlateau.
    """
    cls = schedule if isinstance(schedule, type) else type(schedule)
    return getattr(schedule, "interval", "plateau" if issubclass(cls, ReduceLROnPlateau) else "step")


def _shaped(
    optimizer: Optimizer, total_steps: int, warmup: Warmup, shape: Callable[[float], float] | None = None
) -> LRScheduler:
    """A linear rise over the first `warmup` share of the steps, then `shape` of the share of the rest that is done."""
    rise = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        done = min(1.0, (step - rise) / max(1, total_steps - rise))
        return shape(done) if shape else 1.0

    return LambdaLR(optimizer, factor)


def constant(optimizer: Optimizer, total_steps: int, *, warmup: Warmup = 0.0) -> LRScheduler:
    """lr, after the warm-up."""
    return _shaped(optimizer, total_steps, warmup)


def linear(optimizer: Optimizer, total_steps: int, *, warmup: Warmup = 0.0) -> LRScheduler:
    """A straight line to zero at the last step."""
    return _shaped(optimizer, total_steps, warmup, lambda done: 1 - done)


def cosine(optimizer: Optimizer, total_steps: int, *, warmup: Warmup = 0.0, final: Share = 0.0) -> LRScheduler:
    """Half a cosine down to `final` times lr. Source: Loshchilov and Hutter, arXiv:1608.03983, without restarts."""
    return _shaped(
        optimizer, total_steps, warmup, lambda done: final + (1 - final) * (1 + math.cos(math.pi * done)) / 2
    )


def inverse_sqrt(optimizer: Optimizer, total_steps: int, *, warmup: Warmup = 0.1) -> LRScheduler:
    """lr * sqrt(w / step) after w steps of warm-up. Source: Vaswani et al., arXiv:1706.03762."""
    rise = max(1, round(warmup * total_steps))
    return LambdaLR(optimizer, lambda step: min((step + 1) / rise, math.sqrt(rise / (step + 1))))


class OneCycle(OneCycleLR):
    """`OneCycleLR` that holds its last rate, in place of raising, in a run that takes more steps than announced."""

    def get_lr(self) -> list[Any]:
        if self.last_epoch > self.total_steps:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()


def one_cycle(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup: Warmup = 0.15,
    start: Fraction = 0.04,
    final: Fraction = 4e-6,
) -> LRScheduler:
    """From `start` times lr up to lr and down to `final` times lr, momentum the other way. Source: arXiv:1708.07120."""
    if math.isclose(warmup * total_steps, 1):  # a rise of no steps at all divides by zero in torch
        warmup = 0.0
    peaks = [group["lr"] for group in optimizer.param_groups]
    return OneCycle(
        optimizer,
        max_lr=peaks,
        total_steps=total_steps,
        pct_start=warmup,
        cycle_momentum=any(group.get("momentum") or "betas" in group for group in optimizer.param_groups),
        div_factor=1 / start,
        final_div_factor=start / final,
    )


class Step(StepLR):
    """Times `factor` after every so many epochs."""

    interval: Interval = "epoch"

    def __init__(self, optimizer: Optimizer, *, every_epochs: Count = 1, factor: Fraction = 0.5) -> None:
        super().__init__(optimizer, step_size=every_epochs, gamma=factor)


class Plateau(ReduceLROnPlateau):
    """Times `factor` after more than `patience` evaluations in a row without a better metric; `mode`: max or min."""

    interval: Interval = "plateau"

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["max", "min"],
        *,
        factor: Fraction = 0.5,
        patience: Annotated[int, Limit(0)] = 1,
    ) -> None:
        # torch's relative threshold would take an equal negative metric for a better one
        super().__init__(optimizer, mode, factor=factor, patience=patience, threshold=0)
