"""Attention of queries over a sequence of memories."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` is True; zeros elsewhere, and where a whole row is masked."""
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
    return weights.masked_fill(~mask, 0)


class Attention(nn.Module):
    """What of a memory each query asks for.

        a_i = softmax_i score(q, m_i)       over the valid steps of the memory
        c   = sum_i a_i m_i

    A subclass says what the score is, and `keys`: what of it needs the memory alone, computed once a sequence.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()

    def keys(self, memory: Tensor) -> Tensor:
        """(batch, steps, memory_size) to (batch, steps, query_size)."""
        raise NotImplementedError

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """query: (batch, time, query_size). Returns (batch, time, steps)."""
        return query @ keys.transpose(1, 2)

    def forward(self, query: Tensor, keys: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """query: (batch, time, query_size); memory: (batch, steps, memory_size), with its keys; mask: (batch, steps).

        Returns the context (batch, time, memory_size) and the weights (batch, time, steps).
        """
        weights = masked_softmax(self.scores(query, keys), mask.unsqueeze(1))
        return weights @ memory, weights


class DotAttention(Attention):
    """score(q, m) = q^T m. Source: Luong, Pham, Manning, arXiv:1508.04025, "dot".

    Raises: ValueError if queries and memories differ in size.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        if query_size != memory_size:
            raise ValueError(
                f"attention: dot needs a decoder of the encoder's output size {memory_size}, got {query_size}; "
                "attention: bilinear takes any two sizes"
            )

    def keys(self, memory: Tensor) -> Tensor:
        return memory


class BilinearAttention(Attention):
    """score(q, m) = q^T W m. Source: Luong, Pham, Manning, arXiv:1508.04025, "general"."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.key = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        keys: Tensor = self.key(memory)
        return keys


class AdditiveAttention(Attention):
    """score(q, m) = v^T tanh(W q + U m). Source: Bahdanau, Cho, Bengio, arXiv:1409.0473.

    Differs: q is the decoder's state after the step, as in Luong, Pham, Manning, arXiv:1508.04025.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.key = nn.Linear(memory_size, query_size)
        self.query = nn.Linear(query_size, query_size, bias=False)
        self.score = nn.Linear(query_size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        keys: Tensor = self.key(memory)
        return keys

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        scores: Tensor = self.score(torch.tanh(self.query(query).unsqueeze(2) + keys.unsqueeze(1))).squeeze(-1)
        return scores


ATTENTIONS: dict[str, type[Attention]] = {
    "additive": AdditiveAttention,
    "bilinear": BilinearAttention,
    "dot": DotAttention,
}
