"""Optimizers and learning-rate schedules by name. The keyword-only parameters are what a recipe may set."""

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, NamedTuple

from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau, StepLR

from rnnzoo.limits import Count, Fraction, Limit, NonNegative, Positive, Probability, Share

Params = Iterable[nn.Parameter] | Iterable[dict[str, Any]]
Warmup = Annotated[float, Limit(0, 1, open_high=True)]  # a share of the steps


def _build(cls: Any, params: Params, fused_on: tuple[str, ...] = (), **settings: Any) -> Optimizer:
    """The optimizer, fused where all parameters allow it: dense Adam on a large embedding is ten times slower unfused.

    Unscaling stays the gradient scaler's work, as it is for an unfused optimizer: Lightning refuses to clip otherwise.
    """
    groups: list[Any] = list(params)
    tensors = [p for group in groups for p in (group["params"] if isinstance(group, dict) else [group])]
    if fused_on and all(p.device.type in fused_on and p.is_floating_point() for p in tensors):
        optimizer = cls(groups, fused=True, **settings)
        optimizer._step_supports_amp_scaling = False
        return optimizer
    return cls(groups, **settings)


FUSED = ("cpu", "cuda", "mps")


def adam(
    params: Params,
    *,
    lr: Positive = 1e-3,
    weight_decay: NonNegative = 0.0,
    beta1: Probability = 0.9,
    beta2: Probability = 0.999,
    eps: Positive = 1e-8,
) -> Optimizer:
    """Adam; weight decay is an L2 penalty. Source: Kingma and Ba, arXiv:1412.6980."""
    return _build(Adam, params, FUSED, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)


def adamw(
    params: Params,
    *,
    lr: Positive = 1e-3,
    weight_decay: NonNegative = 0.01,
    beta1: Probability = 0.9,
    beta2: Probability = 0.999,
    eps: Positive = 1e-8,
) -> Optimizer:
    """Adam with decoupled weight decay. Source: Loshchilov and Hutter, arXiv:1711.05101."""
    return _build(AdamW, params, FUSED, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)


def sgd(
    params: Params,
    *,
    lr: Positive = 0.1,
    momentum: Probability = 0.0,
    nesterov: bool = False,
    weight_decay: NonNegative = 0.0,
) -> Optimizer:
    """Stochastic gradient descent. `nesterov` has no effect without momentum."""
    nesterov = nesterov and momentum > 0
    return _build(SGD, params, FUSED, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)


def rmsprop(
    params: Params,
    *,
    lr: Positive = 1e-3,
    alpha: Probability = 0.99,
    momentum: Probability = 0.0,
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
) -> Optimizer:
    """RMSprop; `alpha` smooths the squared gradient. Source: Tieleman and Hinton, Coursera lecture 6.5, 2012."""
    return _build(RMSprop, params, lr=lr, alpha=alpha, momentum=momentum, eps=eps, weight_decay=weight_decay)


def nadam(
    params: Params,
    *,
    lr: Positive = 2e-3,
    weight_decay: NonNegative = 0.0,
    beta1: Probability = 0.9,
    beta2: Probability = 0.999,
    eps: Positive = 1e-8,
) -> Optimizer:
    """Adam with Nesterov momentum. Source: Dozat, ICLR 2016 workshop."""
    return _build(NAdam, params, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)


def radam(
    params: Params,
    *,
    lr: Positive = 1e-3,
    weight_decay: NonNegative = 0.0,
    beta1: Probability = 0.9,
    beta2: Probability = 0.999,
    eps: Positive = 1e-8,
) -> Optimizer:
    """Rectified Adam. Source: Liu et al., arXiv:1908.03265."""
    return _build(RAdam, params, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)


def adagrad(
    params: Params, *, lr: Positive = 1e-2, weight_decay: NonNegative = 0.0, eps: Positive = 1e-10
) -> Optimizer:
    """Adagrad. Source: Duchi et al., JMLR 12, 2011."""
    return _build(Adagrad, params, ("cpu",), lr=lr, eps=eps, weight_decay=weight_decay)


class Schedule(NamedTuple):
    """A scheduler and when it steps: after a "step", after an "epoch", or on the dev metric after one ("plateau")."""

    scheduler: LRScheduler
    interval: Literal["step", "epoch", "plateau"]


