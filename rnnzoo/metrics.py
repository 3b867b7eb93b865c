"""Means of whatever is measured, batch by batch."""

import torch
from torch import Tensor
from torchmetrics import Metric


class Mean(Metric):
    """The weighted mean of all values. One that is NaN makes it NaN: no batch is left out of a result.

    torchmetrics' own leaves NaN out, or, where told not to, the weights (1.9).
    """

    full_state_update = False
    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, value: Tensor, weight: float = 1.0) -> None:
        """value: any shape; each of its numbers counts for `weight`."""
        self.total += value.sum(dtype=self.total.dtype) * weight
        self.weight += value.numel() * weight

    def compute(self) -> Tensor:
        return self.total / self.weight


class Perplexity(Mean):
    """exp of the mean negative log-likelihood, each batch's mean in nats weighted by its tokens."""

    def compute(self) -> Tensor:
        return super().compute().exp()
