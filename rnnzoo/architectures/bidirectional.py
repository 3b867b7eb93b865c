"""Both directions, merged after every layer."""

from __future__ import annotations

from typing import Any

from rnnzoo.architectures.base import LayerStack, Merge
from rnnzoo.cells.base import CellLike
from rnnzoo.limits import Layers, Probability, Size, checked


class Bidirectional(LayerStack):
    """One cell from the first step to the last and another from the last to the first, their outputs merged.

    Source: Schuster, Paliwal, "Bidirectional recurrent neural networks", doi:10.1109/78.650093.
    merge: concat (output_size = 2 * hidden_size), sum, mean or product.
    """

    @checked
    def __init__(
        self,
        input_size: Size,
        cell: CellLike = "lstm",
        hidden_size: Size = 128,
        num_layers: Layers = 1,
        merge: Merge = "concat",
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__(input_size, cell, hidden_size, num_layers, True, merge, dropout)

    @classmethod
    def answers(cls, bidirectional: bool = True, **parameters: Any) -> frozenset[str]:
        return LayerStack.answers(bidirectional=True)