def _shaped(
    optimizer: Optimizer, total_steps: int, warmup: Warmup, shape: Callable[[float], float] | None = None
) -> Schedule:
    """A linear rise over the first `warmup` share of the steps, then `shape` of the share of the rest that is done."""
    rise = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        done = min(1.0, (step - rise) / max(1, total_steps - rise))
        return shape(done) if shape else 1.0

    return Schedule(LambdaLR(optimizer, factor), "step")


def constant(optimizer: Optimizer, total_steps: int, mode: str, *, warmup: Warmup = 0.0) -> Schedule:
    """lr, after the warm-up."""
    return _shaped(optimizer, total_steps, warmup)


def linear(optimizer: Optimizer, total_steps: int, mode: str, *, warmup: Warmup = 0.0) -> Schedule:
    """A straight line to zero at the last step."""
    return _shaped(optimizer, total_steps, warmup, lambda done: 1 - done)


def cosine(optimizer: Optimizer, total_steps: int, mode: str, *, warmup: Warmup = 0.0, final: Share = 0.0) -> Schedule:
    """Half a cosine down to `final` times lr. Source: Loshchilov and Hutter, arXiv:1608.03983, without restarts."""
    return _shaped(
        optimizer, total_steps, warmup, lambda done: final + (1 - final) * (1 + math.cos(math.pi * done)) / 2
    )


def inverse_sqrt(optimizer: Optimizer, total_steps: int, mode: str, *, warmup: Warmup = 0.1) -> Schedule:
    """lr * sqrt(w / step) after w steps of warm-up. Source: Vaswani et al., arXiv:1706.03762."""
    rise = max(1, round(warmup * total_steps))
    return Schedule(LambdaLR(optimizer, lambda step: min((step + 1) / rise, math.sqrt(rise / (step + 1)))), "step")


class OneCycle(OneCycleLR):
    """`OneCycleLR` that holds its last rate, in place of raising, in a run that takes more steps than announced."""

    def get_lr(self) -> list[Any]:
        if self.last_epoch > self.total_steps:
            return [group["lr"] for group in self.optimizer.param_groups]
        return super().get_lr()


def one_cycle(
    optimizer: Optimizer,
    total_steps: int,
    mode: str,
    *,
    warmup: Warmup = 0.15,
    start: Fraction = 0.04,
    final: Fraction = 4e-6,
) -> Schedule:
    """From `start` times lr up to lr and down to `final` times lr, momentum the other way. Source: arXiv:1708.07120."""
    if math.isclose(warmup * total_steps, 1):  # a rise of no steps at all divides by zero in torch
        warmup = 0.0
    peaks = [group["lr"] for group in optimizer.param_groups]
    scheduler = OneCycle(
        optimizer,
        max_lr=peaks,
        total_steps=total_steps,
        pct_start=warmup,
        cycle_momentum=any(group.get("momentum") or "betas" in group for group in optimizer.param_groups),
        div_factor=1 / start,
        final_div_factor=start / final,
    )
    return Schedule(scheduler, "step")


def step(
    optimizer: Optimizer, total_steps: int, mode: str, *, every_epochs: Count = 1, factor: Fraction = 0.5
) -> Schedule:
    """Times `factor` after every so many epochs."""
    return Schedule(StepLR(optimizer, step_size=every_epochs, gamma=factor), "epoch")


def plateau(
    optimizer: Optimizer,
    total_steps: int,
    mode: str,
    *,
    factor: Fraction = 0.5,
    patience: Annotated[int, Limit(0)] = 1,
) -> Schedule:
    """Times `factor` after more than `patience` evaluations in a row without a better metric; `mode`: max or min."""
    best: Literal["max", "min"] = "max" if mode == "max" else "min"
    # torch's relative threshold would take an equal negative metric for a better one
    return Schedule(ReduceLROnPlateau(optimizer, best, factor=factor, patience=patience, threshold=0), "plateau")


RUNTIME = frozenset({"params", "optimizer", "total_steps", "mode"})  # arguments that the run gives, not the recipe
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    function.__name__: function for function in (adagrad, adam, adamw, nadam, radam, rmsprop, sgd)
}
SCHEDULES: dict[str, Callable[..., Schedule]] = {
    function.__name__: function for function in (constant, cosine, inverse_sqrt, linear, one_cycle, plateau, step)
}
