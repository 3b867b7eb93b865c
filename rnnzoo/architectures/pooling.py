"""One vector for a whole sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from rnnzoo.architectures.encoded import Encoded
from rnnzoo.engine.sequences import Sequences
from rnnzoo.layers.attention import masked_softmax

Pooling = Literal["last", "mean", "max", "max_mean", "attention"]


def _by_rows(encoded: Encoded) -> bool:
    """Whether to pool the packed rows, without their padding: in inference, on the CPU."""
    sequences = encoded.sequences
    on_cpu = sequences.layout.device.type == "cpu"
    return torch.is_inference_mode_enabled() and on_cpu and sequences.has_rows


def _rectangles(sequences: Sequences) -> Iterator[tuple[int, Tensor]]:
    """Runs of steps that the same sequences have: how many, longest first, and outputs (steps, live, features)."""
    sizes, counts = sequences.layout.batch_sizes.unique_consecutive(return_counts=True)
    at = 0
    for live, steps in zip(sizes.tolist(), counts.tolist(), strict=True):
        yield live, sequences.rows[at : at + live * steps].unflatten(0, (steps, live))
        at += live * steps


def mean(encoded: Encoded) -> Tensor:
    """(batch, features): the mean over each sequence's steps; zeros for an empty one."""
    if _by_rows(encoded):
        rows, layout = encoded.sequences.rows, encoded.sequences.layout
        total = rows.new_zeros(layout.batch, rows.shape[-1])
        for live, steps in _rectangles(encoded.sequences):
            total[:live] += steps.sum(0)
        return layout.unsort(total) / layout.lengths.clamp(min=1)[:, None].to(total)
    outputs, layout = encoded.outputs, encoded.sequences.layout
    lengths = layout.lengths.clamp(min=1).to(outputs.device)
    return outputs.sum(1) / lengths[:, None].to(outputs.dtype)


def maximum(encoded: Encoded) -> Tensor:
    """(batch, features): the maximum over each sequence's steps; zeros for an empty one."""
    if _by_rows(encoded):
        rows, layout = encoded.sequences.rows, encoded.sequences.layout
        top = rows.new_full((layout.batch, rows.shape[-1]), torch.finfo(rows.dtype).min)
        for live, steps in _rectangles(encoded.sequences):
            torch.maximum(top[:live], steps.amax(0), out=top[:live])
        top = layout.unsort(top)
        return top if layout.empty_mask is None else top.masked_fill(layout.empty_mask, 0)
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

    def absorb(self, kept: Mapping[str, Tensor], encoded: Encoded) -> dict[str, Tensor]:
        """What `pooled` needs of sequences that go on: of the steps before, which are `kept`, and of these.

        kept: empty at a beginning. encoded: one step at least of each sequence.
        """
        if self.name == "last":
            return {"last": encoded.last}
        if self.name == "attention":
            return self._absorb_weighted(kept, encoded)
        steps = encoded.sequences.layout.lengths[:, None].to(encoded.outputs.device)
        new = {"sum": encoded.outputs.double().sum(1), "steps": steps, "max": maximum(encoded)}
        if not kept:
            return new
        return {
            "sum": kept["sum"] + new["sum"],
            "steps": kept["steps"] + steps,
            "max": torch.maximum(kept["max"], new["max"]),
        }

    def _absorb_weighted(self, kept: Mapping[str, Tensor], encoded: Encoded) -> dict[str, Tensor]:
        """The sums of a softmax, relative to the highest score so far: top, total (batch, 1), sum (batch, features)."""
        scores = self.score(encoded.outputs).squeeze(-1).double()
        scores = scores.masked_fill(~encoded.sequences.layout.mask, -torch.inf)
        top = scores.amax(1, keepdim=True)
        top = torch.maximum(kept["top"], top) if kept else top
        weights = (scores - top).exp()
        total, summed = weights.sum(1, keepdim=True), (weights.unsqueeze(1) @ encoded.outputs.double()).squeeze(1)
        if kept:
            rescale = (kept["top"] - top).exp()
            total, summed = total + kept["total"] * rescale, summed + kept["sum"] * rescale
        return {"top": top, "total": total, "sum": summed}

    def pooled(self, kept: Mapping[str, Tensor]) -> Tensor:
        """(batch, output_size) of all steps that were absorbed, what `forward` gives for all of them at once."""
        if self.name == "last":
            return kept["last"]
        if self.name == "max":
            return kept["max"]
        if self.name == "attention":
            return (kept["sum"] / kept["total"]).to(next(self.score.parameters()).dtype)
        average = (kept["sum"] / kept["steps"]).to(kept["max"].dtype)
        return torch.cat([kept["max"], average], -1) if self.name == "max_mean" else average
