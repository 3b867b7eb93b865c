"""Generated Triton kernels for pointwise cells on a GPU: one launch for the whole of time, over packed rows."""

from __future__ import annotations

import importlib.util
import os
from operator import attrgetter

import torch
from torch import Tensor

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.codegen.ir import Untraceable
from rnnzoo.engine.codegen.trace_cache import PerCell, PerTrace, traced
from rnnzoo.engine.codegen.tracer import channel_values
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.paths.noise import draw_masks
from rnnzoo.engine.sequences import Sequences
from rnnzoo.engine.triton.kernels import Job, Kernels, Scan


class Triton(Path):
    """The generated kernels."""

    name = "triton"

    def __init__(self) -> None:
        self.kernels = PerCell(self._kernels)  # of a cell as it is now, or why there are none
        self._by_trace = PerTrace(Kernels)

    def _kernels(self, cell: Cell) -> Kernels | str:
        if importlib.util.find_spec("triton") is None:
            return "Triton is not installed"
        trace = traced(cell)
        if isinstance(trace, str):
            return trace
        try:
            return self._by_trace(trace, tuple(spec.per == "step" for spec in cell.noise))
        except Untraceable as cause:
            return str(cause)

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell here; None if it can."""
        if x.layout.device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
            return "Triton's kernels are for the GPU"
        if any(dtype != torch.float32 for dtype in (x.dtype, *(p.dtype for p in cell.parameters()))):
            return "Triton's kernels are for float32"
        if torch.compiler.is_compiling():
            return "the model is being compiled"
        if torch.is_autocast_enabled(x.layout.device.type):
            return "autocast is on"
        if x.layout.num_rows == 0:
            return "every sequence is empty"
        kernels = self.kernels(cell)
        return kernels if isinstance(kernels, str) else kernels.fault(cell.hidden_size, x.layout.device)

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, *shape) each, or None. Returns the outputs and the last state, in the batch's order."""
        code, layout = self.kernels(cell), x.layout
        assert isinstance(code, Kernels)
        product = code.trace.product
        projected = cell.project(x.rows)
        first = cell.initial_state(layout.batch, x.rows) if state is None else state
        noise = [mask.values for mask in draw_masks(cell, layout, x.rows)]
        weight = bias = None
        if product is not None:
            weight = _dense(attrgetter(product.weight)(cell))
            bias = weight.new_zeros(len(weight)) if product.bias is None else attrgetter(product.bias)(cell)
        channels = channel_values(cell, code.trace.channels)
        tensors = [cell.gates_of(projected), weight, bias, *map(layout.sort, first), *channels]
        learning = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
        states = Scan.apply(Job(code, layout, noise, reverse, learning), *tensors)
        over_time, last = states[: code.trace.states], states[code.trace.states :]
        outputs = cell.readout(projected, cell.as_state(over_time))
        return Sequences(layout, rows=outputs), tuple(map(layout.unsort, last)) if need_state else None


def _dense(weight: Tensor) -> Tensor:
    """A recurrent weight as (gates * hidden_size, hidden_size), with zeros beside its blocks."""
    if weight.dim() == 2:
        return weight
    gates, blocks, width = weight.shape[:3]
    placed = torch.diag_embed(weight.permute(0, 2, 3, 1))  # (gates, out, in, block, block)
    return placed.permute(0, 3, 1, 4, 2).reshape(gates * blocks * width, blocks * width)
