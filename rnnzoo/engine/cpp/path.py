"""Generated native code for pointwise cells on the CPU: the whole time loop in C++, over packed rows, no padding."""

from __future__ import annotations

import ctypes
import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.codegen.fingerprint import fingerprint, per_cell
from rnnzoo.engine.codegen.tracer import Trace, Untraceable, channel_values, run, trace
from rnnzoo.engine.cpp.build import Unbuildable, library
from rnnzoo.engine.cpp.emit import emit
from rnnzoo.engine.layout import Shard
from rnnzoo.engine.once import Once
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.paths.reference import draw_masks
from rnnzoo.engine.sequences import Sequences

log = Once(logging.getLogger("rnnzoo"))
NO_CODE = "no native code: %s. A slower path runs in its place."
OWNED = ("step", "recur")  # what the generated code takes over from a pointwise cell


class Compiled:
    """A cell's library: its trace, and the two functions."""

    def __init__(self, traced: Trace, source: str) -> None:
        self.trace = traced
        code = library(source)
        states, noise, channels = traced.states, max(1, traced.noise), max(1, len(traced.channels))
        pointer, number = ctypes.c_void_p, ctypes.c_int64

        class Call(ctypes.Structure):
            _fields_ = [
                *(
                    (name, number)
                    for name in ("steps", "rows", "batch", "hidden", "blocks", "input", "reverse", "given")
                ),
                *((name, pointer) for name in ("alive", "x", "place", "weight_ih", "bias_ih", "gx", "gh")),
                ("state", pointer * states),
                ("noise", pointer * noise),
                ("noise_by_row", number * noise),
                ("channel", pointer * channels),
                *((name, pointer) for name in ("weight", "bias", "room", "before")),
                ("dy", pointer * states),
                ("ds", pointer * states),
                *((name, pointer) for name in ("dgx", "dgh")),
                ("dchannel", pointer * channels),
                *((name, pointer) for name in ("dx", "dweight_ih", "dbias_ih", "dweight", "dbias")),
            ]

        self.Call = Call
        self.forward, self.backward, self.room = code.forward, code.backward, code.room
        self.forward.argtypes = self.backward.argtypes = [ctypes.POINTER(Call)]
        self.forward.restype = self.backward.restype = None
        self.room.argtypes, self.room.restype = [number] * 3, number

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


_libraries: dict[str, Compiled] = {}


def _compiled(traced: Trace) -> Compiled:
    known = repr(traced)  # in which -0.0 is not 0.0
    if known not in _libraries:
        _libraries[known] = Compiled(traced, emit(traced))
    return _libraries[known]


@per_cell
def compiled(cell: Cell) -> Compiled | str:
    """The library of a cell as it is now, or why there is none; told once in the log."""
    found = traced(cell)
    if isinstance(found, str):
        return found
    try:
        return _compiled(found)
    except Unbuildable as cause:
        log.warn(NO_CODE, cause)
        return str(cause)


@per_cell
def traced(cell: Cell) -> Trace | str:
    """The trace of a cell as it is now, or why it has none."""
    if next(cell.parameters(), None) is None:
        return "it has no parameters"
    changed = cell.overrides(*OWNED)
    if changed and cell.core is not None:
        return f"the cell has a {changed[0]} of its own"
    if any(s.shape != (cell.hidden_size,) or s.dtype is not None for s in cell.state_specs()):
        return "a state is not a real vector of hidden_size"
    if any(n.shape != (cell.hidden_size,) for n in cell.noise):
        return "a mask is not a vector of hidden_size"
    before = fingerprint(cell)
    try:
        found = trace(cell)
    except Untraceable as cause:
        return str(cause)
    return found if fingerprint(cell) == before else "its update changes what the cell holds"


