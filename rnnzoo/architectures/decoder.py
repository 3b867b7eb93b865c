"""What a model asks of a decoder, whichever architecture it belongs to."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

from torch import Tensor

from rnnzoo.architectures.encoded import Encoded


class DecoderState(Protocol):
    """What a decoder carries from step to step, for one or several hypotheses of each sequence.

    The rows of a sequence's hypotheses stand together, as many for each sequence.
    """

    def select(self, rows: Tensor) -> DecoderState:
        """The state of the chosen hypotheses, in the order of `rows`, (hypotheses,) int64; some may be chosen twice."""


S = TypeVar("S", bound=DecoderState)


class Decoded(NamedTuple):
    """Some steps of a decoder.

    features: (batch, time, output_size), what the head reads. state: after the last step. attention: (batch, time,
    source steps), the weights of each source step, which add up to 1; None where the decoder has no attention.
    """

    features: Tensor
    state: DecoderState
    attention: Tensor | None = None


class Decoder(Protocol[S]):
    """Writes a target sequence from an encoded source; see `Architecture.target_decoder`.

    input_size: features of a target token's vector. output_size: features that the head reads. attends: whether
    `decode` returns attention weights.
    """

    input_size: int
    output_size: int

    @property
    def attends(self) -> bool: ...

    def start(self, encoded: Encoded) -> S:
        """The state before the first step, from what the architecture knows of the source."""

    def decode(self, y: Tensor, state: S, lengths: Tensor | None = None) -> Decoded:
        """Decode any number of steps at once. y: (batch, time, input_size), the vectors of the previous targets.

        lengths: (batch,), the steps to decode of each row; all of time if None. The features of a step depend on the
        state, on this step and on those before it alone.
        """
