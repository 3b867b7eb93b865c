"""Gradients that name the rows which a batch has touched, and no others: those of large embeddings.

A vocabulary of 10^6 words has few of them in a batch. A dense gradient, its norm and the optimizer's pass over it cost
what the vocabulary is large; sparse ones cost what the batch is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

MARK = "has_sparse_gradient"  # an attribute of such a parameter, which optimizers read


def parameters(model: nn.Module) -> list[Tensor]:
    """The weights of a model that have sparse gradients."""
    return [part.weight for part in model.modules() if isinstance(part, nn.Embedding) and part.sparse]


def mark(model: nn.Module) -> None:
    """Tell optimizers which weights have sparse gradients."""
    for parameter in parameters(model):
        setattr(parameter, MARK, True)


def marked(parameter: Tensor) -> bool:
    """Whether the parameter has sparse gradients."""
    return getattr(parameter, MARK, False)


def coalesce(model: nn.Module) -> None:
    """Add up, in each sparse gradient, what there is for the same row."""
    for parameter in parameters(model):
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()


def values(gradient: Tensor) -> Tensor:
    """The numbers of a gradient, dense or coalesced; a change of them is one of the gradient."""
    return gradient._values() if gradient.is_sparse else gradient


def clip(weights: Iterable[Tensor], limit: float, by_value: bool) -> None:
    """`torch.nn.utils.clip_grad_norm_` or `clip_grad_value_`, where some gradients are sparse."""
    gradients = [values(weight.grad) for weight in weights if weight.grad is not None]
    if by_value:
        for gradient in gradients:
            gradient.clamp_(-limit, limit)
    elif gradients:
        norm = torch.nn.utils.get_total_norm(gradients)
        torch._foreach_mul_(gradients, (limit / (norm + 1e-6)).clamp(max=1.0))


def refusal(make: Callable[..., torch.optim.Optimizer], settings: Mapping[str, Any]) -> str | None:
    """Why an optimizer cannot take sparse gradients, found by two steps of it; None where it can."""
    embedding, other = nn.Embedding(3, 1, sparse=True), nn.Linear(1, 1)
    mark(embedding)
    try:
        optimizer = make([embedding.weight, *other.parameters()], **settings)
        for _ in range(2):
            other(embedding(torch.tensor([1, 1]))).sum().backward()
            coalesce(embedding)
            optimizer.step()
    except (RuntimeError, ValueError, NotImplementedError, TypeError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return None
