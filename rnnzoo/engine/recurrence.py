"""A cell over time, in one direction: what every architecture is made of."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import groupby
from operator import itemgetter

import torch
from torch import Tensor, nn

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine import modes, verify, weights
from rnnzoo.engine.choose import AUTO, check_path, choose
from rnnzoo.engine.paths.base import Result
from rnnzoo.engine.sequences import Sequences
from rnnzoo.engine.uncompiled import uncompiled


class Recurrence(nn.Module):
    """Run a cell over ragged sequences, forwards or, with `reverse`, from each sequence's end to its start.

    `path` names the engine path that runs it, "auto" for the fastest one that can; it is copied and pickled with the
    layer. `ran` counts the calls by path, `why` holds the reason of the last choice.
    Raises: ZooError for a path that does not exist. At a call: ZooError for a path that cannot run this cell;
    CellError at the first one, naming the cell and both sides, if the cell does not do what it declares.
    """

    def __init__(self, cell: Cell, reverse: bool = False, path: str = AUTO) -> None:
        super().__init__()
        self.cell, self.reverse = cell, reverse
        self.path = path
        self.ran: Counter[str] = Counter()
        self.why = ""
        self.steps = 0  # that the plain loop has trained
        self._verified = False

    def forward(self, x: Sequences, state: State | None = None, need_state: bool = True) -> Result:
        """x: (batch, time, input_size) features. state: (batch, *shape) each, or None for the cell's initial state.

        Returns the outputs, (batch, time, output_size), and the last state, None if it is not needed.
        """
        return run_together([self], x, [state], need_state)[0]

    @property
    def path(self) -> str:
        """The name of the engine path that runs this layer, or "auto"."""
        return self._path

    @path.setter
    def path(self, path: str) -> None:
        self._path = check_path(path)

    @property
    def qconfig(self) -> None:
        """None, and setting it warns: `torch.ao.quantization` knows no such cell, and would skip it without a word."""
        return None

    @qconfig.setter
    def qconfig(self, value: object) -> None:
        cell = type(self.cell).__name__
        warnings.warn(f"{cell} has no quantised form: its weights and its computation stay as they are", stacklevel=2)

    @qconfig.deleter
    def qconfig(self) -> None:
        pass

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One step in evaluation, by the cell's own equations, for generating a token at a time.

        x: (batch, input_size). state: (batch, *shape) each, or None. Returns the output, (batch, output_size), and the
        new state. It does nothing that only sequences need, which would take longer than the step.
        """
        modes.refuse_tracing()
        if state is not None:
            verify.check_given_state(self.cell, state, len(x))
        result: tuple[Tensor, State]
        if not weights.changes(self.cell):
            result = self.cell(x, state)
        else:
            with weights.PASS_LOCK, weights.of_this_pass([self.cell]):
                result = self.cell(x, state)
        return result


@uncompiled("the engine runs recurrent layers: export with strict=False")
def run_together(
    layers: Sequence[Recurrence], x: Sequences, states: Sequence[State | None], need_state: bool = True
) -> list[Result]:
    """Several layers on the same input, as the directions of a bidirectional one: side by side, where a path can.

    x: (batch, time, input_size). torch.compile leaves them to the engine, as it leaves nn.LSTM to torch.
    Raises: ValueError if a given state does not fit; ZooError while a model is traced by torch.jit.
    """
    modes.refuse_tracing()
    for layer, state in zip(layers, states, strict=True):
        if state is not None:
            verify.check_given_state(layer.cell, state, x.layout.batch)
    with weights.PASS_LOCK if any(weights.changes(layer.cell) for layer in layers) else nullcontext():
        return _run(layers, x, states, need_state)


def _run(layers: Sequence[Recurrence], x: Sequences, states: Sequence[State | None], need_state: bool) -> list[Result]:
    """Choose each layer's path, run neighbours on the same path together, and check a cell's first results."""
    first_calls = [not layer._verified and verify.check_first_step(layer.cell, x) for layer in layers]
    paths = []
    for layer in layers:
        path, layer.why = choose(layer.cell, x, layer.steps, layer.path)
        layer.ran[path.name] += 1
        if path.steps_in_python and layer.training and torch.is_grad_enabled():
            layer.steps += x.layout.longest
        paths.append(path)
    results: list[Result] = []
    with weights.of_this_pass([layer.cell for layer in layers]):
        for path, group in groupby(zip(paths, layers, states, strict=True), key=itemgetter(0)):
            _, its_layers, its_states = zip(*group, strict=True)
            cells, reverse = [layer.cell for layer in its_layers], [layer.reverse for layer in its_layers]
            results += path.run_together(cells, x, its_states, reverse, need_state)
    for layer, first_call, (outputs, last) in zip(layers, first_calls, results, strict=True):
        if first_call:
            verify.check_result(layer.cell, x, outputs, last)
            layer._verified = True
    return results


def set_path(model: nn.Module, path: str) -> None:
    """Let one engine path run every recurrent layer of a model; "auto" lets the engine choose. Raises: ZooError."""
    check_path(path)  # also where there is no such layer
    for layer in _layers(model):
        layer.path = path


@contextmanager
def using_path(model: nn.Module, path: str) -> Iterator[None]:
    """`set_path` for the length of a with block; each layer then has its own choice back. Raises: ZooError."""
    before = [(layer, layer.path) for layer in _layers(model)]
    set_path(model, path)
    try:
        yield
    finally:
        for layer, path_before in before:
            layer.path = path_before


def _layers(model: nn.Module) -> Iterator[Recurrence]:
    return (module for module in model.modules() if isinstance(module, Recurrence))


def report(model: nn.Module) -> list[dict[str, object]]:
    """For each recurrent layer of a model: its name, its cell, the paths that ran it and how often, and why."""
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
    """The state of an architecture, (batch, *shape) each, cut from its graph, for truncated backpropagation."""
    return [tuple(s.detach() for s in layer) for layer in state]


def select(state: list[State], index: Tensor) -> list[State]:
    """The states of some sequences of a batch, in the order of `index`, (count,) int64: for beam search."""
    return [tuple(s.index_select(0, index) for s in layer) for layer in state]
