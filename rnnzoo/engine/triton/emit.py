"""Triton source of one cell from its trace: two kernels, with one line for each scalar operation.

A program runs BLOCK_B sequences through the whole of time, BLOCK_H of their channels side by side, all of them if a
step mixes channels. No program waits for another. Rows are packed and slots are sequences, longest first, as in
`scan.cpp`: a state buffer holds `rows` rows and then one of first states for each slot. What a step needs of the one
before it goes through global memory, with a barrier in between. No load may pass that barrier, so the kernels must not
be pipelined (num_stages=1). Weights are read at every step; small ones stay in the L1 cache.
"""

from __future__ import annotations

from string import Template

from rnnzoo.engine.codegen.tracer import Op, Program, Ref, Trace, Untraceable
from rnnzoo.engine.cpp.emit import kept

EXPRESSIONS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "tl.div_rn({}, {})",
    "neg": "-{}",
    "reciprocal": "tl.div_rn(one, {})",
    "exp": "tl.exp({})",
    "sigmoid": "1.0 / (1.0 + tl.exp(-{}))",
    "tanh": "tl.where(tl.abs({0}) < 0.625, {0} + {0} * ({0} * {0}) * (((((-5.70498872745e-3 * ({0} * {0})"
    " + 2.06390887954e-2) * ({0} * {0}) - 5.37397155531e-2) * ({0} * {0}) + 1.33314422036e-1) * ({0} * {0})"
    " - 3.33332819422e-1)), 1.0 - 2.0 / (1.0 + tl.exp(2.0 * {0})))",
    "relu": "tl.where({0} < 0.0, 0.0, {0})",
    "log": "tl.log({})",
    "sin": "tl.sin({})",
    "cos": "tl.cos({})",
    "sqrt": "tl.sqrt_rn({})",
    "rsqrt": "tl.div_rn(one, tl.sqrt_rn({}))",
    "abs": "tl.abs({})",
    # log(u) x / (u - 1) with u = 1 + x, whose errors cancel (Kahan)
    "log1p": "tl.where(1.0 + {0} == 1.0, {0}, tl.log(1.0 + {0})"
    " * tl.where({0} == float('inf'), 1.0, {0} / ((1.0 + {0}) - 1.0)))",
    "expm1": "tl.where(tl.abs({0}) < 0.5, {0} * (1.0 + {0} / 2.0 * (1.0 + {0} / 3.0 * (1.0 + {0} / 4.0 * (1.0 + {0}"
    " / 5.0 * (1.0 + {0} / 6.0 * (1.0 + {0} / 7.0 * (1.0 + {0} / 8.0))))))), tl.exp({0}) - 1.0)",
    "sign": "({0} > 0.0).to(tl.float32) - ({0} < 0.0).to(tl.float32)",
    "maximum": "tl.where(({0} > {1}) | ({0} != {0}), {0}, {1})",
    "minimum": "tl.where(({0} < {1}) | ({0} != {0}), {0}, {1})",
    "gt": "({} > {}).to(tl.float32)",
    "lt": "({} < {}).to(tl.float32)",
    "ge": "({} >= {}).to(tl.float32)",
    "le": "({} <= {}).to(tl.float32)",
    "eq": "({} == {}).to(tl.float32)",
    "ne": "({} != {}).to(tl.float32)",
    "logical_and": "(({} != 0.0) & ({} != 0.0)).to(tl.float32)",
    "logical_or": "(({} != 0.0) | ({} != 0.0)).to(tl.float32)",
    "logical_not": "({} == 0.0).to(tl.float32)",
    "where": "tl.where({} != 0.0, {}, {})",
    "exp2": "tl.exp2({})",
    "log2": "tl.log2({})",
    "erf": "tl.erf({})",
    "floor": "tl.floor({})",
    "ceil": "tl.ceil({})",
    "trunc": "tl.where({0} < 0.0, tl.ceil({0}), tl.floor({0}))",
    # to the nearest whole number, of two the even one: from 2^22 on, all are whole
    "round": "tl.where(tl.abs({0}) < 4194304.0, ({0} + 12582912.0) - 12582912.0, {0})",
    "log10": "tl.log2({}) * 0.30102999566398120",
    "tan": "tl.sin({0}) / tl.cos({0})",
    "fmax": "tl.where(({0} > {1}) | ({1} != {1}), {0}, {1})",
    "fmin": "tl.where(({0} < {1}) | ({1} != {1}), {0}, {1})",
    "rowsum": "tl.sum(tl.where(j < H, {}, 0.0), 1)[:, None]",
}
POWERS = {2.0: "{0} * {0}", 3.0: "{0} * {0} * {0}", 1.0: "{0}", 0.5: "tl.sqrt_rn({0})", -1.0: "tl.div_rn(one, {0})"}

