"""A recurrent layer in C: its weights among the file's, and its programs as functions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from rnnzoo.cells.base import Cell
from rnnzoo.engine.codegen.ir import Program, Ref, Trace
from rnnzoo.engine.cpp.expressions import EXPRESSIONS, number, operand
from rnnzoo.engine.cpp.loops import Plan
from rnnzoo.export.c.weights import Weights
from rnnzoo.export.web.around import Around
from rnnzoo.export.web.cells import Writer, _is_identity

HELPERS = {  # by the name that an expression calls
    "exp_": "#define exp_(x) expf(x)",
    "tanh_": "#define tanh_(x) tanhf(x)",
    "sigmoid_": "static float sigmoid_(float x) { return 1.f / (1.f + expf(-x)); }",
    "remainder_": """static float remainder_(float x, float y) {
  const float rest = fmodf(x, y);
  return rest != 0.f && (y < 0.f) != (rest < 0.f) ? rest + y : rest;
}""",
    "floor_divide_": """static float floor_divide_(float x, float y) {
  const float rest = fmodf(x, y), whole = (x - rest) / y;
  if (y == 0.f) return x / y;
  return floorf((rest != 0.f && (y < 0.f) != (rest < 0.f) ? whole - 1.f : whole) + .5f);
}""",
}
IN_C = EXPRESSIONS | {"signbit": "(signbit({}) ? 1.f : 0.f)"}


class CWriter(Writer):
    """What describing a model for a C file adds to."""

    what = "a C file"

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)  # type: ignore[arg-type]  # it takes tensors as a bundle does

    def _step(self, cell: Cell, trace: Trace) -> tuple[int, list[tuple[float, float] | None]]:
        """The function of a step: gx, gh, the states, the channels -> the new states."""
        gates, states = range(trace.gates), range(trace.states)
        separate = trace.products > 0 and not trace.additive
        loads = [f"gx[{k} * H + j]" + (f" + gh[{k} * H + j]" if trace.additive else "") for k in gates]
        loads += [f"gh[{k} * H + j]" for k in gates] if separate else []
        loads += [f"given[{2 + k}][j]" for k in states]
        loads += [number(1 - spec.rate) for spec in cell.noise]  # a mask's mean
        loads += [f"given[{2 + trace.states + k}][j]" for k in range(len(trace.channels))]
        pointers = ["const float *gx = given[0], *gh = given[1];", "(void)gx, (void)gh;"]
        stores = [f"made[{k}][j] =" for k in states]
        return self.function(function(trace.forward, pointers, loads, stores)), [None] * trace.gates

    def _project(self, outside: Around) -> int | None:
        """The products, x, the channels -> the gates, and what the readout reads; None where they are the gates."""
        lanes = sum(one.lanes for one in outside.products)
        if _is_identity(outside, lanes):
            return None
        count = len(outside.products)
        loads = [f"given[{k}][{lane} * H + j]" for k, one in enumerate(outside.products) for lane in range(one.lanes)]
        of_x = outside.projection.inputs - lanes - len(outside.channels)
        loads += [f"given[{count}][{k} * H + j]" for k in range(of_x)]
        loads += [f"given[{count + 1 + k}][j]" for k in range(len(outside.channels))]
        stores = [f"made[0][{k} * H + j] =" for k in range(outside.gates)]
        stores += [f"made[1][{k} * H + j] =" for k in range(outside.kept)]
        return self.function(function(outside.projection, [], loads, stores))

    def _readout(self, outside: Around, states: int) -> int | None:
        """What was kept of the projection, the states, the channels -> the output; None where it is the first state."""
        if not outside.readout.ops and outside.readout.outputs == (Ref(outside.kept),):
            return None
        loads = [f"given[0][{k} * H + j]" for k in range(outside.kept)] + [f"given[{1 + k}][j]" for k in range(states)]
        loads += [f"given[{1 + states + k}][j]" for k in range(len(outside.channels))]
        stores = [f"made[0][{k} * H + j] =" for k in range(len(outside.readout.outputs))]
        return self.function(function(outside.readout, [], loads, stores))


def function(program: Program, pointers: Sequence[str], loads: Sequence[str], stores: Sequence[str]) -> str:
    """The body of a function of H, `given` and `made`: every output for all channels.

    pointers: lines before the loops. loads: by input of the program, an expression for its channel j. stores: by
    output, the beginning of an assignment. Outputs may stand where an input does: they are stored in the last loop.
    """
    plan = Plan(program)
    lines = [*pointers, *([f"float kept[{len(plan.buffer)} * RNN_LARGEST];"] if plan.buffer else [])]
    for loop in range(plan.last + 1):
        sums = [n for n in plan.computed if plan.is_sum(n) and plan.level[n] == loop + 1]
        per_row = [n for n in plan.computed if plan.per_row[n] and not plan.is_sum(n) and plan.level[n] == loop]
        lines += [_define(plan, n) for n in per_row]
        lines += [f"float v{n} = 0.f;" for n in sums]
        body = plan.body(loop, loads, partial(_define, plan), stride="RNN_LARGEST")
        body += [f"v{n} += {operand(program.op(n).arguments[0])};" for n in sums]
        if loop == plan.last:
            body += [f"{store} {operand(value)};" for store, value in zip(stores, program.outputs, strict=True)]
        lines += ["for (int j = 0; j < H; j++) {", *(f"  {line}" for line in body), "}"]
    return "{\n" + "\n".join(f"  {line}" for line in lines) + "\n}"


def _define(plan: Plan, n: int) -> str:
    op = plan.program.op(n)
    return f"const float v{n} = {IN_C[op.name].format(*map(operand, op.arguments))};"


def helpers(functions: Sequence[str]) -> list[str]:
    """The helper functions that some functions call."""
    return [source for name, source in HELPERS.items() if any(f"{name}(" in body for body in functions)]


def layer_facts(layers: Sequence[dict[str, Any]]) -> int:
    """The most pointers that a function of these layers is given or makes."""
    return max(3 + len(f["states"]) + len(f["channels"]) + len(f["outer"]) + len(f["products"]) for f in layers)
