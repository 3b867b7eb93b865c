"""A program as C loops over the channels of one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rnnzoo.engine.codegen.ir import ROW_SUM, Program
from rnnzoo.engine.cpp.expressions import expression, operand


class Loops(NamedTuple):
    """C for one row, and how many buffers of hidden_size channels it uses between its loops."""

    code: str
    buffers: int


class Plan:
    """In which loop each value of a program is computed, and in which loops it is used.

    There is one loop over the channels where nothing is summed over them; else one more for each sum that waits for
    another. per_row: whether a value is one number a row. level: the loop in which it is known. used: by loop, the
    values of a channel that it reads. buffer: the buffer of each value that a later loop needs.
    """

    def __init__(self, program: Program) -> None:
        self.program, inputs = program, program.inputs
        self.per_row, self.level = [False] * inputs, [0] * inputs
        for op in program.ops:
            self.level.append(max([self.level[n] for n in op.numbers], default=0) + (op.name == ROW_SUM))
            self.per_row.append(op.name == ROW_SUM or all(self.per_row[n] for n in op.numbers))
        self.last = max(self.level)
        self.used: list[set[int]] = [set() for _ in range(self.last + 1)]
        for number, op in enumerate(program.ops, start=inputs):
            if not self.per_row[number] or op.name == ROW_SUM:
                loop = self.level[number] - (op.name == ROW_SUM)
                self.used[loop].update(n for n in op.numbers if not self.per_row[n])
        self.used[self.last].update(n for n in program.output_numbers if not self.per_row[n])
        late = {n for loop, some in enumerate(self.used) for n in some if n >= inputs and self.level[n] < loop}
        self.buffer = {number: k for k, number in enumerate(sorted(late))}

    @property
    def computed(self) -> range:
        """The numbers of all results."""
        return range(self.program.inputs, len(self.level))

    def is_sum(self, number: int) -> bool:
        """Whether a result is a sum over channels."""
        return self.program.op(number).name == ROW_SUM

    def define(self, number: int) -> str:
        """C that computes a result."""
        return f"const float v{number} = {expression(self.program.op(number))};"

    def body(
        self,
        loop: int,
        loads: Sequence[str],
        define: Callable[[int], str],
        declare: str = "const float",
        stride: str = "H",
    ) -> list[str]:
        """What a loop reads and computes for one channel, in C or a language like it.

        loads: by input, an expression. define: the line that computes a result. declare: what stands before a new name.
        stride: how far apart the rows of `kept` are.
        """
        lines = []
        for number in sorted(self.used[loop]):
            if number < self.program.inputs:
                lines.append(f"{declare} v{number} = {loads[number]};")
            elif self.level[number] < loop:
                lines.append(f"{declare} v{number} = kept[{self.buffer[number]} * {stride} + j];")
        for number in self.computed:
            if self.level[number] == loop and not self.per_row[number]:
                lines.append(define(number))
                if number in self.buffer:
                    lines.append(f"kept[{self.buffer[number]} * {stride} + j] = v{number};")
        return lines


def loops(program: Program, loads: list[str], stores: list[str]) -> Loops:
    """C for one row: load the inputs that are used, compute, store the outputs.

    Outputs are stored in the last loop, as their place may be that of an input.
    """
    plan = Plan(program)
    lines = []
    for loop in range(plan.last + 1):
        sums = [n for n in plan.computed if plan.is_sum(n) and plan.level[n] == loop + 1]
        per_row = [n for n in plan.computed if plan.per_row[n] and not plan.is_sum(n) and plan.level[n] == loop]
        lines += [plan.define(n) for n in per_row]
        lines += [f"float v{n} = 0.f;" for n in sums]
        reduction = f" reduction(+:{', '.join(f'v{n}' for n in sums)})" if sums else ""
        lines += [f"#pragma omp simd{reduction}", "for (int64_t j = 0; j < H; j++) {"]
        lines += [f"  {line}" for line in plan.body(loop, loads, plan.define)]
        lines += [f"  v{n} += {operand(program.op(n).arguments[0])};" for n in sums]
        if loop == plan.last:
            for store, value in zip(stores, program.outputs, strict=True):
                if not (store.endswith("+=") and value == 0.0):
                    lines.append(f"  {store} {operand(value)};")
        lines.append("}")
    return Loops("\n".join(f"      {line}" for line in lines), len(plan.buffer))