TEMPLATE = Template('''\
@triton.jit(do_not_specialize=["rows", "batch", "reverse"])
def forward(
    gx, weight, bias, starts, lengths, $STATES $NOISE $CHANNELS gates, products, before_of, rows, batch, reverse,
    H: tl.constexpr, G: tl.constexpr, BLOCK_B: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_K: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """weight: (H, G), the transpose, where G = gates * H.

    gates, products, before_of: what `backward` needs of each row, None if nothing will ask.
    """
    slot = tl.program_id(0) * BLOCK_B + tl.arange(0, BLOCK_B)
    j = (tl.program_id(1) * BLOCK_H + tl.arange(0, BLOCK_H))[None, :]
    length = tl.load(lengths + slot, mask=slot < batch, other=0)
    steps = tl.max(length, 0)
    one, at_slot = tl.full([BLOCK_B, BLOCK_H], 1.0, tl.float32), slot.to(tl.int64)[:, None] * H + j
$LOAD_BIAS
$LOAD_CHANNELS
    for i in range(steps):
        t = i + reverse * (steps - 1 - 2 * i)
$STEP
$RECUR
$FORWARD
        if gates is not None: tl.store(before_of + row, before, mask=live)
        tl.debug_barrier()


@triton.jit(do_not_specialize=["rows", "batch", "reverse"])
def backward(
    gates, products, weight, starts, lengths, $STATES $NOISE $CHANNELS $DY $DS dgx, dgh, $DCHANNELS rows, batch,
    reverse,
    H: tl.constexpr, G: tl.constexpr, BLOCK_B: tl.constexpr, BLOCK_H: tl.constexpr, BLOCK_K: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """weight: (G, H). of_state: gradients of the last states, then of the first. of_channel: (programs, H) sums."""
    slot = tl.program_id(0) * BLOCK_B + tl.arange(0, BLOCK_B)
    j = (tl.program_id(1) * BLOCK_H + tl.arange(0, BLOCK_H))[None, :]
    length = tl.load(lengths + slot, mask=slot < batch, other=0)
    steps = tl.max(length, 0)
    one = tl.full([BLOCK_B, BLOCK_H], 1.0, tl.float32)
    own, at_slot = (slot < batch)[:, None] & (j < H), slot.to(tl.int64)[:, None] * H + j
    at_program = tl.program_id(0) * H + j
$LOAD_CHANNELS
$LOAD_DS
    for i in range(steps):
        t = i + (1 - reverse) * (steps - 1 - 2 * i)
$STEP
$ADD_DY
$BACKWARD
        tl.debug_barrier()
$RECUR_BACK
$STORE_DS
''')

STEP = """\
row = tl.load(starts + t) + slot
earlier = t - 1 + 2 * reverse
known = (earlier >= 0) & (earlier < length)
before = tl.where(known, tl.load(starts + tl.maximum(earlier, 0)) + slot, rows + slot)
live = t < length
some = live[:, None] & (j < H)
at, old, at_gate = row[:, None] * H + j, before[:, None] * H + j, row[:, None] * G + j"""

RECUR = """\
for k in range(0, H, BLOCK_K):
    inner = k + tl.arange(0, BLOCK_K)
    h = tl.load(state0 + before[:, None] * H + inner[None, :], mask=live[:, None] & (inner < H)[None, :], other=0.0)
    place, within = weight + inner[:, None] * G + j, (inner < H)[:, None] & (j < H)"""

RECUR_BACK = """\
back = tl.zeros([BLOCK_B, BLOCK_H], tl.float32)
for k in range(0, G, BLOCK_K):
    inner = k + tl.arange(0, BLOCK_K)
    within = inner < G
    d = tl.load(dgh + row[:, None] * G + inner[None, :], mask=live[:, None] & within[None, :], other=0.0)
    w = tl.load(weight + inner[:, None] * H + j, mask=within[:, None] & (j < H), other=0.0)
    back = tl.dot(d, w, back, input_precision=PRECISION)
ds0 = tl.where(live[:, None], ds0 + back, ds0)"""


def number(value: float) -> str:
    """A constant in Triton."""
    return repr(value) if abs(value) < float("inf") else f"float('{value}')"


def expression(op: Op) -> str:
    """One operation. Raises: Untraceable if Triton has none."""
    operands = [f"v{a.number}" if isinstance(a, Ref) else number(a) for a in op.arguments]
    if not any(isinstance(a, Ref) for a in op.arguments):
        operands[0] = f"({operands[0]} * one)"  # functions of Triton want a tensor among their arguments
    if op.name == "pow" and isinstance(op.arguments[1], float) and op.arguments[1] in POWERS:
        return POWERS[op.arguments[1]].format(operands[0])
    if op.name == "div" and not isinstance(op.arguments[0], Ref):
        operands[0] = f"({operands[0]} * one)"
    if op.name not in EXPRESSIONS:
        raise Untraceable(f"update uses '{op.name}', which has no Triton code here")
    return EXPRESSIONS[op.name].format(*operands)


def mixes(trace: Trace) -> bool:
    """Whether a channel's next state depends on other channels."""
    return trace.products > 0 or any(op.name == "rowsum" for op in trace.forward.ops)


