"""A cell's generated Triton kernels, and one run of them."""

from __future__ import annotations

import hashlib
import linecache
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnzoo.engine.codegen.ir import Trace
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.triton.emit import emit, mixes

WIDEST = 256  # channels that a program holds side by side for a product
SMALLEST = 16  # sides of a product in Triton, at the least


class Kernel(Protocol):
    """A function under `triton.jit`."""

    def __getitem__(self, grid: tuple[int, ...]) -> Any: ...


class Kernels:
    """The forward and the backward kernel of a trace.

    by_row: for each mask whether it has a row a step. all_channels: whether a program must hold all of them.
    Raises: Untraceable if an operation has no Triton code.
    """

    def __init__(self, trace: Trace, by_row: tuple[bool, ...]) -> None:
        import triton

        source = emit(trace, by_row)
        name = f"<rnnzoo {hashlib.sha256(source.encode()).hexdigest()[:24]}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)  # where Triton looks for it
        module: dict[str, Any] = {"triton": triton, "tl": triton.language, "__name__": __name__}
        exec(compile(source, name, "exec"), module)
        self.trace = trace
        self.forward: Kernel = module["forward"]
        self.backward: Kernel = module["backward"]
        self.all_channels = mixes(trace)
        self._faults: dict[tuple[int, torch.device], str | None] = {}

    def fault(self, hidden: int, device: torch.device) -> str | None:
        """Why the kernels do not run there, by trying one step forwards and back; None if they do."""
        if self.all_channels and hidden > WIDEST:
            return f"it mixes {hidden} channels, more than the {WIDEST} of a program"
        if (hidden, device) not in self._faults:
            self._faults[hidden, device] = self._try(hidden, device)
        return self._faults[hidden, device]

    def _try(self, hidden: int, device: torch.device) -> str | None:
        trace, wide = self.trace, self.trace.gates * hidden
        try:
            with torch.inference_mode(False), torch.enable_grad():
                gx = torch.zeros(1, wide, device=device, requires_grad=True)
                product = [gx.new_zeros(wide, hidden), gx.new_zeros(wide)] if trace.products else [None, None]
                first, noise, channels = (
                    [gx.new_zeros(1, hidden)] * count for count in (trace.states, trace.noise, len(trace.channels))
                )
                job = Job(self, Layout(torch.ones(1), 1, device), noise, reverse=False, learning=True)
                outputs = Scan.apply(job, gx, *product, *first, *(c[0] for c in channels))
                torch.autograd.grad(outputs[0].sum(), gx)
        except Exception as cause:  # code made of a plugin's cell, in compilers that raise errors of many kinds
            return f"Triton failed: {type(cause).__name__}: {(str(cause).splitlines() or [''])[0]}"
        return None


class Job(NamedTuple):
    """One run of the kernels. noise: the masks' values. learning: whether a gradient will be asked for."""

    code: Kernels
    layout: Layout
    noise: list[Tensor]
    reverse: bool
    learning: bool

    @property
    def block(self) -> int:
        """Sequences of a program."""
        return SMALLEST if self.code.all_channels else 4

    @property
    def programs(self) -> int:
        """Programs side by side over the batch."""
        return -(-self.layout.batch // self.block)

    def launch(self, kernel: Kernel, hidden: int, rows: int, *tensors: Tensor | None) -> None:
        """Run a kernel on tensors, in its order."""
        wide = max(SMALLEST, 1 << (hidden - 1).bit_length())
        wide = wide if self.code.all_channels else min(wide, 64)
        precision = "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "ieee"
        with torch.cuda.device_of(tensors[0]):
            kernel[(self.programs, -(-hidden // wide))](
                *tensors,
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
        """tensors: gx (rows, gates * hidden_size), the weight (gates * hidden_size, hidden_size) and bias of the
        product or None, the first states (batch, hidden_size) each, the channels (hidden_size,) each.

        Returns all states, (rows, hidden_size) each, and the last ones, (batch, hidden_size) each.
        """
        inputs: list[Any] = [None if t is None else t.detach().contiguous() for t in tensors]
        gx, weight, bias, *rest = inputs
        trace, layout = job.code.trace, job.layout
        first, channels = rest[: trace.states], rest[trace.states :]
        rows, hidden = len(gx), gx.shape[1] // trace.gates
        states = [gx.new_empty(rows + layout.batch, hidden) for _ in first]
        for state, start in zip(states, first, strict=True):
            state[rows:] = start
        gates = torch.empty_like(gx) if job.learning else None
        products = torch.empty_like(gx) if job.learning and trace.products and not trace.additive else None
        starts = layout.step_starts.to(gx.device)
        before = starts.new_empty(rows) if job.learning else None
        transposed = None if weight is None else weight.t().contiguous()
        lengths, code = layout.sorted_lengths, job.code
        memory = (*states, *job.noise, *channels, gates, products, before)
        job.launch(code.forward, hidden, rows, gx, transposed, bias, starts, lengths, *memory)
        ctx.job, ctx.states = job, len(states)
        ctx.save_for_backward(weight, gates, products, starts, before, *states, *channels)
        ctx.set_materialize_grads(False)
        ends = layout.last_rows(job.reverse, rows)
        return *(s[:rows] for s in states), *(s.index_select(0, ends) for s in states)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """gradients: (rows, hidden_size) and (batch, hidden_size), of its results; gives those of its tensors."""
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
        lengths, code = job.layout.sorted_lengths, job.code
        memory = (*states, *job.noise, *channels, *dy, *ds, dgx, dgh, *dchannels)
        job.launch(code.backward, hidden, rows, gates, products, weight, starts, lengths, *memory)
        dweight, dbias = None, None
        if weight is not None:
            dweight = dgh.t() @ states[0].index_select(0, before)
            dbias = dgh.sum(0)
        return None, dgx, dweight, dbias, *ds, *(d.sum(0) for d in dchannels)
