"""PyTorch's fused layers, for cells that compute what those layers compute.

A cell is recognised by its arithmetic, not by its name or class: its `update` is compared once, on random numbers,
with the formula of each fused layer. Smooth functions that are equal there are equal everywhere.

On the CPU the layers run over padded time (oneDNN for the LSTM): a reversed direction gathers each sequence backwards,
and a last state is taken where the sequence ends. On CUDA they run over packed rows (cuDNN).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import _VF, Tensor

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.codegen.trace_cache import PerCell, traced
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.sequences import Sequences
from rnnzoo.system import capability


def _lstm(gx: Sequence[Tensor], gh: Sequence[Tensor], state: State) -> State:
    i, f, g, o = (a + b for a, b in zip(gx, gh, strict=True))
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru(gx: Sequence[Tensor], gh: Sequence[Tensor], state: State) -> State:
    z = torch.sigmoid(gx[1] + gh[1])
    return ((1 - z) * torch.tanh(gx[2] + torch.sigmoid(gx[0] + gh[0]) * gh[2]) + z * state[0],)


class Layer(NamedTuple):
    """A fused layer: gates and states of the cell that it computes, that cell's formula, and the layer itself."""

    gates: int
    states: int
    formula: Callable[..., State]
    run: Callable[..., tuple[Tensor, ...]]
    also: frozenset[str] = frozenset()  # operations that its formula has beside smooth ones


LAYERS = {
    "lstm": Layer(4, 2, _lstm, _VF.lstm),
    "gru": Layer(3, 1, _gru, _VF.gru),
    "rnn_tanh": Layer(1, 1, lambda gx, gh, state: (torch.tanh(gx[0] + gh[0]),), _VF.rnn_tanh),
    "rnn_relu": Layer(1, 1, lambda gx, gh, state: (torch.relu(gx[0] + gh[0]),), _VF.rnn_relu, frozenset({"relu"})),
}
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
OWNED = ("project", "step", "recur", "readout", "initial_state", "output_size")  # what a fused layer takes over
SMOOTH = frozenset(("add", "sub", "mul", "div", "neg", "reciprocal", "exp", "sigmoid", "tanh"))


def recognise(cell: Cell) -> str | None:
    """The name of the fused layer that computes exactly what `cell` does, or None."""
    name = _recognised(cell)  # or why nothing can be known of the cell
    return name if name in LAYERS else None


@PerCell
def _recognised(cell: Cell) -> str | None:
    return next((name for name, layer in LAYERS.items() if _computes(cell, layer)), None)


def _computes(cell: Cell, layer: Layer) -> bool:
    core = cell.core
    if core is None or core.recurrent != "dense" or core.params or cell.noise or cell.overrides(*OWNED):
        return False
    if len(core.gates) != layer.gates or len(cell.state_specs()) != layer.states:
        return False
    if any(s.shape != (cell.hidden_size,) or s.dtype is not None or s.initial for s in cell.state_specs()):
        return False
    if core.blocks != 1 or tuple(name for name, _ in core.named_parameters()) != WEIGHTS:
        return False  # wrapped or reparametrised weights are left to the other paths
    program = traced(cell)
    if isinstance(program, str) or program.channels or {op.name for op in program.forward.ops} - SMOOTH - layer.also:
        return False  # it may differ where the random numbers are not: beyond a clip, say
    return _equal_on_random_numbers(cell, layer)


def _equal_on_random_numbers(cell: Cell, layer: Layer) -> bool:
    generator = torch.Generator().manual_seed(0)
    count = 2 * layer.gates + layer.states
    numbers = torch.empty(count, 4, cell.hidden_size, dtype=torch.float64).normal_(0, 2, generator=generator).unbind()
    parts = numbers[: layer.gates], numbers[layer.gates : 2 * layer.gates], numbers[2 * layer.gates :]
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            by_name = *map(cell.as_gates, parts[:2]), cell.as_state(parts[2])
            new = cell.update(*by_name)  # type: ignore[operator]  # what has a core has an update
            expected = layer.formula(*parts)
        return len(new) == layer.states and all(
            torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(new, expected, strict=True)
        )
    except Exception:  # the update of a plugin's cell may raise anything; then it is not one of these formulas
        return False


