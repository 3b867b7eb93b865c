"""Dilated recurrent network."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo import (
    CAUSAL,
    EACH,
    ONE,
    Architecture,
    CellLike,
    Encoded,
    Layers,
    Layout,
    Recurrence,
    Sequences,
    Size,
    State,
    checked,
    make_cell,
)


class Dilated(Architecture):
    """Layers of any cell, of which layer l reads its own state of s_l = 2^l steps ago: a skip through time.

        c_t^(l) = f(x_t^(l), c_{t - s_l}^(l)),   x^(l) the outputs of the layer below

    To the top layer, what is d steps back is about d / 2^(L-1) of its own steps away. Each layer is s_l interleaved
    recurrences, run side by side.
    Source: Chang et al., "Dilated recurrent neural networks", arXiv:1710.02224.
    num_layers: L; the dilations are 1, 2, 4, ..., 2^(L-1).
    """

    @checked
    def __init__(
        self, input_size: Size, cell: CellLike = "gru", hidden_size: Size = 128, num_layers: Layers = 4
    ) -> None:
        super().__init__()
        self.input_size = size = input_size
        self.layers = nn.ModuleList()
        for _ in range(num_layers):
            layer = Recurrence(make_cell(cell, size, hidden_size))
            self.layers.append(layer)
            size = layer.cell.output_size
        self.output_size = size

    @classmethod
    def answers(cls, **parameters: Any) -> frozenset[str]:
        return frozenset({ONE, EACH, CAUSAL})

    def encode(self, x: Sequences, state: list[State] | None, need_state: bool) -> Encoded:
        """state: for each layer (batch, s_l, *shape), by which of the coming steps, modulo s_l, continues it."""
        last: list[State] = []
        for depth, layer in enumerate(self.layers):
            dilation = 2**depth
            first = None if state is None else tuple(s.flatten(0, 1) for s in state[depth])
            outputs, end = layer(apart(x, dilation), first, need_state)
            x = together(outputs, x.layout, dilation)
            last += [turned(end, x.layout.lengths, dilation)] if need_state else []
        return Encoded(x, x.at_ends(), last if need_state else None)


def apart(x: Sequences, dilation: int) -> Sequences:
    """The steps t = k, k + dilation, ... of each sequence as sequence k of `dilation` that stand in its place."""
    layout = x.layout
    offsets = torch.arange(dilation)
    lengths = (layout.lengths[:, None] + dilation - 1 - offsets) // dilation
    padded = F.pad(x.padded_finite, (0, 0, 0, -layout.time % dilation))
    rows = padded.unflatten(1, (-1, dilation)).transpose(1, 2).flatten(0, 1)  # (batch * dilation, time, features)
    return Sequences(Layout(lengths.flatten(), rows.shape[1], layout.device), padded_finite=rows)


def together(x: Sequences, layout: Layout, dilation: int) -> Sequences:
    """The inverse of `apart`."""
    steps = x.padded_finite.unflatten(0, (layout.batch, dilation)).transpose(1, 2).flatten(1, 2)
    return Sequences(layout, padded_finite=steps[:, : layout.time])


def turned(state: State, lengths: Tensor, dilation: int) -> State:
    """(batch * dilation, *shape) to (batch, dilation, *shape), the state that the next step continues first."""
    places = (lengths[:, None] + torch.arange(dilation)) % dilation
    places = places + dilation * torch.arange(len(lengths))[:, None]
    return tuple(s[places.to(s.device)] for s in state)
