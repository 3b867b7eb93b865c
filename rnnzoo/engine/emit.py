"""C++ source of one cell from its trace: the template `native.cpp` with one line for each scalar operation."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from rnnzoo.engine.trace import Op, Program, Ref, Trace, needed

EXPRESSIONS = {
    "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "neg": "-{}", "reciprocal": "1.f / {}",
    "exp": "exp_({})", "sigmoid": "sigmoid_({})", "tanh": "tanh_({})", "relu": "({0} < 0.f ? 0.f : {0})",
    "log": "logf({})", "log1p": "log1pf({})", "expm1": "expm1f({})", "sin": "sinf({})", "cos": "cosf({})",
    "sqrt": "sqrtf({})", "rsqrt": "1.f / sqrtf({})", "abs": "fabsf({})", "pow": "powf({}, {})",
    "sign": "(float)(({0} > 0.f) - ({0} < 0.f))",
    "maximum": "({0} > {1} || {0} != {0} ? {0} : {1})", "minimum": "({0} < {1} || {0} != {0} ? {0} : {1})",
    "gt": "({} > {} ? 1.f : 0.f)", "lt": "({} < {} ? 1.f : 0.f)", "ge": "({} >= {} ? 1.f : 0.f)",
    "le": "({} <= {} ? 1.f : 0.f)", "eq": "({} == {} ? 1.f : 0.f)", "ne": "({} != {} ? 1.f : 0.f)",
    "logical_and": "({} != 0.f && {} != 0.f ? 1.f : 0.f)", "logical_or": "({} != 0.f || {} != 0.f ? 1.f : 0.f)",
    "logical_not": "({} == 0.f ? 1.f : 0.f)", "where": "({} != 0.f ? {} : {})",
    "clamp": "({0} < {1} ? {1} : {0} > {2} ? {2} : {0})",
}  # fmt: skip


def number(value: float) -> str:
    """A constant in C."""
    if value != value:
        return "NAN"
    if value in (float("inf"), float("-inf")):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value!r}f" if "." in repr(value) or "e" in repr(value) else f"{value!r}.f"


COSTLY = ("sigmoid", "tanh", "exp", "log", "log1p", "expm1", "sin", "cos", "sqrt", "rsqrt", "pow", "div", "reciprocal")


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
        if op.name in COSTLY and backward[trace.backward.inputs + place] in known
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


def statements(program: Program, loads: list[str], stores: list[str]) -> str:
    """Load the inputs that are used, compute, store the outputs."""
    used = {a.number for op in program.ops for a in op.arguments if isinstance(a, Ref)}
    used |= {value.number for value in program.outputs if isinstance(value, Ref)}
    lines = [f"const float v{k} = {load};" for k, load in enumerate(loads) if k in used]

    def operand(value: Ref | float) -> str:
        return f"v{value.number}" if isinstance(value, Ref) else number(value)

    def expression(op: Op) -> str:
        return EXPRESSIONS[op.name].format(*map(operand, op.arguments))

    lines += [f"const float v{program.inputs + k} = {expression(op)};" for k, op in enumerate(program.ops)]
    lines += [f"{store} {operand(value)};" for store, value in zip(stores, program.outputs, strict=True)]
    return "\n".join(f"        {line}" for line in lines)


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

    return Template(files("rnnzoo.engine").joinpath("native.cpp").read_text(encoding="utf-8")).substitute(
        GATES=trace.gates,
        PRODUCTS=trace.products,
        STATES=trace.states,
        NOISE=trace.noise,
        NOISE1=max(1, trace.noise),
        CHANNELS=len(trace.channels),
        CHANNELS1=max(1, len(trace.channels)),
        ADDITIVE=int(trace.additive),
        FORWARD_POINTERS=indented(common + new),
        FORWARD=statements(
            trace.forward._replace(outputs=(*trace.forward.outputs, *left.values())),
            loads,
            [f"new{k}[j] =" for k in states] + [f"gx[{gate} * H + j] =" for gate in left],
        ),
        ADD_OUTPUT_GRADIENTS=indented(outputs),
        BACKWARD_POINTERS=indented(common + back),
        BACKWARD=statements(back_program, loads + [f"ds{k}[j]" for k in states], stores),
    )
