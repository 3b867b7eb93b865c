"""A cell over time, in one direction: what every architecture is made of."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn
from torch.nn.utils.stateless import _reparametrize_module

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine import verify
from rnnzoo.engine.choose import choose
from rnnzoo.engine.layout import Sequences


class Recurrence(nn.Module):
    """Run a cell over ragged sequences, forwards or, with `reverse`, from each sequence's end to its start.

    `ran` counts the calls by engine path, `why` holds the reason of the last choice.
    Raises: CellError at the first call, naming the cell and both sides, if the cell does not do what it declares.
    """

    def __init__(self, cell: Cell, reverse: bool = False) -> None:
        super().__init__()
        self.cell, self.reverse = cell, reverse
        self.ran: Counter[str] = Counter()
        self.why = ""
        self._verified = False

    def forward(
        self, x: Sequences, state: State | None = None, need_state: bool = True
    ) -> tuple[Sequences, State | None]:
        """x: input_size features. Returns the outputs, output_size features, and the last state, None if not needed."""
        first = not self._verified and verify.first_step(self.cell, x)
        path, self.why = choose(self.cell, x)
        with _in_place_of(self.cell, self.cell.effective_weights()):
            outputs, last = path.run(self.cell, x, state, self.reverse, need_state)
        self.ran[path.name] += 1
        if first:
            verify.result(self.cell, x, outputs, last)
            self._verified = True
        return outputs, last


def _in_place_of(cell: Cell, weights: dict[str, Tensor]) -> AbstractContextManager[None]:
    return _reparametrize_module(cell, weights) if weights else nullcontext()


def report(model: nn.Module) -> list[dict[str, object]]:
    """For each recurrent layer of a model: its place, its cell, the paths that ran it and how often, and why."""
    return [
        {
            "layer": name,
            "cell": type(layer.cell).__name__,
            "direction": "backward" if layer.reverse else "forward",
            "path": layer.ran.most_common(1)[0][0] if layer.ran else None,
            "calls": dict(layer.ran),
            "why": layer.why,
        }
        for name, layer in model.named_modules()
        if isinstance(layer, Recurrence)
    ]


def detach(state: list[State]) -> list[State]:
    """The state of an architecture, cut from the graph that made it: truncated backpropagation through time."""
    return [tuple(s.detach() for s in layer) for layer in state]


def select(state: list[State], index: Tensor) -> list[State]:
    """The states of the chosen sequences of a batch, in the order of `index`: for beam search and reordering."""
    return [tuple(s.index_select(0, index) for s in layer) for layer in state]
