"""Generated Triton kernels for pointwise cells on a GPU: one launch for the whole of time, over packed rows."""

from __future__ import annotations

import hashlib
import importlib.util
import linecache
import os
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.codegen.fingerprint import per_cell
from rnnzoo.engine.codegen.tracer import Trace, Untraceable, channel_values
from rnnzoo.engine.cpp.path import traced
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.paths.reference import draw_masks
from rnnzoo.engine.sequences import Sequences
from rnnzoo.engine.triton.emit import emit, mixes

WIDEST = 256  # channels that a program holds side by side for a product
SMALLEST = 16  # sides of a product in Triton, at the least


class Kernels:
    """A cell's kernels: its trace, and the two functions."""

    def __init__(self, traced: Trace, by_row: tuple[bool, ...]) -> None:
        import triton

        source = emit(traced, by_row)
        name = f"<rnnzoo {hashlib.sha256(source.encode()).hexdigest()[:24]}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)  # where Triton looks for it
        found: dict[str, Any] = {"triton": triton, "tl": triton.language, "__name__": __name__}
        exec(compile(source, name, "exec"), found)
        self.trace, self.forward, self.backward = traced, found["forward"], found["backward"]
        self.whole = mixes(traced)  # whether a program must hold all channels
        self._faults: dict[tuple[int, torch.device], str | None] = {}

    def fault(self, hidden: int, device: torch.device) -> str | None:
        """Why the kernels do not run there, found out by one step forwards and back; None if they do."""
        if self.whole and hidden > WIDEST:
            return f"it mixes {hidden} channels, more than the {WIDEST} of a program"
        if (hidden, device) not in self._faults:
            self._faults[hidden, device] = self._tried(hidden, device)
        return self._faults[hidden, device]

    def _tried(self, hidden: int, device: torch.device) -> str | None:
        traced, wide = self.trace, self.trace.gates * hidden
        try:
            with torch.inference_mode(False), torch.enable_grad():
                gx = torch.zeros(1, wide, device=device, requires_grad=True)
                product = [gx.new_zeros(wide, hidden), gx.new_zeros(wide)] if traced.products else [None, None]
                first, noise, channels = (
                    [gx.new_zeros(1, hidden)] * count for count in (traced.states, traced.noise, len(traced.channels))
                )
                job = Job(self, Layout(torch.ones(1), 1, device), noise, reverse=False, learning=True)
                outputs = Scan.apply(job, gx, *product, *first, *(c[0] for c in channels))
                torch.autograd.grad(outputs[0].sum(), gx)
        except Exception as cause:  # Triton and its compilers raise many
            return f"Triton failed: {type(cause).__name__}: {(str(cause).splitlines() or [''])[0]}"
        return None


_built: dict[tuple[str, tuple[bool, ...]], Kernels] = {}


def _kernels(traced: Trace, by_row: tuple[bool, ...]) -> Kernels:
    known = repr(traced), by_row  # in which -0.0 is not 0.0
    if known not in _built:
        _built[known] = Kernels(traced, by_row)
    return _built[known]


@per_cell
def kernels(cell: Cell) -> Kernels | str:
    """The kernels of a cell as it is now, or why there are none."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    found = traced(cell)
    if isinstance(found, str):
        return found
    try:
        return _kernels(found, tuple(spec.per == "step" for spec in cell.noise))
    except Untraceable as cause:
        return str(cause)


class Triton(Path):
    """The generated kernels."""

    name = "triton"

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
        found = kernels(cell)
        return found if isinstance(found, str) else found.fault(cell.hidden_size, x.layout.device)

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, *shape) each, or None. Returns the outputs and the last state, in the batch's order."""
        code, layout = kernels(cell), x.layout
        assert isinstance(code, Kernels)
        product = code.trace.product
        shown = cell.project(x.rows)
        first = cell.initial_state(layout.batch, x.rows) if state is None else state
        noise = [mask for mask, _ in draw_masks(cell, layout, x.rows)]
        weight = bias = None
        if product is not None:
            weight = _dense(attrgetter(product.weight)(cell))
            bias = weight.new_zeros(len(weight)) if product.bias is None else attrgetter(product.bias)(cell)
        channels = channel_values(cell, code.trace.channels)
        tensors = [cell.gates_of(shown), weight, bias, *map(layout.sort, first), *channels]
        learning = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
        found = Scan.apply(Job(code, layout, noise, reverse, learning), *tensors)
        over_time, last = found[: code.trace.states], found[code.trace.states :]
        outputs = cell.readout(shown, over_time)
        return Sequences(layout, rows=outputs), tuple(map(layout.unsort, last)) if need_state else None


