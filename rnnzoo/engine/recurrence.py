"""A cell over time, in one direction: what every architecture is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.utils.stateless import _reparametrize_module

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine import verify
from rnnzoo.engine.choose import choose
from rnnzoo.engine.layout import Sequences
from rnnzoo.engine.native import NATIVE, Native
from rnnzoo.engine.reference import Reference


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
        self.steps = 0  # that the plain loop has trained
        self._verified = False

    def forward(
        self, x: Sequences, state: State | None = None, need_state: bool = True
    ) -> tuple[Sequences, State | None]:
        """x: input_size features. Returns the outputs, output_size features, and the last state, None if not needed."""
        return together([self], x, [state], need_state)[0]

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One step in evaluation for (batch, input_size): the output and the new state, by the cell's own equations.

        It does without all that sequences need, which takes longer than the step: for writing a token at a time.
        """
        weights = self.cell.effective_weights()
        with _reparametrize_module(self.cell, weights) if weights else nullcontext():
            return self.cell(x, state)


def together(
    layers: Sequence[Recurrence], x: Sequences, states: Sequence[State | None], need_state: bool = True
) -> list[tuple[Sequences, State | None]]:
    """Several layers on the same input, the directions of a bidirectional one: side by side, where a path can."""
    new = [not layer._verified and verify.first_step(layer.cell, x) for layer in layers]
    paths = []
    for layer in layers:
        path, layer.why = choose(layer.cell, x, layer.steps)
        layer.ran[path.name] += 1
        if isinstance(path, Reference) and layer.training and torch.is_grad_enabled():
            layer.steps += x.layout.longest
        paths.append(path)
    with ExitStack() as weights:
        for layer in layers:
            if standing_in := layer.cell.effective_weights():
                weights.enter_context(_reparametrize_module(layer.cell, standing_in))
        cells, reverse = [layer.cell for layer in layers], [layer.reverse for layer in layers]
        if all(isinstance(path, Native) for path in paths):
            results = NATIVE.together(cells, x, states, reverse, need_state)
        else:
            results = [
                path.run(cell, x, state, backwards, need_state)
                for path, cell, state, backwards in zip(paths, cells, states, reverse, strict=True)
            ]
    for layer, first, (outputs, last) in zip(layers, new, results, strict=True):
        if first:
            verify.result(layer.cell, x, outputs, last)
            layer._verified = True
    return results


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
