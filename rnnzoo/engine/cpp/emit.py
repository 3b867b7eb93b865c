"""C++ source of one cell from its trace: the template `scan.cpp` with one line for each scalar operation."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from rnnzoo.engine.codegen.tracer import Op, Program, Ref, Trace, needed

EXPRESSIONS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-{}",
    "reciprocal": "1.f / {}",
    "exp": "exp_({})",
    "sigmoid": "sigmoid_({})",
    "tanh": "tanh_({})",
    "relu": "({0} < 0.f ? 0.f : {0})",
    "log": "logf({})",
    "log1p": "log1pf({})",
    "expm1": "expm1f({})",
    "sin": "sinf({})",
    "cos": "cosf({})",
    "sqrt": "sqrtf({})",
    "rsqrt": "1.f / sqrtf({})",
    "abs": "fabsf({})",
    "pow": "powf({}, {})",
    "exp2": "exp2f({})",
    "log2": "log2f({})",
    "log10": "log10f({})",
    "tan": "tanf({})",
    "asin": "asinf({})",
    "acos": "acosf({})",
    "atan": "atanf({})",
    "sinh": "sinhf({})",
    "cosh": "coshf({})",
    "asinh": "asinhf({})",
    "acosh": "acoshf({})",
    "atanh": "atanhf({})",
    "erf": "erff({})",
    "floor": "floorf({})",
    "ceil": "ceilf({})",
    "round": "nearbyintf({})",
    "trunc": "truncf({})",
    "fmod": "fmodf({}, {})",
    "atan2": "atan2f({}, {})",
    "remainder": "remainder_({}, {})",
    "floor_divide": "floor_divide_({}, {})",
    "erfc": "erfcf({})",
    "hypot": "hypotf({}, {})",
    "fmax": "fmaxf({}, {})",
    "fmin": "fminf({}, {})",
    "copysign": "copysignf({}, {})",
    "signbit": "(std::signbit({}) ? 1.f : 0.f)",
    "sign": "(float)(({0} > 0.f) - ({0} < 0.f))",
    "maximum": "({0} > {1} || {0} != {0} ? {0} : {1})",
    "minimum": "({0} < {1} || {0} != {0} ? {0} : {1})",
    "gt": "({} > {} ? 1.f : 0.f)",
    "lt": "({} < {} ? 1.f : 0.f)",
    "ge": "({} >= {} ? 1.f : 0.f)",
    "le": "({} <= {} ? 1.f : 0.f)",
    "eq": "({} == {} ? 1.f : 0.f)",
    "ne": "({} != {} ? 1.f : 0.f)",
    "logical_and": "({} != 0.f && {} != 0.f ? 1.f : 0.f)",
    "logical_or": "({} != 0.f || {} != 0.f ? 1.f : 0.f)",
    "logical_not": "({} == 0.f ? 1.f : 0.f)",
    "where": "({} != 0.f ? {} : {})",
}


def number(value: float) -> str:
    """A constant in C."""
    if value != value:
        return "NAN"
    if value in (float("inf"), float("-inf")):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value!r}f" if "." in repr(value) or "e" in repr(value) else f"{value!r}.f"


CHEAP = (
    "add",
    "sub",
    "mul",
    "neg",
    "relu",
    "abs",
    "sign",
    "maximum",
    "minimum",
    "gt",
    "lt",
    "ge",
    "le",
    "eq",
    "ne",
    "logical_and",
    "logical_or",
    "logical_not",
    "where",
    "copysign",
    "signbit",
    "floor",
    "ceil",
    "round",
    "trunc",
    "rowsum",
)  # to compute once more rather than to keep


def kept(trace: Trace) -> tuple[dict[int, Ref], Program]:
    """What the way forward leaves in the place of a gate's gx, so that the way back need not compute it again.

    Returns, by gate, the value of the forward program that is left there, and the backward program that finds it.
    """
    first = trace.forward.inputs
    forward, backward = _written_out(trace.forward, first), _written_out(trace.backward, first)
    known = {text: Ref(number) for number, text in reversed(list(enumerate(forward))) if number >= first}
    ops = trace.backward.ops
    costly = [
        trace.backward.inputs + place
        for place, op in enumerate(ops)
        if op.name not in CHEAP
        and backward[trace.backward.inputs + place] in known
        and not _of_rows(trace.backward, op)
    ]
    for count in reversed(range(len(costly) + 1)):
        used = _reached(trace.backward, set(costly[:count]))
        free = [gate for gate in range(trace.gates) if gate not in used]
        if count <= len(free):
            break
    place_of = dict(zip(costly[:count], free, strict=False))

    def found(value: Ref | float) -> Ref | float:
        return Ref(place_of[value.number]) if isinstance(value, Ref) and value.number in place_of else value

    program = trace.backward._replace(
        ops=tuple(Op(op.name, tuple(map(found, op.arguments))) for op in ops),
        outputs=tuple(map(found, trace.backward.outputs)),
    )
    return {gate: known[backward[number]] for number, gate in place_of.items()}, needed(program)


def _of_rows(program: Program, op: Op) -> bool:
    """Whether an operation gives one number a row: it is made of sums over channels alone."""
    numbers = [a.number for a in op.arguments if isinstance(a, Ref)]
    if op.name == "rowsum":
        return True
    return bool(numbers) and all(
        n >= program.inputs and _of_rows(program, program.ops[n - program.inputs]) for n in numbers
    )


def _written_out(program: Program, shared: int) -> list[object]:
    """For each value a key that is the same in any program in which it is computed from the same first inputs."""
    keys: list[object] = [number if number < shared else (program.outputs, number) for number in range(program.inputs)]
    for op in program.ops:
        keys.append((op.name, *(keys[a.number] if isinstance(a, Ref) else repr(a) for a in op.arguments)))
    return keys


def _reached(program: Program, given: set[int]) -> set[int]:
    """The values that the outputs depend on if those in `given` are there already."""
    reached = {value.number for value in program.outputs if isinstance(value, Ref)}
    for place in reversed(range(len(program.ops))):
        number = program.inputs + place
        if number in reached and number not in given:
            reached |= {a.number for a in program.ops[place].arguments if isinstance(a, Ref)}
    return reached


def loops(program: Program, loads: list[str], stores: list[str]) -> tuple[str, int]:
    """C for one row: load the inputs that are used, compute, store the outputs.

    One loop over the channels where nothing is summed over them; else one for each sum that waits for another, with
    what later loops need kept in `kept`. Outputs are stored in the last loop, as their place may be that of an input.
    Returns the code, and how many rows of hidden_size it keeps.
    """
    inputs = program.inputs
    row, level = [False] * inputs, [0] * inputs  # whether a value is one number a row; the loop in which it is known
    for op in program.ops:
        numbers = [a.number for a in op.arguments if isinstance(a, Ref)]
        level.append(max([level[n] for n in numbers], default=0) + (op.name == "rowsum"))
        row.append(op.name == "rowsum" or all(row[n] for n in numbers))
    last = max(level)
    wanted: list[list[int]] = [[] for _ in range(last + 1)]  # by loop, the values of a channel that are used in it
    for place, op in enumerate(program.ops):
        own = inputs + place
        at = level[own] - 1 if op.name == "rowsum" else level[own]
        if not row[own] or op.name == "rowsum":
            wanted[at] += [a.number for a in op.arguments if isinstance(a, Ref) and not row[a.number]]
    wanted[last] += [v.number for v in program.outputs if isinstance(v, Ref) and not row[v.number]]
    slots = {
        number: slot
        for slot, number in enumerate(
            sorted({n for at, some in enumerate(wanted) for n in some if n >= inputs and level[n] < at})
        )
    }

    def operand(value: Ref | float) -> str:
        return f"v{value.number}" if isinstance(value, Ref) else number(value)

    def computed(own: int) -> str:
        op = program.ops[own - inputs]
        return f"const float v{own} = {EXPRESSIONS[op.name].format(*map(operand, op.arguments))};"

    lines = []
    for at in range(last + 1):
        sums = [own for own in range(inputs, len(level)) if program.ops[own - inputs].name == "rowsum"]
        begun = [own for own in sums if level[own] == at + 1]
        alone = [o for o in range(inputs, len(level)) if row[o] and o not in sums and level[o] == at]
        lines += [computed(own) for own in alone]
        lines += [f"float v{own} = 0.f;" for own in begun]
        reduction = f" reduction(+:{', '.join(f'v{own}' for own in begun)})" if begun else ""
        lines += [f"#pragma omp simd{reduction}", "for (int64_t j = 0; j < H; j++) {"]
        for own in sorted(set(wanted[at])):
            if own < inputs:
                lines.append(f"  const float v{own} = {loads[own]};")
            elif level[own] < at:
                lines.append(f"  const float v{own} = kept[{slots[own]} * H + j];")
        for own in range(inputs, len(level)):
            if level[own] == at and not row[own]:
                lines.append("  " + computed(own))
                if own in slots:
                    lines.append(f"  kept[{slots[own]} * H + j] = v{own};")
        lines += [f"  v{own} += {operand(program.ops[own - inputs].arguments[0])};" for own in begun]
        if at == last:
            for store, value in zip(stores, program.outputs, strict=True):
                if not (store.endswith("+=") and value == 0.0):
                    lines.append(f"  {store} {operand(value)};")
        lines.append("}")
    return "\n".join(f"      {line}" for line in lines), len(slots)


def emit(trace: Trace) -> str:
    """The source of a cell's forward and backward scan."""
    left, back_program = kept(trace)
    gates, states, noise, channels = (
        range(trace.gates),
        range(trace.states),
        range(trace.noise),
        range(len(trace.channels)),
    )
    loads = [f"gx[{k} * H + j]" for k in gates]
    if trace.products and not trace.additive:
        loads += [f"gh[{k} * H + j]" for k in gates]
    loads += [f"old{k}[j]" for k in states] + [f"noise{k}[j]" for k in noise] + [f"channel{k}[j]" for k in channels]
    common = ["float *gx = s->gx + r * G;"]
    if trace.products and not trace.additive:
        common += ["const float *gh = s->gh + r * G;"]
    common += [f"const float *old{k} = s->state[{k}] + before * H;" for k in states]
    common += [f"const float *noise{k} = s->noise[{k}] + (s->noise_by_row[{k}] ? r : b) * H;" for k in noise]
    common += [f"const float *channel{k} = s->channel[{k}];" for k in channels]
    new = [f"float *new{k} = s->state[{k}] + r * H;" for k in states]
    back = ["float *dgx = s->dgx + r * G;"]
    if trace.products and not trace.additive:
        back += ["float *dgh = s->dgh + r * G;"]
    back += [f"float *ds{k} = s->ds[{k}] + b * H;" for k in states]
    back += [f"float *dchannel{k} = s->dchannel[{k}];" for k in channels]
    outputs = [
        f"if (s->dy[{k}]) for (int64_t j = 0; j < H; j++) s->ds[{k}][b * H + j] += s->dy[{k}][r * H + j];"
        for k in states
    ]
    stores = [f"dgx[{k} * H + j] =" for k in gates]
    if trace.products and not trace.additive:
        stores += [f"dgh[{k} * H + j] =" for k in gates]
    stores += [f"ds{k}[j] =" for k in states] + [f"dchannel{k}[j] +=" for k in channels]

    def indented(lines: list[str]) -> str:
        return "\n".join(f"      {line}" for line in lines)

    onwards, kept_onwards = loops(
        trace.forward._replace(outputs=(*trace.forward.outputs, *left.values())),
        loads,
        [f"new{k}[j] =" for k in states] + [f"gx[{gate} * H + j] =" for gate in left],
    )
    back_code, kept_back = loops(back_program, loads + [f"ds{k}[j]" for k in states], stores)
    return Template(files("rnnzoo.engine.cpp").joinpath("scan.cpp").read_text(encoding="utf-8")).substitute(
        GATES=trace.gates,
        PRODUCTS=trace.products,
        STATES=trace.states,
        NOISE=trace.noise,
        NOISE1=max(1, trace.noise),
        CHANNELS=len(trace.channels),
        CHANNELS1=max(1, len(trace.channels)),
        ADDITIVE=int(trace.additive),
        KEPT=max(kept_onwards, kept_back),
        FORWARD_POINTERS=indented(common + new),
        FORWARD=onwards,
        ADD_OUTPUT_GRADIENTS=indented(outputs),
        BACKWARD_POINTERS=indented(common + back),
        BACKWARD=back_code,
    )