def _dense(weight: Tensor) -> Tensor:
    """A recurrent weight as (gates * hidden_size, hidden_size), with zeros beside its blocks."""
    if weight.dim() == 2:
        return weight
    gates, blocks, width = weight.shape[:3]
    placed = torch.diag_embed(weight.permute(0, 2, 3, 1))  # (gates, out, in, block, block)
    return placed.permute(0, 3, 1, 4, 2).reshape(gates * blocks * width, blocks * width)


class Job(NamedTuple):
    """One run of the kernels. learning: whether `backward` will be asked for."""

    code: Kernels
    layout: Layout
    noise: list[Tensor]
    reverse: bool
    learning: bool

    @property
    def block(self) -> int:
        """Sequences of a program."""
        return SMALLEST if self.code.whole else 4

    @property
    def programs(self) -> int:
        """Programs side by side over the batch."""
        return -(-self.layout.batch // self.block)

    def launch(self, kernel: Any, hidden: int, rows: int, *arguments: Any) -> None:
        """Run a kernel on tensors, in its order."""
        wide = max(SMALLEST, 1 << (hidden - 1).bit_length())
        wide = wide if self.code.whole else min(wide, 64)
        precision = "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "ieee"
        with torch.cuda.device_of(arguments[0]):
            kernel[(self.programs, -(-hidden // wide))](
                *arguments,
                rows,
                self.layout.batch,
                int(self.reverse),
                H=hidden,
                G=self.code.trace.gates * hidden,
                BLOCK_B=self.block,
                BLOCK_H=wide,
                BLOCK_K=min(wide, 32 if wide < WIDEST else 16),
                PRECISION=precision,
                num_warps=16 if wide == WIDEST else max(1, min(8, self.block * wide // 128)),
                num_stages=1,
            )


class Scan(torch.autograd.Function):
    """gx, weight, bias, first states, channels to the states over time and the last ones."""

    @staticmethod
    def forward(ctx: Any, job: Job, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        given: list[Any] = [None if t is None else t.detach().contiguous() for t in tensors]
        gx, weight, bias, *rest = given
        traced, layout = job.code.trace, job.layout
        first, channels = rest[: traced.states], rest[traced.states :]
        rows, hidden = len(gx), gx.shape[1] // traced.gates
        states = [gx.new_empty(rows + layout.batch, hidden) for _ in first]
        for state, start in zip(states, first, strict=True):
            state[rows:] = start
        gates = torch.empty_like(gx) if job.learning else None
        products = torch.empty_like(gx) if job.learning and traced.products and not traced.additive else None
        starts = layout.step_starts.to(gx.device)
        before = starts.new_empty(rows) if job.learning else None
        job.launch(
            job.code.forward,
            hidden,
            rows,
            gx,
            None if weight is None else weight.t().contiguous(),
            bias,
            starts,
            layout.sorted_lengths,
            *states,
            *job.noise,
            *channels,
            gates,
            products,
            before,
        )
        ctx.job, ctx.states = job, len(states)
        ctx.save_for_backward(weight, gates, products, starts, before, *states, *channels)
        ctx.set_materialize_grads(False)
        ends = layout.last_rows(job.reverse, rows)
        return *(s[:rows] for s in states), *(s.index_select(0, ends) for s in states)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        job, (weight, gates, products, starts, before, *rest) = ctx.job, ctx.saved_tensors
        states, channels = rest[: ctx.states], rest[ctx.states :]
        rows, hidden = len(gates), states[0].shape[1]
        dy = [None if g is None else g.contiguous() for g in gradients[: ctx.states]]
        ds = [
            gates.new_zeros(job.layout.batch, hidden) if g is None else g.clone(memory_format=torch.contiguous_format)
            for g in gradients[ctx.states :]
        ]
        dgx = torch.empty_like(gates)
        dgh = dgx if products is None else torch.empty_like(gates)
        dchannels = [gates.new_empty(job.programs, hidden) for _ in channels]
        job.launch(
            job.code.backward,
            hidden,
            rows,
            gates,
            products,
            weight,
            starts,
            job.layout.sorted_lengths,
            *states,
            *job.noise,
            *channels,
            *dy,
            *ds,
            dgx,
            dgh,
            *dchannels,
        )
        dweight, dbias = None, None
        if weight is not None:
            dweight = dgh.t() @ states[0].index_select(0, before)
            dbias = dgh.sum(0)
        return None, dgx, dweight, dbias, *ds, *(d.sum(0) for d in dchannels)
