"""A cell's step and its gradient as lists of scalar operations, of which the emitters make code.

Every operation is in `OPERATIONS`: the tracer records no other, `cpp/emit.py` has code for each, and
`triton/emit.py` has code for it or refuses it by name.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

UNARY = (
    *("neg", "exp", "exp2", "log", "log2", "log10", "log1p", "expm1", "sigmoid", "tanh", "relu", "sqrt", "rsqrt"),
    *("abs", "sign", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"),
    *("erf", "erfc", "floor", "ceil", "round", "trunc", "reciprocal", "logical_not", "signbit"),
)
BINARY = (
    *("add", "sub", "mul", "div", "maximum", "minimum", "fmax", "fmin", "gt", "lt", "ge", "le", "eq", "ne"),
    *("logical_and", "logical_or", "pow", "fmod", "remainder", "floor_divide", "atan2", "hypot", "copysign"),
)
ROW_SUM = "rowsum"  # the sum over hidden_size: one number a row
OPERATIONS = (*UNARY, *BINARY, "where", ROW_SUM)


class Untraceable(Exception):
    """Why a step cannot become scalar code."""


class Ref(NamedTuple):
    """A value: an input (numbered first) or the result of an operation."""

    number: int


class Op(NamedTuple):
    """One scalar operation on values and constants."""

    name: str
    arguments: tuple[Ref | float, ...]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the values among its arguments."""
        return [argument.number for argument in self.arguments if isinstance(argument, Ref)]


class Program(NamedTuple):
    """Scalar operations in order; value `inputs + i` is the result of `ops[i]`."""

    inputs: int
    ops: tuple[Op, ...]
    outputs: tuple[Ref | float, ...]

    @property
    def output_numbers(self) -> set[int]:
        """The numbers of the values among the outputs."""
        return {value.number for value in self.outputs if isinstance(value, Ref)}

    def op(self, number: int) -> Op:
        """The operation that gives a value."""
        return self.ops[number - self.inputs]


class Product(NamedTuple):
    """The recurrent product of a cell: its weight and its bias, by name, and how many lanes of hidden_size it gives."""

    weight: str
    bias: str | None
    lanes: int


class Trace(NamedTuple):
    """A cell's step without its products.

    forward: gx, gh, state, noise, channels -> state'. backward: the same and d(state') -> d(gx), d(gh), d(state),
    d(channels), summed over rows and, of a single number, over channels.
    gates: how many gx. products: how many gh, 0 unless the recurrent product is a matrix. channels: names of the
    parameters and buffers that the step reads, each with the number of its lane; a single number is one lane.
    additive: gx and gh are only ever used as gx + gh; then the programs have their sum in gx's place, and no gh.
    """

    forward: Program
    backward: Program
    gates: int
    products: int
    states: int
    noise: int
    channels: tuple[str, ...]
    additive: bool
    product: Product | None


def evaluate(name: str, *arguments: Tensor | float) -> Tensor:
    """One operation on tensors and numbers, by torch."""
    tensors = [torch.as_tensor(argument) for argument in arguments]
    if name == ROW_SUM:
        return tensors[0].sum(-1, keepdim=True)
    if name == "where":
        return torch.where(tensors[0].bool(), tensors[1], tensors[2])
    return getattr(torch, name)(*tensors)


def run(program: Program, values: list[Tensor]) -> list[Tensor]:
    """Run a program on tensors (..., hidden_size) by torch: what generated code is compared with."""
    like = values[0]
    known = list(values)
    for op in program.ops:
        arguments = [known[a.number] if isinstance(a, Ref) else torch.tensor(a, dtype=like.dtype) for a in op.arguments]
        known.append(evaluate(op.name, *arguments).to(like.dtype))
    outputs = [known[v.number] if isinstance(v, Ref) else torch.full_like(like, v) for v in program.outputs]
    return [output.expand_as(like) for output in outputs]


def without_unused(program: Program) -> Program:
    """The program without operations that no output depends on."""
    used = program.output_numbers
    for k in reversed(range(len(program.ops))):
        if program.inputs + k in used:
            used.update(program.ops[k].numbers)
    renumbered: dict[int, Ref | float] = {number: Ref(number) for number in range(program.inputs)}
    ops: list[Op] = []
    for k, op in enumerate(program.ops):
        if program.inputs + k in used:
            renumbered[program.inputs + k] = Ref(program.inputs + len(ops))
            ops.append(Op(op.name, substituted(op.arguments, renumbered)))
    return Program(program.inputs, tuple(ops), substituted(program.outputs, renumbered))


def substituted(values: tuple[Ref | float, ...], by: dict[int, Ref | float]) -> tuple[Ref | float, ...]:
    """Values with those replaced that have an entry in `by`."""
    return tuple(by.get(value.number, value) if isinstance(value, Ref) else value for value in values)


# -- gates that are only ever added ---------------------------------------------------------------------------------


def is_additive(program: Program, gates: int) -> bool:
    """Whether each gx and gh, the first 2 * gates inputs, is used in gx + gh and nowhere else."""
    parts = set(range(2 * gates))
    for op in program.ops:
        if parts & set(op.numbers):
            low, high = sorted(op.numbers) if len(op.numbers) == 2 else (-1, -1)
            if op.name != "add" or low >= gates or high != low + gates:
                return False
    return not program.output_numbers & parts


def with_sums(program: Program, gates: int) -> Program:
    """An additive program with gx + gh as the input in gx's place, and without gh."""
    replaced: dict[int, Ref | float] = {k: Ref(k) for k in range(gates)}
    replaced |= {k: Ref(k - gates) for k in range(2 * gates, program.inputs)}
    inputs = program.inputs - gates
    ops: list[Op] = []
    for k, op in enumerate(program.ops):
        gate = min(op.numbers, default=gates)
        if gate < gates:  # gx + gh, as it is used in no other way
            replaced[program.inputs + k] = Ref(gate)
        else:
            replaced[program.inputs + k] = Ref(inputs + len(ops))
            ops.append(Op(op.name, substituted(op.arguments, replaced)))
    return Program(inputs, tuple(ops), substituted(program.outputs, replaced))