class Fused(Path):
    """oneDNN's and cuDNN's layers."""

    name = "fused"

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell; None if it can."""
        name, device = recognise(cell), x.layout.device.type
        if name is None:
            return "no fused layer computes this cell"
        if name == "lstm" and torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
            if not capability.fused_lstm(device, dtype):
                return f"this processor has no fused LSTM in {str(dtype).removeprefix('torch.')}"
        if x.layout.longest == 0:
            return "every sequence is empty"
        return None

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, hidden_size) each, or None. The last state is None unless needed."""
        first = cell.initial_state(x.layout.batch, x.padded_finite) if state is None else state
        run = _packed if x.layout.device.type == "cuda" else _padded
        return run(LAYERS[recognise(cell) or ""], cell, x, first, reverse, need_state)


def _weights(cell: Cell) -> list[Tensor]:
    return [getattr(cell.core, name) for name in WEIGHTS]


def _call(
    layer: Layer, cell: Cell, x: tuple[Tensor, ...], first: State, weights: list[Tensor], *batch_first: bool
) -> tuple[Tensor, State]:
    """The layer over x: (batch, time, features), or packed rows and batch sizes. first: (batch, hidden_size) each.

    Returns all outputs, as x is laid out, and the last states. batch_first: given for padded x alone.
    """
    hidden = [s.unsqueeze(0).to(x[0].dtype).contiguous() for s in first]  # (1, batch, hidden_size)
    learning = torch.is_grad_enabled()  # in evaluation too: cuDNN keeps what a gradient needs in training mode alone
    outputs, *last = layer.run(
        *x, hidden if len(hidden) > 1 else hidden[0], weights, True, 1, 0.0, learning, False, *batch_first
    )
    return outputs, tuple(s.squeeze(0) for s in last)


def _padded(layer: Layer, cell: Cell, x: Sequences, first: State, reverse: bool, need_state: bool) -> Result:
    layout, padded, weights = x.layout, x.padded_finite, _weights(cell)
    if reverse:
        padded = _mirrored(padded, layout)
    hold = need_state and layer.states > 1 and not layout.no_padding
    if hold:  # one more input, 1 in the padding, that closes the input gate and opens the forget gate: c stays put
        ended = (~layout.mask).unsqueeze(-1).to(padded.dtype)
        padded = torch.cat([padded.masked_fill(~layout.mask.unsqueeze(-1), 0), ended], -1)
        gate = torch.tensor([-1e4, 1e4, 0.0, 0.0], dtype=weights[0].dtype, device=weights[0].device)
        weights[0] = torch.cat([weights[0], gate.repeat_interleave(cell.hidden_size)[:, None]], 1)
    outputs, last = _call(layer, cell, (padded,), first, weights, True)
    result = Sequences(layout, padded_finite=_mirrored(outputs, layout) if reverse else outputs)
    if not need_state:
        return result, None
    if layout.no_padding:
        return result, last
    h = result.at_starts() if reverse else result.at_ends()
    if layout.empty_mask is not None:
        h = torch.where(layout.empty_mask, first[0].to(h.dtype), h)
    return result, (h, *last[1:])


def _mirrored(padded: Tensor, layout: Layout) -> Tensor:
    return padded.flatten(0, 1).index_select(0, layout.padded_reversal).unflatten(0, (layout.batch, layout.time))


def _packed(layer: Layer, cell: Cell, x: Sequences, first: State, reverse: bool, need_state: bool) -> Result:
    layout = x.layout
    rows = x.rows.index_select(0, layout.row_reversal) if reverse else x.rows
    live = int(layout.batch_sizes[0])
    begin = tuple(layout.sort(s)[:live] for s in first)
    outputs, last = _call(layer, cell, (rows, layout.batch_sizes), begin, _weights(cell))
    if reverse:
        outputs = outputs.index_select(0, layout.row_reversal)
    state = None
    if need_state:
        state = tuple(
            layout.unsort(torch.cat([end, layout.sort(s)[live:].to(end.dtype)]))
            for end, s in zip(last, first, strict=True)
        )
    return Sequences(layout, rows=outputs), state
