"""An encoder that reads a sequence and a decoder that writes another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from rnnzoo.architectures.attention import DotAttention
from rnnzoo.architectures.base import SEQUENCE, Architecture, ArchitectureLike, Encoded, LayerStack, make_architecture
from rnnzoo.cells.base import CellLike, State, StateSpec
from rnnzoo.engine.layout import Sequences


class Memory(NamedTuple):
    """What a decoder sees of the source: the encoder's outputs (batch, steps, features) and where they are valid."""

    outputs: Tensor
    mask: Tensor

    def select(self, index: Tensor) -> Memory:
        """The memories of the chosen sequences, in the order of `index`."""
        return Memory(self.outputs.index_select(0, index), self.mask.index_select(0, index))


class EncoderDecoder(Architecture):
    """A recurrent encoder and a recurrent decoder that attends to it.

        m_1..n = encoder(x)                 any architecture that answers many to one
        s_0    = bridge(last m)             tanh of a linear map, or the decoder's own initial state
        s_t    = decoder(y_t-1, s_t-1)      any cell, num_layers deep
        o_t    = tanh(W [s_t; c_t])         c_t: attention of s_t over m

    Sources: Sutskever, Vinyals, Le, arXiv:1409.3215; Luong, Pham, Manning, arXiv:1508.04025.
    encoder: takes this cell and hidden_size where it does not name its own.
    """

    def __init__(
        self, input_size: int, cell: CellLike = "lstm", hidden_size: int = 128,
        encoder: ArchitectureLike = "bidirectional", num_layers: int = 1, dropout: float = 0.0,
        bridge: Literal["linear", "none"] = "linear", attention: Literal["dot", "none"] = "dot",
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size = input_size
        encoder = encoder if isinstance(encoder, Mapping) else {"name": encoder}
        own = {key: value for key, value in encoder.items() if value is not None}
        self.encoder = make_architecture({"cell": cell, "hidden_size": hidden_size, **own}, input_size)
        self.decoder = LayerStack(input_size, cell, hidden_size, num_layers, dropout=dropout)
        size = self.decoder.output_size
        self.output_size = size
        self.bridge = (
            nn.Linear(self.encoder.output_size, sum(map(_bridged, self._specs()))) if bridge == "linear" else None
        )
        self.attention = DotAttention(size, self.encoder.output_size) if attention == "dot" else None
        self.combine = nn.Linear(size + self.encoder.output_size, size) if self.attention else None

    @classmethod
    def answers(cls, **parameters: Any) -> frozenset[str]:
        return frozenset({SEQUENCE})

    def _specs(self) -> list[StateSpec]:
        return [spec for cell in self.decoder.cells for spec in cell.state_specs()]

    def encode(self, x: Sequences, state: list[State] | None, need_state: bool) -> Encoded:
        """The encoder's answer; its state is the decoder's first one."""
        encoded = self.encoder.encode(x, state, need_state=False)
        return Encoded(encoded.sequences, encoded.last, self.start(encoded) if need_state else None)

    def start(self, encoded: Encoded) -> list[State]:
        """The decoder's first state: every free state bridged from the encoder's last output."""
        like = encoded.last
        state = [cell.initial_state(len(like), like) for cell in self.decoder.cells]
        if self.bridge is None:
            return state
        specs = self._specs()
        pieces = iter(torch.tanh(self.bridge(like)).split([n for n in map(_bridged, specs) if n], -1))
        flat = iter(specs)
        return [tuple(_filled(next(flat), s, pieces) for s in layer) for layer in state]

    def remember(self, encoded: Encoded) -> Memory:
        """The memory that `decode` attends to."""
        return Memory(encoded.outputs, encoded.sequences.layout.mask)

    def decode(
        self, y: Tensor, memory: Memory, state: list[State], lengths: Tensor | None = None
    ) -> tuple[Tensor, list[State], Tensor | None]:
        """y: (batch, time, input_size), the previous targets; any number of steps at once.

        Returns features (batch, time, output_size), the state after the last step, and the attention (batch, time,
        steps), None without one.
        """
        decoded = self.decoder(y, lengths, state)
        assert decoded.state is not None
        if self.attention is None or self.combine is None:
            return decoded.outputs, decoded.state, None
        context, weights = self.attention(decoded.outputs, memory.outputs, memory.mask)
        return torch.tanh(self.combine(torch.cat([decoded.outputs, context], -1))), decoded.state, weights


def _bridged(spec: StateSpec) -> int:
    """How many numbers of a state the bridge fills: those of states that may be set; others begin as they are."""
    return math.prod(spec.shape) * (2 if spec.dtype is not None and spec.dtype.is_complex else 1) if spec.free else 0


def _filled(spec: StateSpec, state: Tensor, pieces: Iterator[Tensor]) -> Tensor:
    if not _bridged(spec):
        return state
    piece = next(pieces)
    if state.is_complex():
        return torch.view_as_complex(piece.to(state.real.dtype).unflatten(-1, (*spec.shape, 2)))
    return piece.unflatten(-1, spec.shape)
