"""The optimizers of rnnzoo: functions of the parameters. Their keyword-only arguments are what a recipe may set.

A plugin's optimizer is such a function or any subclass of `torch.optim.Optimizer`. Names are looked up in the registry:
the entry points under "rnnzoo.optimizers" in pyproject.toml.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop

from rnnzoo.limits import NonNegative, Positive, Probability
from rnnzoo.training import sparse
from rnnzoo.training.strategies.shares import is_shared_out

Params = Iterable[nn.Parameter] | Iterable[dict[str, Any]]


def _build(cls: Any, params: Params, fused_on: tuple[str, ...] = (), **settings: Any) -> Optimizer:
    """The optimizer, fused where all parameters allow it: dense Adam on a large embedding is ten times slower unfused.

    Raises: ValueError for sparse gradients with weight decay or momentum, which change all rows at each step.
    Unscaling stays the gradient scaler's work, as it is for an unfused optimizer: Lightning refuses to clip otherwise.
    """
    groups: list[Any] = list(params)
    tensors = [p for group in groups for p in (group["params"] if isinstance(group, dict) else [group])]
    any_sparse = any(map(sparse.marked, tensors))
    if any_sparse and (every := next((name for name in ("weight_decay", "momentum") if settings.get(name)), None)):
        raise ValueError(f"{every} changes every row of an embedding at each step, and sparse gradients have few rows")
    unfused = any_sparse or (cls not in (Adam, AdamW) and any(map(is_shared_out, tensors)))
    if fused_on and not unfused and all(p.device.type in fused_on and p.is_floating_point() for p in tensors):
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


class SparseAdam(Adam):
    """Adam that leaves the rows alone which a sparse gradient does not name; dense gradients are Adam's, and fused."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None if closure is None else torch.enable_grad()(closure)()
        held = []
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and p.grad.is_sparse:
                    self._step_rows(p, p.grad.coalesce(), group)
                    held.append((p, p.grad))
                    p.grad = None
        super().step()
        for p, gradient in held:
            p.grad = gradient
        return loss

    def _step_rows(self, p: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            state["step"] = torch.zeros((), device=p.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
        state["step"] += 1
        rows, g = gradient.indices()[0], gradient.values()
        if not len(rows):
            return
        beta1, beta2 = group["betas"]
        m = state["exp_avg"].index_select(0, rows).lerp_(g, 1 - beta1)
        v = state["exp_avg_sq"].index_select(0, rows).mul_(beta2).addcmul_(g, g, value=1 - beta2)
        state["exp_avg"].index_copy_(0, rows, m)
        state["exp_avg_sq"].index_copy_(0, rows, v)
        t = float(state["step"])
        scale = v.sqrt_().div_((1 - beta2**t) ** 0.5).add_(group["eps"])
        p.index_add_(0, rows, m / scale, alpha=-group["lr"] / (1 - beta1**t))


def sparse_adam(
    params: Params, *, lr: Positive = 1e-3, beta1: Probability = 0.9, beta2: Probability = 0.999, eps: Positive = 1e-8
) -> Optimizer:
    """Adam for embeddings with sparse gradients: the averages of a row wait while no batch has it.

    Parameters with dense gradients get plain Adam. Source: Kingma and Ba, arXiv:1412.6980, as `torch.optim.SparseAdam`.
    """
    groups: list[Any] = list(params)
    tensors = [p for group in groups for p in (group["params"] if isinstance(group, dict) else [group])]
    fused = all(p.device.type in FUSED and p.is_floating_point() for p in tensors)
    optimizer = SparseAdam(groups, lr=lr, betas=(beta1, beta2), eps=eps, fused=fused)
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]  # torch's own; see `_build`
    return optimizer