class Native(Path):
    """The generated loop."""

    name = "native"

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell here; None if it can."""
        if x.layout.device.type != "cpu":
            return "native code is for the CPU"
        half = torch.is_autocast_enabled("cpu")  # what autocast made smaller is widened again
        if any(p.dtype != torch.float32 for p in cell.parameters()) or (x.dtype != torch.float32 and not half):
            return "native code is for float32"
        found = compiled(cell)
        return found if isinstance(found, str) else None

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, *shape) each, or None. Returns the outputs and the last state, in the batch's order."""
        return self.run_together([cell], x, [state], [reverse], need_state)[0]

    def run_together(
        self,
        cells: Sequence[Cell],
        x: Sequences,
        states: Sequence[State | None],
        reverse: Sequence[bool],
        need_state: bool,
    ) -> list[Result]:
        """`run` for several cells on the same input, the directions of a layer say, side by side on threads.

        Threads to spare each take a part of the batch: every n-th sequence, so that all have about as much to do.
        """
        if torch.is_autocast_enabled("cpu"):
            wide = [None if state is None else tuple(s.float() for s in state) for state in states]
            with torch.autocast("cpu", enabled=False):
                return self.run_together(cells, x.map(Tensor.float), wide, reverse, need_state)
        shards = x.layout.shards(self._shards(len(cells), x))
        jobs = []
        for cell, state, backwards in zip(cells, states, reverse, strict=True):
            own = bool(cell.overrides("initial_state")) or any(spec.initial for spec in cell.state_specs())
            given = own or state is not None
            first = cell.initial_state(x.layout.batch, x.at_hand) if state is None else state
            first = tuple(x.layout.sort(s) for s in first)
            noise = draw_masks(cell, x.layout, x.at_hand)
            code = compiled(cell)
            assert isinstance(code, Compiled)
            jobs += [Job(cell, code, x, shard, first, given, noise, backwards) for shard in shards]
        found = iter(Scan.apply(jobs, *itertools.chain(*(job.tensors for job in jobs))))
        results = []
        for k, cell in enumerate(cells):
            outputs, last = [], []
            for job in jobs[k * len(shards) : (k + 1) * len(shards)]:
                over_time = tuple(itertools.islice(found, job.states))
                last.append(tuple(itertools.islice(found, job.states)))
                outputs.append(cell.readout(job.shown, over_time) if cell.overrides("readout") else over_time[0])
            whole = outputs[0] if len(shards) == 1 else torch.cat(outputs).index_select(0, x.layout.rows_from_shards)
            state = None
            if need_state:
                state = tuple(x.layout.unsort(_interleaved(parts)) for parts in zip(*last, strict=True))
            results.append((Sequences(x.layout, rows=whole), state))
        return results

    def _shards(self, cells: int, x: Sequences) -> int:
        """How many parts a batch is worth."""
        spare = max(1, torch.get_num_threads() // cells)
        return spare if x.layout.batch >= SMALLEST * spare and x.layout.num_rows >= ROWS * spare else 1


DENSE = 0.8  # share of real steps in a padded batch up to which its rows are better packed first
SMALLEST, ROWS = 8, 256  # sequences and steps of a part, below which a thread costs more than it brings


def _interleaved(parts: tuple[Tensor, ...]) -> Tensor:
    """Every n-th row from each of n parts."""
    if len(parts) == 1:
        return parts[0]
    order = torch.cat([torch.arange(k, sum(map(len, parts)), len(parts)) for k in range(len(parts))])
    return torch.cat(parts).index_select(0, order.argsort())


class Job:
    """One run of the loop: which tensors go in, and what is in them.

    tensors: x or gx, weight_ih, bias_ih, weight, bias (None where there is none), the first states, the channels.
    """

    def __init__(
        self,
        cell: Cell,
        code: Compiled,
        x: Sequences,
        shard: Shard,
        first: State,
        given: bool,
        noise: list[tuple[Tensor, bool]],
        reverse: bool,
    ) -> None:
        product = code.trace.product
        self.code, self.layout, self.reverse = code, shard.layout, reverse
        self.blocks = 1 if cell.core is None else cell.core.blocks
        self.hidden, self.states, self.given = cell.hidden_size, code.trace.states, given
        self.spent = False  # whether `backward` has taken what `forward` left
        self.shown: Any = None  # what `project` gave
        additive = code.trace.additive
        weight: Any = None
        bias: Any = None
        if product is not None:
            weight = attrgetter(product.weight)(cell)
            bias = weight.new_zeros(weight.shape[0]) if product.bias is None else attrgetter(product.bias)(cell)
        own = cell.core or cell
        self.place: Tensor | None = None  # of each row in x, where that is not packed
        if cell.overrides("project", "readout") or not own.gates:
            self.shown = cell.project(shard.select_rows(x.rows))
            gx = cell.gates_of(self.shown)
            inputs = [gx + bias if additive else gx, None, None]
        else:
            packed = x.has_rows or shard.rows is not None or x.layout.valid_share < DENSE
            self.place = None if packed else x.layout.padded_index
            source = shard.select_rows(x.rows) if packed else x.padded_finite.flatten(0, 1)
            inputs = [source, own.weight_ih, own.bias_ih + bias if additive else own.bias_ih]
        products = [weight, None if additive else bias]
        self.noise = [
            (shard.select_rows(mask) if by_row else shard.select_slots(mask), by_row) for mask, by_row in noise
        ]
        self.tensors = [*inputs, *products, *map(shard.select_slots, first), *channel_values(cell, code.trace.channels)]

    def forward(self, tensors: Sequence[Tensor | None]) -> list[Tensor]:
        """All states over time, then the last ones."""
        plain: list[Any] = [None if t is None else t.detach().contiguous() for t in tensors]
        x, weight_ih, bias_ih, weight, bias, *rest = plain
        first, channels = rest[: self.states], rest[self.states :]
        traced, rows, batch, hidden = self.code.trace, self.layout.num_rows, self.layout.batch, self.hidden
        buffers = [x.new_empty(rows + batch, hidden) for _ in first]
        for buffer, start in zip(buffers, first, strict=True):
            buffer[rows:] = start
        if weight_ih is not None:
            gx = x.new_empty(rows, len(weight_ih))
        else:
            gx, x = x.clone(), None
        inputs = 0 if x is None else x.shape[1]
        self.values: dict[str, Any] = {
            "steps": self.layout.longest,
            "rows": rows,
            "batch": batch,
            "hidden": hidden,
            "blocks": self.blocks,
            "input": inputs,
            "reverse": int(self.reverse),
            "given": int(self.given),
            "alive": self.layout.batch_sizes,
            "x": x,
            "place": self.place,
            "weight_ih": weight_ih,
            "bias_ih": bias_ih,
            "gx": gx,
            "gh": torch.empty_like(gx) if traced.products and not traced.additive else None,
            "state": buffers,
            "noise": [mask for mask, _ in self.noise],
            "noise_by_row": [int(by_row) for _, by_row in self.noise],
            "channel": channels,
            "weight": weight,
            "bias": bias,
            "room": gx.new_empty(self.code.room(hidden, self.blocks, inputs)),
            "before": self.layout.lengths.new_empty(rows),
        }
        self.code.call(self.code.forward, **self.values)
        self.spent = False
        ends = self.layout.last_rows(self.reverse, rows)
        return [*(b[:rows] for b in buffers), *(b.index_select(0, ends) for b in buffers)]

    def backward(
        self, tensors: Sequence[Tensor | None], gradients: Sequence[Tensor | None], need_dx: bool
    ) -> list[Tensor | None]:
        """Gradients of `tensors` from those of what `forward` returned."""
        if self.spent:
            self.forward(tensors)
        self.spent = True
        values, hidden = self.values, self.hidden
        gx: Tensor = values["gx"]
        dy = [None if g is None else g.contiguous() for g in gradients[: self.states]]
        ds = [
            gx.new_zeros(self.layout.batch, hidden) if g is None else g.contiguous().clone()
            for g in gradients[self.states :]
        ]

        def like(name: str) -> Tensor | None:
            return None if values[name] is None else torch.zeros_like(values[name])

        dx = None
        if need_dx and values["x"] is not None:  # of what is not a row, the gradient is zero
            dx = torch.empty_like(values["x"]) if len(values["x"]) == values["rows"] else like("x")
        made = {
            "dx": dx,
            "dweight_ih": like("weight_ih"),
            "dbias_ih": like("bias_ih"),
            "dweight": like("weight"),
            "dbias": like("bias"),
        }
        dchannel = [gx.new_zeros(hidden) for _ in values["channel"]]
        self.code.call(
            self.code.backward,
            **values,
            dy=dy,
            ds=ds,
            dgx=gx,
            dgh=gx if values["gh"] is None else values["gh"],
            dchannel=dchannel,
            **made,
        )
        dx = gx if values["x"] is None else made["dx"]
        return [dx, *(made[name] for name in ("dweight_ih", "dbias_ih", "dweight", "dbias")), *ds, *dchannel]

    def replay(self, tensors: Sequence[Any]) -> list[Tensor]:
        """What `forward` returns, by torch's operations, which can be differentiated twice."""
        x, weight_ih, bias_ih, weight, bias, *rest = tensors
        first, channels = rest[: self.states], rest[self.states :]
        traced, alive = self.code.trace, self.layout.batch_sizes.tolist()
        x = x if self.place is None else x.index_select(0, self.place)
        gx = (x if weight_ih is None else F.linear(x, weight_ih, bias_ih)).split(alive)
        masks = [mask.split(alive) if by_row else mask for mask, by_row in self.noise]
        states: dict[int, list[Tensor]] = {}
        for t in reversed(range(len(alive))) if self.reverse else range(len(alive)):
            before = states.get(t + 1 if self.reverse else t - 1, [f[:0] for f in first])
            carried = min(alive[t], len(before[0]))
            now = [torch.cat([b[:carried], f[carried : alive[t]]]) for b, f in zip(before, first, strict=True)]
            gates = gx[t].chunk(traced.gates, -1)
            gh = () if weight is None else multiply(now[0], weight, traced.gates, bias).chunk(traced.gates, -1)
            if traced.additive:
                gates, gh = tuple(a + b for a, b in zip(gates, gh, strict=True)), ()
            noise = [mask[t] if isinstance(mask, tuple) else mask[: alive[t]] for mask in masks]
            states[t] = run(traced.forward, [*gates, *gh, *now, *noise, *(c.expand_as(now[0]) for c in channels)])
        ends = self.layout.last_rows(self.reverse, len(self.values["gx"]))
        over_time = [torch.cat([states[t][k] for t in range(len(alive))] or [f[:0]]) for k, f in enumerate(first)]
        last = [torch.cat([o, f]).index_select(0, ends) for o, f in zip(over_time, first, strict=True)]
        return over_time + last


def multiply(h: Tensor, weight: Tensor, gates: int, bias: Tensor | None) -> Tensor:
    """The recurrent product (batch, gates * hidden_size), dense or block by block."""
    if weight.dim() == 2:
        return F.linear(h, weight, bias)
    blocks = torch.einsum("bki,gkoi->bgko", h.unflatten(-1, (weight.shape[1], -1)), weight).flatten(1)
    return blocks if bias is None else blocks + bias


class Scan(torch.autograd.Function):
    """Jobs with their gradients: from each one's tensors to its states over time and its last ones."""

    @staticmethod
    def forward(ctx: Any, jobs: list[Job], *tensors: Tensor | None) -> tuple[Tensor, ...]:
        parts = _parts(tensors, [len(job.tensors) for job in jobs])
        ctx.jobs = jobs
        ctx.save_for_backward(*tensors)  # asked for on the way back, which fails if one was changed in between
        ctx.set_materialize_grads(False)
        found = _each([partial(job.forward, part) for job, part in zip(jobs, parts, strict=True)])
        for job in jobs:
            job.tensors = [None] * len(job.tensors)
        return tuple(itertools.chain(*found))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return (None, *_differentiable(ctx, gradients))
        counts = [len(job.tensors) for job in ctx.jobs]
        calls = [
            partial(job.backward, tensors, part, needs[0])
            for job, tensors, part, needs in zip(
                ctx.jobs,
                _parts(ctx.saved_tensors, counts),
                _parts(gradients, [2 * job.states for job in ctx.jobs]),
                _parts(ctx.needs_input_grad[1:], counts),
                strict=True,
            )
        ]
        return (None, *itertools.chain(*_each(calls)))


def _differentiable(ctx: Any, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The gradients as a graph of their own, for a gradient of a gradient."""
    log.warn(NO_CODE, "a gradient of a gradient was asked for")
    tensors = [None if t is None else t.view_as(t) for t in ctx.saved_tensors]  # each use its own
    parts = _parts(tensors, [len(job.tensors) for job in ctx.jobs])
    found = list(itertools.chain(*(job.replay(part) for job, part in zip(ctx.jobs, parts, strict=True))))
    asked = [(f, g) for f, g in zip(found, gradients, strict=True) if g is not None]
    wanted = [t for t, need in zip(tensors, ctx.needs_input_grad[1:], strict=True) if need and t is not None]
    outputs, weights = zip(*asked, strict=True)
    made = iter(torch.autograd.grad(outputs, wanted, weights, create_graph=True, allow_unused=True))
    return [
        next(made) if need and t is not None else None
        for t, need in zip(tensors, ctx.needs_input_grad[1:], strict=True)
    ]


def _parts(values: Sequence[Any], counts: Sequence[int]) -> list[list[Any]]:
    ends = list(itertools.accumulate(counts, initial=0))
    return [list(values[begin:end]) for begin, end in itertools.pairwise(ends)]


def _each(calls: Sequence[Callable[[], list]]) -> list[list]:
    """The results of all calls: each on a thread of its own, if torch may use several."""
    if len(calls) == 1 or torch.get_num_threads() == 1:
        return [call() for call in calls]
    results: list[Any] = [None] * len(calls)

    def work(place: int) -> None:
        try:
            with torch.no_grad():
                results[place] = calls[place]()
        except BaseException as error:
            results[place] = error

    threads = [threading.Thread(target=work, args=(place,)) for place in range(1, len(calls))]
    for thread in threads:
        thread.start()
    work(0)
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
