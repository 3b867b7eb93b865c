"""Attention of queries over a sequence of memories."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` is True; zeros elsewhere, and where a whole row is masked."""
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
    return weights.masked_fill(~mask, 0)


class DotAttention(nn.Module):
    """Multiplicative attention: what of the memory each query asks for.

        a = softmax(q^T W m)        over the valid steps of the memory
        c = sum a m

    Source: Luong, Pham, Manning, arXiv:1508.04025 (the "general" score).
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(memory_size, query_size, bias=False)

    def forward(self, query: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """query: (batch, time, query_size); memory: (batch, steps, memory_size); mask: (batch, steps) bool.

        Returns the context (batch, time, memory_size) and the weights (batch, time, steps).
        """
        scores = query @ self.key(memory).transpose(1, 2)
        weights = masked_softmax(scores, mask.unsqueeze(1))
        return weights @ memory, weights
