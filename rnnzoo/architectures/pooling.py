"""One vector for a whole sequence."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from rnnzoo.architectures.encoded import Encoded
from rnnzoo.layers.attention import masked_softmax

Pooling = Literal["last", "mean", "max", "max_mean", "attention"]


def mean(encoded: Encoded) -> Tensor:
    """(batch, features): the mean over each sequence's steps; zeros for an empty one."""
    outputs, layout = encoded.outputs, encoded.sequences.layout
    lengths = layout.lengths.clamp(min=1).to(outputs.device)
    return outputs.sum(1) / lengths[:, None].to(outputs.dtype)


def maximum(encoded: Encoded) -> Tensor:
    """(batch, features): the maximum over each sequence's steps; zeros for an empty one."""
    outputs, layout = encoded.sequences.padded_finite, encoded.sequences.layout
    if layout.time == 0:
        return outputs.new_zeros(layout.batch, outputs.shape[-1])
    if not layout.no_padding:
        outputs = outputs.masked_fill(~layout.mask.unsqueeze(-1), torch.finfo(outputs.dtype).min)
    pooled = outputs.amax(1)
    return pooled if layout.empty_mask is None else pooled.masked_fill(layout.empty_mask, 0)


class Pool(nn.Module):
    """Pool the outputs (batch, time, features) of an architecture into (batch, output_size).

    last: the last output of each direction. mean, max: over the steps. max_mean: both, side by side. attention: a
    weighted mean, each step's weight the softmax of u^T tanh(W h) (Yang et al., NAACL 2016, doi:10.18653/v1/N16-1174).
    """

    def __init__(self, name: Pooling, features: int) -> None:
        super().__init__()
        self.name = name
        self.output_size = features * (2 if name == "max_mean" else 1)
        if name == "attention":
            self.score = nn.Sequential(nn.Linear(features, features), nn.Tanh(), nn.Linear(features, 1, bias=False))

    def forward(self, encoded: Encoded) -> Tensor:
        """Returns (batch, output_size)."""
        if self.name == "last":
            return encoded.last
        if self.name == "mean":
            return mean(encoded)
        if self.name == "max":
            return maximum(encoded)
        if self.name == "max_mean":
            return torch.cat([maximum(encoded), mean(encoded)], -1)
        weights = masked_softmax(self.score(encoded.outputs).squeeze(-1), encoded.sequences.layout.mask)
        return (weights.unsqueeze(1) @ encoded.outputs).squeeze(1)