def statements(program: Program, loads: list[str], stores: list[str]) -> list[str]:
    """Load the inputs that are used, compute, store the outputs where `{}` stands in `stores`."""
    lines = [f"v{k} = {load}" for k, load in enumerate(loads) if k in _used(program)]
    lines += [f"v{program.inputs + k} = {expression(op)}" for k, op in enumerate(program.ops)]
    outputs = [f"v{v.number}" if isinstance(v, Ref) else f"({number(v)} * one)" for v in program.outputs]
    return lines + [store.format(value) for store, value in zip(stores, outputs, strict=True)]


def _used(program: Program) -> set[int]:
    values = [*program.outputs, *(argument for op in program.ops for argument in op.arguments)]
    return {value.number for value in values if isinstance(value, Ref)}


def _load(place: str) -> str:
    return f"tl.load({place}, mask=some, other=0.0)"


def _store(place: str) -> str:
    return f"tl.store({place}, {{}}, mask=some)"


def emit(trace: Trace, by_row: tuple[bool, ...]) -> str:
    """The source of a cell's forward and backward kernels. by_row: for each mask whether it has a row a step.

    Raises: Untraceable if an operation has no Triton code.
    """
    left, back_program = kept(trace)
    gates, states, noise, channels = map(range, (trace.gates, trace.states, trace.noise, len(trace.channels)))
    separate = trace.products > 0 and not trace.additive
    used = _used(back_program)

    def names(pattern: str, numbers: range) -> str:
        return " ".join(f"{pattern}{k}," for k in numbers)

    def indented(lines: list[str] | str, depth: int) -> str:
        lines = lines.splitlines() if isinstance(lines, str) else lines
        return "\n".join(f"{' ' * 4 * depth}{line}" for line in lines)

    rest = [_load(f"state{k} + old") for k in states]
    rest += [_load(f"noise{k} + {'at' if by_row[k] else 'at_slot'}") for k in noise]
    rest += [f"c{k}" for k in channels]
    loads = [_load(f"gx + at_gate + {k} * H") for k in gates]
    loads = [f"{load} + gh{k}" for k, load in enumerate(loads)] if trace.additive else loads
    loads += [f"gh{k}" for k in gates] if separate else []
    save = [(f"gates + at_gate + {k} * H", left.get(k, Ref(k))) for k in gates if k in used]
    if separate:
        more = [(k, Ref(trace.gates + k)) for k in gates if trace.gates + k in used]
        save += [(f"products + at_gate + {k} * H", value) for k, value in more]
    step = trace.forward._replace(outputs=(*trace.forward.outputs, *(value for _, value in save)))
    ahead = statements(
        step,
        loads + rest,
        [_store(f"state{k} + at") for k in states] + [f"if gates is not None: {_store(place)}" for place, _ in save],
    )
    loads = [_load(f"gates + at_gate + {k} * H") for k in gates]
    loads += [_load(f"products + at_gate + {k} * H") for k in gates] if separate else []
    stores = [_store(f"dgx + at_gate + {k} * H") for k in gates]
    stores += [_store(f"dgh + at_gate + {k} * H") for k in gates] if separate else []
    stores += [f"ds{k} = tl.where(live[:, None], {{}}, ds{k})" for k in states]
    stores += [f"dc{k} += tl.where(some, {{}}, 0.0)" for k in channels]
    begin = [f"ds{k} = tl.load(of_state{k} + at_slot, mask=own, other=0.0)" for k in states]
    begin += [f"dc{k} = tl.zeros([BLOCK_B, BLOCK_H], tl.float32)" for k in channels]
    end = [f"tl.store(of_state{k} + at_slot, ds{k}, mask=own)" for k in states]
    end += [f"tl.store(of_channel{k} + at_program, tl.sum(dc{k}, 0)[None, :], mask=j < H)" for k in channels]
    recur: list[str] = []
    load_bias: list[str] = []
    if trace.products:
        load_bias = [f"bias{k} = tl.load(bias + {k} * H + j, mask=j < H, other=0.0) * one" for k in gates]
        recur = [f"gh{k} = bias{k}" for k in gates] + RECUR.splitlines()
        for k in gates:
            recur += [f"    w = tl.load(place + {k} * H, mask=within, other=0.0)"]
            recur += [f"    gh{k} = tl.dot(h, w, gh{k}, input_precision=PRECISION)"]
    return TEMPLATE.substitute(
        STATES=names("state", states),
        NOISE=names("noise", noise),
        CHANNELS=names("channel", channels),
        DY=names("dy", states),
        DS=names("of_state", states),
        DCHANNELS=names("of_channel", channels),
        STEP=indented(STEP, 2),
        LOAD_BIAS=indented(load_bias, 1),
        LOAD_CHANNELS=indented([f"c{k} = tl.load(channel{k} + j, mask=j < H, other=0.0) * one" for k in channels], 1),
        RECUR=indented(recur, 2),
        FORWARD=indented(ahead, 2),
        LOAD_DS=indented(begin, 1),
        ADD_DY=indented([f"if dy{k} is not None: ds{k} += {_load(f'dy{k} + at')}" for k in states], 2),
        BACKWARD=indented(statements(back_program, [*loads, *rest, *(f"ds{k}" for k in states)], stores), 2),
        RECUR_BACK=indented(RECUR_BACK if trace.products else [], 2),
        STORE_DS=indented(end, 1),
    )
