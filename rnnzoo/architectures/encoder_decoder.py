"""An encoder that reads a sequence and a decoder that writes another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from rnnzoo.architectures.base import SEQUENCE, Architecture, ArchitectureLike, LayerStack, make_architecture
from rnnzoo.architectures.decoder import Decoded
from rnnzoo.architectures.encoded import Encoded
from rnnzoo.cells.base import CellLike, State, StateSpec, make_cell
from rnnzoo.engine.recurrence import select
from rnnzoo.engine.sequences import Sequences
from rnnzoo.layers.attention import ATTENTIONS
from rnnzoo.limits import Layers, Probability, Size, checked


class Memory(NamedTuple):
    """What the decoder attends to: the encoder's outputs (batch, steps, features), their keys for the attention
    (batch, steps, size), and where they are valid (batch, steps)."""

    outputs: Tensor
    keys: Tensor
    mask: Tensor

    def select(self, index: Tensor) -> Memory:
        """The memories of the chosen sequences, in the order of `index`."""
        return Memory(*(part.index_select(0, index) for part in self))


class AttentionState(NamedTuple):
    """memory: a row for each sequence. hidden: the decoder's state, as many rows for each of these as it has
    hypotheses, one after the other."""

    memory: Memory
    hidden: list[State]

    def select(self, rows: Tensor) -> AttentionState:
        """The chosen hypotheses; rows: (hypotheses,) int64, as many for each sequence that is left."""
        hypotheses = len(self.hidden[0][0]) // len(self.memory.mask)
        sequences = torch.unique_consecutive(rows // hypotheses)
        return AttentionState(self.memory.select(sequences), select(self.hidden, rows))


class EncoderDecoder(Architecture):
    """A recurrent encoder and a recurrent decoder that attends to it.

        m_1..n = encoder(x)                     any architecture that answers many to one
        s_0    = bridge(last m)                 tanh of a linear map, or the decoder's own initial state
        s_t    = decoder(y_t-1, s_t-1)          any cell, num_layers deep
        c_t    = attention of s_t over m        see `rnnzoo.layers.attention`
        o_t    = tanh(W [s_t; c_t])             s_t itself without attention

    With input_feeding the decoder reads [y_t-1; o_t-1] and knows what it attended to before, o_0 = 0; it then takes one
    step at a time, where it otherwise takes all steps of a training target at once.
    Sources: Sutskever, Vinyals, Le, arXiv:1409.3215; Luong, Pham, Manning, arXiv:1508.04025.

    encoder: takes this cell and hidden_size where it does not name its own. dropout: of m and of s_t, and between
    layers.
    """

    reads_to_end = "an encoder-decoder reads to the end before it writes"

    @checked
    def __init__(
        self,
        input_size: Size,
        cell: CellLike = "lstm",
        hidden_size: Size = 128,
        encoder: ArchitectureLike = "bidirectional",
        num_layers: Layers = 1,
        dropout: Probability = 0.0,
        bridge: Literal["linear", "none"] = "linear",
        attention: Literal["additive", "bilinear", "dot", "none"] = "bilinear",
        input_feeding: bool = False,
    ) -> None:
        super().__init__()
        if input_feeding and attention == "none":
            raise ValueError("input_feeding feeds what was attended to, and attention is none")
        self.input_size, self.input_feeding = input_size, input_feeding
        encoder = encoder if isinstance(encoder, Mapping) else {"name": encoder}
        settings = {key: value for key, value in encoder.items() if value is not None}
        self.encoder = make_architecture({"cell": cell, "hidden_size": hidden_size, **settings}, input_size)
        fed = make_cell(cell, input_size, hidden_size).output_size if input_feeding else 0
        self.decoder = LayerStack(input_size + fed, cell, hidden_size, num_layers, dropout=dropout)
        self.output_size = size = self.decoder.output_size
        self.dropout = nn.Dropout(dropout)
        memory_size = self.encoder.output_size
        self.bridge = nn.Linear(memory_size, sum(map(_bridged, self._specs()))) if bridge == "linear" else None
        self.attention = None if attention == "none" else ATTENTIONS[attention](size, memory_size)
        self.combine = nn.Linear(size + memory_size, size) if self.attention else None

    @classmethod
    def answers(cls, **parameters: Any) -> frozenset[str]:
        return frozenset({SEQUENCE})

    def _specs(self) -> list[StateSpec]:
        return [spec for cell in self.decoder.cells for spec in cell.state_specs()]

    def layer_groups(self) -> list[list[nn.Module]]:
        return self.encoder.layer_groups()

    def target_decoder(self) -> EncoderDecoder:
        return self

    @property
    def attends(self) -> bool:
        """Whether the decoder has an attention."""
        return self.attention is not None

    def encode(self, x: Sequences, state: list[State] | None, need_state: bool) -> Encoded:
        """What the encoder makes of x."""
        return self.encoder.encode(x, state, need_state)

    def start(self, encoded: Encoded) -> AttentionState:
        """The encoder's outputs as memory, and the decoder's first hidden state."""
        hidden = self._first_hidden(encoded)
        return AttentionState(self._memory(encoded), hidden)

    def _first_hidden(self, encoded: Encoded) -> list[State]:
        """Every free state bridged from the encoder's last output, and o_0 if it is fed."""
        like = encoded.last
        state = [cell.initial_state(len(like), like) for cell in self.decoder.cells]
        if self.bridge is not None:
            specs = self._specs()
            pieces = iter(torch.tanh(self.bridge(like)).split([n for n in map(_bridged, specs) if n], -1))
            flat = iter(specs)
            state = [tuple(_filled(next(flat), s, pieces) for s in layer) for layer in state]
        return [*state, (like.new_zeros(len(like), self.output_size),)] if self.input_feeding else state

    def _memory(self, encoded: Encoded) -> Memory:
        outputs = self.dropout(encoded.outputs)
        keys = outputs if self.attention is None else self.attention.keys(outputs)
        return Memory(outputs, keys, encoded.sequences.layout.mask)

    def decode(self, y: Tensor, state: AttentionState, lengths: Tensor | None = None) -> Decoded:
        """As `Decoder.decode`. y: (batch, time, input_size); in a beam search, a row for each hypothesis."""
        memory, hidden = state
        if not self.input_feeding:
            features, hidden, weights = self._advance(y, memory, hidden, lengths)
            return Decoded(features, AttentionState(memory, hidden), weights)
        steps = []
        for step in y.unbind(1):
            *hidden, (fed,) = hidden
            features, hidden, weights = self._advance(torch.cat([step, fed], -1).unsqueeze(1), memory, hidden)
            hidden = [*hidden, (features.squeeze(1),)]
            steps.append((features, weights))
        features, weights = (torch.cat(parts, 1) for parts in zip(*steps, strict=True))
        return Decoded(features, AttentionState(memory, hidden), weights)

    def _advance(
        self, y: Tensor, memory: Memory, state: list[State], lengths: Tensor | None = None
    ) -> tuple[Tensor, list[State], Tensor | None]:
        """The features, the hidden state after the last step, and the attention's weights."""
        if y.shape[1] == 1 and lengths is None and not torch.is_grad_enabled() and not self.training:  # writes a token
            output, after = self.decoder.step(y.squeeze(1), state)
            query = output.unsqueeze(1)
        else:
            decoded = self.decoder(y, lengths, state)
            assert decoded.state is not None
            query, after = self.dropout(decoded.outputs), decoded.state
        if self.attention is None or self.combine is None:
            return query, after, None
        asked = query.reshape(len(memory.mask), -1, query.shape[-1])  # hypotheses of a sequence ask side by side
        context, weights = self.attention(asked, memory.keys, memory.outputs, memory.mask)
        context, weights = (part.reshape(*query.shape[:2], -1) for part in (context, weights))
        return torch.tanh(self.combine(torch.cat([query, context], -1))), after, weights


def _bridged(spec: StateSpec) -> int:
    """How many numbers of a state the bridge fills: those of states that may be set; others begin as they are."""
    return math.prod(spec.shape) * (2 if spec.dtype is not None and spec.dtype.is_complex else 1) if spec.free else 0


def _filled(spec: StateSpec, state: Tensor, pieces: Iterator[Tensor]) -> Tensor:
    if not _bridged(spec):
        return state
    piece = next(pieces)
    if state.is_complex():
        return torch.view_as_complex(piece.to(state.real.dtype).unflatten(-1, (*spec.shape, 2)))
    shaped: Tensor = piece.unflatten(-1, spec.shape)
    return shaped
