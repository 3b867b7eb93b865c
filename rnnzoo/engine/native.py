"""Generated native code for pointwise cells on the CPU: the whole time loop in C++, over packed rows, no padding."""

from __future__ import annotations

import ctypes
import logging
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.build import Unbuildable, library
from rnnzoo.engine.emit import emit
from rnnzoo.engine.layout import Layout, Sequences
from rnnzoo.engine.reference import draw_masks
from rnnzoo.engine.trace import Trace, Untraceable, channel_values, trace

log = logging.getLogger("rnnzoo")
OWNED = ("step", "recur", "initial_state")  # what the generated code takes over


class Compiled:
    """A cell's library: its trace, and the two functions."""

    def __init__(self, traced: Trace, source: str) -> None:
        self.trace = traced
        code = library(source)
        states, noise, channels = traced.states, max(1, traced.noise), max(1, len(traced.channels))
        pointer, number = ctypes.c_void_p, ctypes.c_int64

        class Call(ctypes.Structure):
            _fields_ = [
                *((name, number) for name in ("steps", "rows", "batch", "hidden", "blocks", "reverse", "given")),
                *((name, pointer) for name in ("alive", "gx", "gh")),
                ("state", pointer * states),
                ("noise", pointer * noise),
                ("noise_by_row", number * noise),
                ("channel", pointer * channels),
                *((name, pointer) for name in ("weight", "bias", "panels")),
                ("dy", pointer * states),
                ("ds", pointer * states),
                *((name, pointer) for name in ("dgx", "dgh")),
                ("dchannel", pointer * channels),
            ]

        self.Call = Call
        self.forward, self.backward, self.room = code.forward, code.backward, code.room
        self.forward.argtypes = self.backward.argtypes = [ctypes.POINTER(Call)]
        self.forward.restype = self.backward.restype = None
        self.room.argtypes, self.room.restype = [number, number], number

    def call(self, function: Any, **values: Any) -> None:
        """Call C with tensors as pointers; they stay alive until it returns, as `values` holds them."""
        call = self.Call()
        for name, value in values.items():
            if isinstance(value, (list, tuple)):
                for k, item in enumerate(value):
                    getattr(call, name)[k] = _address(item)
            else:
                setattr(call, name, _address(value))
        function(ctypes.byref(call))


def _address(value: Tensor | int | None) -> int | None:
    if isinstance(value, Tensor):
        assert value.is_contiguous() and value.device.type == "cpu" and value.dtype in (torch.float32, torch.int64)
        return value.data_ptr()
    return value


@lru_cache(maxsize=256)
def _compiled(traced: Trace) -> Compiled:
    return Compiled(traced, emit(traced))


_ready: WeakKeyDictionary[Cell, Compiled | str] = WeakKeyDictionary()


def compiled(cell: Cell) -> Compiled | str:
    """The library of a cell, or why there is none; told once in the log."""
    if cell not in _ready:
        try:
            _ready[cell] = _compiled(_traced(cell))
        except Untraceable as cause:
            _ready[cell] = str(cause)
        except Unbuildable as cause:
            _ready[cell] = str(cause)
            _warn(str(cause))
    return _ready[cell]


@lru_cache(maxsize=8)
def _warn(cause: str) -> None:
    log.warning("no native code: %s. A slower path runs in its place.", cause)


def _traced(cell: Cell) -> Trace:
    if cell.core is None:
        raise Untraceable("its step is not pointwise")
    changed = cell.overrides(*OWNED)
    if changed:
        raise Untraceable(f"the cell has a {changed[0]} of its own")
    if any(s.shape != (cell.hidden_size,) or s.dtype is not None for s in cell.state_specs()):
        raise Untraceable("a state is not a real vector of hidden_size")
    if any(n.shape != (cell.hidden_size,) for n in cell.noise):
        raise Untraceable("a mask is not a vector of hidden_size")
    return trace(cell)


