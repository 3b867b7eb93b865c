"""What a forward pass leaves for the backward pass, so that costly operations are not computed twice."""

from __future__ import annotations

from typing import NamedTuple

from rnnzoo.engine.codegen.ir import ROW_SUM, Op, Program, Ref, Trace, substituted, without_unused

CHEAP = (  # to compute once more rather than to save
    *("add", "sub", "mul", "neg", "relu", "abs", "sign", "maximum", "minimum", "gt", "lt", "ge", "le", "eq", "ne"),
    *("logical_and", "logical_or", "logical_not", "where", "copysign", "signbit", "floor", "ceil", "round", "trunc"),
    ROW_SUM,
)


class Saved(NamedTuple):
    """in_gate: by gate, the value of the forward program that is left in the place of its gx, which was used up.

    backward: the backward program that reads those values there.
    """

    in_gate: dict[int, Ref]
    backward: Program


def saved_values(trace: Trace) -> Saved:
    """As many costly operations of the backward program as have room: those that the forward program computes too."""
    shared = trace.forward.inputs
    forward, backward = _keys(trace.forward, shared), _keys(trace.backward, shared)
    in_forward = {key: Ref(number) for number, key in reversed(list(enumerate(forward))) if number >= shared}
    program = trace.backward
    costly = [
        number
        for number, op in enumerate(program.ops, start=program.inputs)
        if op.name not in CHEAP and backward[number] in in_forward and not _one_a_row(program, op)
    ]
    for count in reversed(range(len(costly) + 1)):
        used = _reached(program, set(costly[:count]))
        free = [gate for gate in range(trace.gates) if gate not in used]
        if count <= len(free):
            break
    gate_of = dict(zip(costly[:count], free, strict=False))
    reads: dict[int, Ref | float] = {number: Ref(gate) for number, gate in gate_of.items()}
    program = program._replace(
        ops=tuple(Op(op.name, substituted(op.arguments, reads)) for op in program.ops),
        outputs=substituted(program.outputs, reads),
    )
    return Saved({gate: in_forward[backward[number]] for number, gate in gate_of.items()}, without_unused(program))


def _one_a_row(program: Program, op: Op) -> bool:
    """Whether an operation gives one number a row: it is made of sums over channels alone."""
    if op.name == ROW_SUM:
        return True
    return bool(op.numbers) and all(n >= program.inputs and _one_a_row(program, program.op(n)) for n in op.numbers)


def _keys(program: Program, shared: int) -> list[object]:
    """For each value a key that is the same in any program in which it is computed from the same first inputs."""
    keys: list[object] = [number if number < shared else (program.outputs, number) for number in range(program.inputs)]
    for op in program.ops:
        keys.append((op.name, *(keys[a.number] if isinstance(a, Ref) else repr(a) for a in op.arguments)))
    return keys


def _reached(program: Program, known: set[int]) -> set[int]:
    """The values that the outputs depend on if those in `known` need not be computed."""
    reached = program.output_numbers
    for number in reversed(range(program.inputs, program.inputs + len(program.ops))):
        if number in reached and number not in known:
            reached.update(program.op(number).numbers)
    return reached
