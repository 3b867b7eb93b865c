"""What an architecture returns."""

from __future__ import annotations

from torch import Tensor

from rnnzoo.cells.base import State
from rnnzoo.engine.sequences import Sequences


class Encoded:
    """What an architecture knows of a batch.

    sequences: the outputs of the top layer with their layout. last: (batch, output_size), the last output of each
    direction (at a sequence's end, and for a backward direction at its start), merged as the outputs are; zeros for an
    empty sequence. state: one tuple of (batch, *shape) tensors per layer and direction, or None if not asked for.
    """

    def __init__(self, sequences: Sequences, last: Tensor, state: list[State] | None) -> None:
        self.sequences, self.last, self.state = sequences, last, state

    @property
    def outputs(self) -> Tensor:
        """(batch, time, output_size), zeros past the ends."""
        return self.sequences.padded