class Native:
    """The generated loop."""

    name = "native"

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell here; None if it can."""
        if x.layout.device.type != "cpu":
            return "native code is for the CPU"
        if x.dtype != torch.float32 or next(cell.parameters()).dtype != torch.float32:
            return "native code is for float32"
        if torch.is_autocast_enabled("cpu"):
            return "autocast is on"
        found = compiled(cell)
        return found if isinstance(found, str) else None

    def run(
        self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool
    ) -> tuple[Sequences, State | None]:
        """state: (batch, hidden_size) each, or None. Returns the outputs and the last state, in the batch's order."""
        core, code, layout = cell.core, compiled(cell), x.layout
        assert core is not None and isinstance(code, Compiled)
        additive = code.trace.additive
        if additive and not cell.overrides("project"):
            gx = F.linear(x.rows, core.weight_ih, core.bias_ih + core.bias_hh)
            shown: Any = None  # the readout of such a cell may ask for gx itself
        else:
            shown = cell.project(x.rows)
            gx = cell.gates_of(shown)
            gx = gx + core.bias_hh if additive else gx
        first = cell.initial_state(layout.batch, x.rows) if state is None else state
        given = state is not None or any(spec.initial for spec in cell.state_specs())
        dense = code.trace.products > 0
        weights = (core.weight_hh, None if additive else core.bias_hh) if dense else (None, None)
        noise = draw_masks(cell, layout, x.rows)
        found = Scan.apply(
            code, layout, reverse, given, core.blocks, noise, gx.contiguous(), *weights,
            *(layout.sort(s) for s in first), *channel_values(core),
        )  # fmt: skip
        over_time, last = found[: len(first)], found[len(first) :]
        if not cell.overrides("readout"):
            outputs = over_time[0]
        else:
            outputs = cell.readout(cell.project(x.rows) if shown is None else shown, over_time)
        state = tuple(layout.unsort(s) for s in last) if need_state else None
        return Sequences(layout, rows=outputs), state


class Scan(torch.autograd.Function):
    """The generated loop with its gradient: from gx, weights and first states to all states over time and the last."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, code: Compiled, layout: Layout, reverse: bool, given: bool, blocks: int, noise: list, gx: Tensor,
        weight: Tensor | None, bias: Tensor | None, *rest: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        traced, rows, batch = code.trace, len(gx), layout.batch
        first, channels = rest[: traced.states], [c.contiguous() for c in rest[traced.states :]]
        hidden = first[0].shape[1]
        states = [gx.new_empty(rows + batch, hidden) for _ in first]
        for buffer, start in zip(states, first, strict=True):
            buffer[rows:] = start
        own = gx.detach()
        if traced.additive:
            own = own.clone() if gx.is_leaf else own  # made for this call by `run`, so it may be written to
        gh = None if traced.additive or not traced.products else torch.empty_like(own)
        panels = own.new_empty(code.room(hidden, blocks)) if traced.products else None
        common = {
            "steps": layout.longest, "rows": rows, "batch": batch, "hidden": hidden, "blocks": blocks,
            "reverse": int(reverse), "given": int(given), "alive": layout.alive, "gx": own, "gh": gh, "state": states,
            "noise": [mask for mask, _ in noise], "noise_by_row": [int(by_row) for _, by_row in noise],
            "channel": channels, "weight": None if weight is None else weight.detach().contiguous(),
            "bias": None if bias is None else bias.detach().contiguous(), "panels": panels,
        }  # fmt: skip
        code.call(code.forward, **common)
        ctx.code, ctx.layout, ctx.common, ctx.shapes = code, layout, common, (weight is not None, bias is not None)
        ctx.save_for_backward(*([weight] if weight is not None else []))
        ctx.set_materialize_grads(False)
        ends = layout.row_ends(reverse, rows)
        return (*(s[:rows] for s in states), *(s.index_select(0, ends) for s in states))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        code, layout, common = ctx.code, ctx.layout, dict(ctx.common)
        if ctx.saved_tensors:  # asking for it raises, as everywhere in torch, if it was changed since
            common["weight"] = ctx.saved_tensors[0].detach().contiguous()
        traced, hidden = code.trace, common["hidden"]
        dy = [None if g is None else g.contiguous() for g in gradients[: traced.states]]
        gx: Tensor = common["gx"]
        ds = [
            gx.new_zeros(layout.batch, hidden) if g is None else g.contiguous().clone()
            for g in gradients[traced.states :]
        ]
        dgx = torch.empty_like(gx)
        dgh = torch.empty_like(gx) if common["gh"] is not None else dgx
        dchannel = [gx.new_zeros(hidden) for _ in common["channel"]]
        code.call(code.backward, **common, dy=dy, ds=ds, dgx=dgx, dgh=dgh, dchannel=dchannel)
        dweight = dbias = None
        if traced.products:
            before = common["state"][0].index_select(0, layout.row_before(bool(common["reverse"])))
            dweight = _weight_gradient(dgh, before, common["blocks"], traced.gates)
            dbias = dgh.sum(0) if ctx.shapes[1] else None
        return (None,) * 6 + (dgx, dweight, dbias, *ds, *dchannel)


def _weight_gradient(dgh: Tensor, before: Tensor, blocks: int, gates: int) -> Tensor:
    """One product for all steps: (gates * hidden, hidden), or the blocks on its diagonal."""
    if blocks == 1:
        return dgh.t() @ before
    return torch.einsum("rgko,rki->gkoi", dgh.unflatten(1, (gates, blocks, -1)), before.unflatten(1, (blocks, -1)))
