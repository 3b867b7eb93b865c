"""A recurrent network that reads and writes a series by segments."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.architectures.base import EACH, ONE, Architecture, LayerStack
from rnnzoo.architectures.encoded import Encoded
from rnnzoo.cells.base import CellLike, State
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.recurrence import select
from rnnzoo.engine.sequences import Sequences
from rnnzoo.limits import Count, Layers, Probability, Size, checked


class Segment(Architecture):
    """SegRNN: `segment` steps are one step of a cell, so a window of a hundred steps takes a few.

        e_i = relu(W [x_(i-1)w+1; ...; x_iw] + b)     segment i of w steps, zeros past a sequence's end
        h_i = cell(e_i, h_i-1)                        any cell, num_layers deep
        g_j = cell(q_j, h_n)                          segment j after the last one: one step each, all at once

    The queries q_j say which segment is meant; what a task reads from g_j is its head's business (`SegmentHead`). As
    an architecture for other tasks, each step has the output of its segment.
    Source: Lin, Lin, Wu, Zhao, Mo, Zhang, arXiv:2308.11200 (parallel multi-step forecasting).
    """

    reads_to_end = "a network of segments reads all steps of a segment before it answers the first"

    @checked
    def __init__(
        self,
        input_size: Size,
        cell: CellLike = "gru",
        hidden_size: Size = 128,
        segment: Count = 24,
        num_layers: Layers = 1,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        self.input_size, self.segment = input_size, segment
        self.embed = nn.Linear(segment * input_size, hidden_size)
        self.layers = LayerStack(hidden_size, cell, hidden_size, num_layers, dropout=dropout)
        self.query_size, self.output_size = hidden_size, self.layers.output_size

    @classmethod
    def answers(cls, **parameters: Any) -> frozenset[str]:
        return frozenset({ONE, EACH})

    def layer_groups(self) -> list[list[nn.Module]]:
        return [[self.embed], *self.layers.layer_groups()]

    def encode(self, x: Sequences, state: list[State] | None, need_state: bool) -> Encoded:
        count = -(-x.layout.time // self.segment)
        padded = F.pad(x.padded, (0, 0, 0, count * self.segment - x.layout.time))
        segments = padded.unflatten(1, (count, self.segment)).flatten(2)  # (batch, segments, segment * input_size)
        encoded = self.layers(F.relu(self.embed(segments)), -(-x.layout.lengths // self.segment), state, need_state)
        return _OfSteps(encoded, x.layout, self.segment)

    def ahead(self, queries: Tensor, state: list[State]) -> Tensor:
        """queries: (batch, segments, query_size); state: after the last segment read.

        Returns (batch, segments, output_size).
        """
        batch, count, _ = queries.shape
        each = torch.arange(batch, device=queries.device).repeat_interleave(count)
        encoded = self.layers(queries.flatten(0, 1).unsqueeze(1), None, select(state, each), need_state=False)
        answers: Tensor = encoded.last.unflatten(0, (batch, count))
        return answers


class _OfSteps(Encoded):
    """Outputs of segments as outputs of steps, made only if they are asked for."""

    def __init__(self, encoded: Encoded, layout: Layout, segment: int) -> None:
        self.last, self.state = encoded.last, encoded.state
        self._segments, self._layout, self._segment = encoded.outputs, layout, segment

    @cached_property
    def sequences(self) -> Sequences:  # type: ignore[override]
        outputs = self._segments.repeat_interleave(self._segment, 1)[:, : self._layout.time]
        return Sequences.of(outputs, self._layout.lengths)


class SegmentHead(nn.Module):
    """What asks a `Segment` for the steps after a window, and reads its answers.

        q_jc = [p_j; v_c]             p_j: learned for the j-th segment ahead, v_c: for the c-th series
        y_jc = W g_jc + b             the w steps of that segment

    horizon: steps. series: how many stand in turn in a batch's rows, each a variable of its own. width: numbers a
    step, as many as are read if None.
    """

    def __init__(self, architecture: Segment, horizon: int, series: int, width: int | None = None) -> None:
        super().__init__()
        half = architecture.query_size // 2
        width = width or architecture.input_size
        self.numbers = horizon * width
        self.positions = nn.Parameter(torch.randn(-(-horizon // architecture.segment), architecture.query_size - half))
        self.series = nn.Parameter(torch.randn(series, half))
        self.out = nn.Linear(architecture.output_size, architecture.segment * width)

    def queries(self, batch: int) -> Tensor:
        """(batch, segments, query_size) for so many rows, the series in turn."""
        count, series = len(self.positions), len(self.series)
        positions = self.positions.expand(series, -1, -1)
        queries = torch.cat([positions, self.series.unsqueeze(1).expand(-1, count, -1)], -1)
        return queries.repeat(batch // series, 1, 1)

    def forward(self, answers: Tensor) -> Tensor:
        """answers: (batch, segments, output_size). Returns (batch, horizon * width), step by step."""
        values: Tensor = self.out(answers).flatten(1)[:, : self.numbers]
        return values
