"""A recurrent layer as a page computes it: its weights in the bundle, and its programs as JavaScript."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import torch

from rnnzoo.cells.base import Cell
from rnnzoo.engine import weights
from rnnzoo.engine.codegen.ir import Ref, Trace, Untraceable
from rnnzoo.engine.codegen.trace_cache import traced
from rnnzoo.engine.codegen.tracer import channel_values
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.errors import ZooError
from rnnzoo.export.web.around import Around, around
from rnnzoo.export.web.bundle import Bundle
from rnnzoo.export.web.expressions import number
from rnnzoo.export.web.programs import activated, function


class Writer:
    """What describing a model adds to: the bundle of its weights, and the functions of its programs.

    what: of which a message says that it cannot run a part.
    """

    what = "a page"

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.functions: list[str] = []

    def function(self, source: str) -> int:
        """The number of a function; layers with the same arithmetic share one."""
        if source not in self.functions:
            self.functions.append(source)
        return self.functions.index(source)

    def layer(self, recurrence: Recurrence) -> dict[str, Any]:
        """A cell over time in one direction. Raises: ZooError with the tracer's reason."""
        with weights.PASS_LOCK, weights.of_this_pass([recurrence.cell]):
            return self._cell(recurrence.cell) | {"reverse": recurrence.reverse}

    def _cell(self, cell: Cell) -> dict[str, Any]:
        name = type(cell).__name__
        trace = traced(cell)
        if isinstance(trace, str):
            raise ZooError(f"{self.what} cannot run {name}: {trace}.")
        if type(cell).initial_state is not Cell.initial_state and not _starts_as_declared(cell):
            raise ZooError(f"{self.what} cannot run {name}: its first state is not one number.")
        try:
            outside = around(cell)
        except Untraceable as cause:
            raise ZooError(f"{self.what} cannot run {name}: {cause}.") from cause
        core = cell.core or cell
        names = core.gates if len(core.gates) == trace.gates else [str(k + 1) for k in range(trace.gates)]
        step, ranges = self._step(cell, trace)
        size = cell.hidden_size
        return {
            "cell": name,
            "size": size,
            "input": cell.input_size,
            "output": len(outside.readout.outputs) * size,
            "products": [
                {"weight": self._add(cell, one.weight), "bias": self._add(cell, one.bias)} for one in outside.products
            ],
            "project": self._project(outside),
            "gates": [{"name": name, "range": bounds} for name, bounds in zip(names, ranges, strict=True)],
            "states": [{"name": spec.name, "initial": spec.initial} for spec in cell.state_specs()],
            "recur": self._recurrent(cell, trace),
            "step": step,
            "kept": outside.kept if _reads_kept(outside) else 0,
            "allKept": outside.kept,
            "readout": self._readout(outside, len(cell.state_specs())),
            "channels": [self._vector(value) for value in channel_values(cell, trace.channels)],
            "outer": [self._vector(value) for value in channel_values(cell, outside.channels)],
        }

    def _add(self, cell: Cell, name: str | None) -> int | None:
        return None if name is None else self.bundle.add(attrgetter(name)(cell).detach())

    def _vector(self, value: torch.Tensor) -> int:
        value = value.detach()
        return self.bundle.add(value if value.is_contiguous() else value.clone())

    def _recurrent(self, cell: Cell, trace: Trace) -> dict[str, Any] | None:
        """The product of the last output: a matrix, or blocks on its diagonal."""
        if trace.product is None:
            return None
        blocks = cell.core.blocks if cell.core is not None and cell.core.recurrent == "block" else 1
        found = trace.product
        return {"weight": self._add(cell, found.weight), "bias": self._add(cell, found.bias), "blocks": blocks}

    def _step(self, cell: Cell, trace: Trace) -> tuple[int, list[tuple[float, float] | None]]:
        """The function of a step; it also writes each gate after its activation, whose ranges are returned."""
        gates, states = range(trace.gates), range(trace.states)
        separate = trace.products > 0 and not trace.additive
        if trace.additive:
            loads = [f"gx[at + {k} * H + j] + gh[{k} * H + j]" for k in gates]
        else:
            loads = [f"gx[at + {k} * H + j]" for k in gates]
        loads += [f"gh[{k} * H + j]" for k in gates] if separate else []
        loads += [f"old{k}[j]" for k in states]
        loads += [number(1 - spec.rate) for spec in cell.noise]  # a mask's mean
        loads += [f"own{k}[j]" for k in range(len(trace.channels))]
        shown = activated(trace.forward, [(k, trace.gates + k) if separate else (k,) for k in gates])
        program = trace.forward._replace(outputs=(*trace.forward.outputs, *(value for value, _ in shown)))
        stores = [f"new{k}[j] =" for k in states] + [f"seen[{k} * H + j] =" for k in gates]
        given = ["gx", "gh", *(f"old{k}" for k in states), *(f"own{k}" for k in range(len(trace.channels)))]
        pointers = [f"const [{', '.join(given)}] = given;"]
        pointers.append(f"const [{', '.join([*(f'new{k}' for k in states), 'seen'])}] = made;")
        return self.function(function(program, pointers, loads, stores)), [bounds for _, bounds in shown]

    def _project(self, outside: Around) -> int | None:
        """From the products of the input to the gates and what the readout reads; None where they are the gates."""
        lanes = sum(one.lanes for one in outside.products)
        if _is_identity(outside, lanes):
            return None
        products = [f"p{k}[{lane} * H + j]" for k, one in enumerate(outside.products) for lane in range(one.lanes)]
        own = [f"own{k}" for k in range(len(outside.channels))]
        of_x = outside.projection.inputs - lanes - len(own)
        loads = products + [f"x[at + {k} * H + j]" for k in range(of_x)] + [f"{name}[j]" for name in own]
        stores = [f"gates[{k} * H + j] =" for k in range(outside.gates)]
        stores += [f"rest[{k} * H + j] =" for k in range(outside.kept)]
        given = [*(f"p{k}" for k in range(len(outside.products))), "x", *own]
        pointers = [f"const [{', '.join(given)}] = given, [gates, rest] = made;"]
        return self.function(function(outside.projection, pointers, loads, stores))

    def _readout(self, outside: Around, states: int) -> int | None:
        """From states, and what was kept of the projection, to the output; None where it is the first state."""
        if not outside.readout.ops and outside.readout.outputs == (Ref(outside.kept),):
            return None
        own = [f"own{k}" for k in range(len(outside.channels))]
        loads = [f"rest[{k} * H + j]" for k in range(outside.kept)] + [f"s{k}[j]" for k in range(states)]
        loads += [f"{name}[j]" for name in own]
        given = ["rest", *(f"s{k}" for k in range(states)), *own]
        pointers = [f"const [{', '.join(given)}] = given, [y] = made;"]
        stores = [f"y[{k} * H + j] =" for k in range(len(outside.readout.outputs))]
        return self.function(function(outside.readout, pointers, loads, stores))


def _is_identity(outside: Around, lanes: int) -> bool:
    """Whether the gates are the lanes of the products, in order, and so is what the output reads of the projection."""
    same = tuple(Ref(k) for k in range(lanes))
    outputs = outside.projection.outputs
    gates, rest = outputs[: outside.gates], outputs[outside.gates :]
    return gates == same and (rest == same or not _reads_kept(outside))


def _reads_kept(outside: Around) -> bool:
    """Whether the output depends on what was projected."""
    numbers = {n for op in outside.readout.ops for n in op.numbers} | outside.readout.output_numbers
    return any(n < outside.kept for n in numbers)


def _starts_as_declared(cell: Cell) -> bool:
    """Whether a cell's first state is what its specs declare."""
    like = torch.zeros(1)
    return all(
        torch.equal(given, declared)
        for given, declared in zip(cell.initial_state(2, like), Cell.initial_state(cell, 2, like), strict=True)
    )
