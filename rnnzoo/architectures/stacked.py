"""Layer upon layer."""

from __future__ import annotations

from rnnzoo.architectures.base import LayerStack
from rnnzoo.cells.base import CellLike
from rnnzoo.limits import Layers, Probability, Size, checked


class Stacked(LayerStack):
    """Several layers, each reading the outputs of the one below; in one direction or, concatenated, in both.

    Source: Graves, Mohamed, Hinton, arXiv:1303.5778. dropout: between layers, a probability in [0, 1).
    locked_dropout: the same with one mask through time. residual: add a layer's input to its output, from the second
    layer on. last_hidden_size: of the last layer, where it is another; as wide as the embedding, it can be tied to it.
    """

    @checked
    def __init__(
        self,
        input_size: Size,
        cell: CellLike = "lstm",
        hidden_size: Size = 128,
        num_layers: Layers = 2,
        bidirectional: bool = False,
        dropout: Probability = 0.0,
        residual: bool = False,
        locked_dropout: Probability = 0.0,
        last_hidden_size: Size | None = None,
    ) -> None:
        super().__init__(
            input_size,
            cell,
            hidden_size,
            num_layers,
            bidirectional,
            "concat",
            dropout,
            residual,
            locked_dropout,
            last_hidden_size,
        )
