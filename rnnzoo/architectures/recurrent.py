"""One layer in one direction, over any cell; and its presets."""

from __future__ import annotations

from rnnzoo.architectures.base import LayerStack
from rnnzoo.cells.base import CellLike
from rnnzoo.limits import Size


class Recurrent(LayerStack):
    """One layer, from the first step to the last: the plain recurrent network."""

    def __init__(self, input_size: Size, cell: CellLike = "lstm", hidden_size: Size = 128) -> None:
        super().__init__(input_size, cell, hidden_size)


class Vanilla(Recurrent):
    """`recurrent` with a vanilla (Elman) cell."""

    def __init__(self, input_size: Size, cell: CellLike = "vanilla", hidden_size: Size = 128) -> None:
        super().__init__(input_size, cell, hidden_size)


class LSTM(Recurrent):
    """`recurrent` with a long short-term memory."""

    def __init__(self, input_size: Size, cell: CellLike = "lstm", hidden_size: Size = 128) -> None:
        super().__init__(input_size, cell, hidden_size)


class GRU(Recurrent):
    """`recurrent` with a gated recurrent unit."""

    def __init__(self, input_size: Size, cell: CellLike = "gru", hidden_size: Size = 128) -> None:
        super().__init__(input_size, cell, hidden_size)
