"""A program of scalar operations as a JavaScript function that computes it for every channel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rnnzoo.engine.codegen.ir import Program, Ref
from rnnzoo.engine.cpp.loops import Plan
from rnnzoo.export.web.expressions import expression, operand


def function(program: Program, pointers: Sequence[str], loads: Sequence[str], stores: Sequence[str]) -> str:
    """A function `(H, at, given, made)` of a page.

    H: channels. at: where in the first of `given` the step begins. pointers: lines before the loops. loads: by input of
    the program, an expression for its channel j. stores: by output, the beginning of an assignment.

    Where something is summed over channels, there are several loops; `kept` holds between them what a later one needs.
    """
    plan = Plan(program)
    lines = [*pointers, *([f"const kept = new Float64Array({len(plan.buffer)} * H);"] if plan.buffer else [])]
    for loop in range(plan.last + 1):
        sums = [n for n in plan.computed if plan.is_sum(n) and plan.level[n] == loop + 1]
        per_row = [n for n in plan.computed if plan.per_row[n] and not plan.is_sum(n) and plan.level[n] == loop]
        lines += [_define(plan, n) for n in per_row]
        lines += [f"let v{n} = 0;" for n in sums]
        body = plan.body(loop, loads, partial(_define, plan), "const")
        body += [f"v{n} += {operand(program.op(n).arguments[0])};" for n in sums]
        if loop == plan.last:
            body += [f"{store} {operand(value)};" for store, value in zip(stores, program.outputs, strict=True)]
        lines += ["for (let j = 0; j < H; j++) {", *(f"  {line}" for line in body), "}"]
    return "(H, at, given, made) => {\n" + "\n".join(f"  {line}" for line in lines) + "\n}"


def _define(plan: Plan, number: int) -> str:
    return f"const v{number} = {expression(plan.program.op(number))};"


# -- what a gate is after its activation ----------------------------------------------------------------------------

RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


def activated(program: Program, lanes: Sequence[Sequence[int]]) -> list[tuple[Ref | float, tuple[float, float] | None]]:
    """For each gate, its value after its own activation, and the range of that.

    lanes: the inputs that belong to each gate. A gate without an activation of its own is its first input.
    """
    reach: list[frozenset[int]] = [
        frozenset(gate for gate, numbers in enumerate(lanes) if number in numbers) for number in range(program.inputs)
    ]
    shown: dict[int, tuple[Ref, tuple[float, float]]] = {}
    for number, op in enumerate(program.ops, start=program.inputs):
        before = frozenset().union(*(reach[n] for n in op.numbers))
        if op.name in RANGES:
            if len(before) == 1:
                shown.setdefault(next(iter(before)), (Ref(number), RANGES[op.name]))
            before = frozenset()  # what follows an activation is no gate
        reach.append(before)
    return [shown.get(gate, (Ref(numbers[0]), None)) for gate, numbers in enumerate(lanes)]
