"""Triton source of one cell from its trace: the kernels of `template.py`, with a line for each scalar operation."""

from __future__ import annotations

from collections.abc import Iterable

from rnnzoo.engine.codegen.ir import ROW_SUM, Program, Ref, Trace
from rnnzoo.engine.codegen.saved import Saved, saved_values
from rnnzoo.engine.triton.expressions import expression, number
from rnnzoo.engine.triton.template import RECUR, RECUR_BACK, STEP, TEMPLATE


def mixes(trace: Trace) -> bool:
    """Whether a channel's next state depends on other channels."""
    return trace.products > 0 or any(op.name == ROW_SUM for op in trace.forward.ops)


def emit(trace: Trace, by_row: tuple[bool, ...]) -> str:
    """The source of a cell's forward and backward kernels. by_row: for each mask whether it has a row a step.

    Raises: Untraceable if an operation has no Triton code.
    """
    saved = saved_values(trace)
    gates, states, channels = range(trace.gates), range(trace.states), range(len(trace.channels))
    begin = [f"ds{k} = tl.load(of_state{k} + at_slot, mask=own, other=0.0)" for k in states]
    begin += [f"dc{k} = tl.zeros([BLOCK_B, BLOCK_H], tl.float32)" for k in channels]
    end = [f"tl.store(of_state{k} + at_slot, ds{k}, mask=own)" for k in states]
    end += [f"tl.store(of_channel{k} + at_program, tl.sum(dc{k}, 0)[None, :], mask=j < H)" for k in channels]
    load_bias = [f"bias{k} = tl.load(bias + {k} * H + j, mask=j < H, other=0.0) * one" for k in gates]
    load_channels = [f"c{k} = tl.load(channel{k} + j, mask=j < H, other=0.0) * one" for k in channels]
    return TEMPLATE.substitute(
        STATES=_names("state", states),
        NOISE=_names("noise", range(trace.noise)),
        CHANNELS=_names("channel", channels),
        DY=_names("dy", states),
        DS=_names("of_state", states),
        DCHANNELS=_names("of_channel", channels),
        STEP=_indented(STEP.splitlines(), 2),
        LOAD_BIAS=_indented(load_bias if trace.products else [], 1),
        LOAD_CHANNELS=_indented(load_channels, 1),
        RECUR=_indented(_recurrent_product(trace), 2),
        FORWARD=_indented(_forward(trace, by_row, saved), 2),
        LOAD_DS=_indented(begin, 1),
        ADD_DY=_indented([f"if dy{k} is not None: ds{k} += {_load(f'dy{k} + at')}" for k in states], 2),
        BACKWARD=_indented(_backward(trace, by_row, saved), 2),
        RECUR_BACK=_indented(RECUR_BACK.splitlines() if trace.products else [], 2),
        STORE_DS=_indented(end, 1),
    )


def _forward(trace: Trace, by_row: tuple[bool, ...], saved: Saved) -> list[str]:
    """One step: the new states, and what the backward pass needs of gates and products."""
    gates, used = range(trace.gates), _used(saved.backward)
    loads = [_load(f"gx + at_gate + {k} * H") for k in gates]
    if trace.additive:
        loads = [f"{load} + gh{k}" for k, load in enumerate(loads)]
    elif trace.products:
        loads += [f"gh{k}" for k in gates]
    save = {f"gates + at_gate + {k} * H": saved.in_gate.get(k, Ref(k)) for k in gates if k in used}
    if _separate(trace):
        products = [k for k in gates if trace.gates + k in used]
        save |= {f"products + at_gate + {k} * H": Ref(trace.gates + k) for k in products}
    return _statements(
        trace.forward._replace(outputs=(*trace.forward.outputs, *save.values())),
        loads + _other_loads(trace, by_row),
        [_store(f"state{k} + at") for k in range(trace.states)]
        + [f"if gates is not None: {_store(address)}" for address in save],
    )


def _backward(trace: Trace, by_row: tuple[bool, ...], saved: Saved) -> list[str]:
    """One step back: the gradients of gates and products, of the states before it, and sums of those of channels."""
    gates, states = range(trace.gates), range(trace.states)
    loads = [_load(f"gates + at_gate + {k} * H") for k in gates]
    stores = [_store(f"dgx + at_gate + {k} * H") for k in gates]
    if _separate(trace):
        loads += [_load(f"products + at_gate + {k} * H") for k in gates]
        stores += [_store(f"dgh + at_gate + {k} * H") for k in gates]
    stores += [f"ds{k} = tl.where(live[:, None], {{}}, ds{k})" for k in states]
    stores += [f"dc{k} += tl.where(some, {{}}, 0.0)" for k in range(len(trace.channels))]
    return _statements(saved.backward, loads + _other_loads(trace, by_row) + [f"ds{k}" for k in states], stores)


def _separate(trace: Trace) -> bool:
    """Whether gh has memory of its own, and is not added to gx."""
    return trace.products > 0 and not trace.additive


def _other_loads(trace: Trace, by_row: tuple[bool, ...]) -> list[str]:
    """The inputs after gates and products: states, masks, channels."""
    loads = [_load(f"state{k} + old") for k in range(trace.states)]
    loads += [_load(f"noise{k} + {'at' if by_row[k] else 'at_slot'}") for k in range(trace.noise)]
    return loads + [f"c{k}" for k in range(len(trace.channels))]


def _recurrent_product(trace: Trace) -> list[str]:
    """The gates' gh from the state before the step."""
    if not trace.products:
        return []
    lines = [f"gh{k} = bias{k}" for k in range(trace.gates)] + RECUR.splitlines()
    for k in range(trace.gates):
        lines += [f"    w = tl.load(place + {k} * H, mask=within, other=0.0)"]
        lines += [f"    gh{k} = tl.dot(h, w, gh{k}, input_precision=PRECISION)"]
    return lines


def _statements(program: Program, loads: list[str], stores: list[str]) -> list[str]:
    """Load the inputs that are used, compute, store the outputs where `{}` stands in `stores`."""
    used = _used(program)
    lines = [f"v{k} = {load}" for k, load in enumerate(loads) if k in used]
    lines += [f"v{k} = {expression(op)}" for k, op in enumerate(program.ops, start=program.inputs)]
    outputs = [f"v{v.number}" if isinstance(v, Ref) else f"({number(v)} * one)" for v in program.outputs]
    return lines + [store.format(value) for store, value in zip(stores, outputs, strict=True)]


def _used(program: Program) -> set[int]:
    return program.output_numbers.union(*(op.numbers for op in program.ops))


def _load(address: str) -> str:
    return f"tl.load({address}, mask=some, other=0.0)"


def _store(address: str) -> str:
    return f"tl.store({address}, {{}}, mask=some)"


def _names(prefix: str, numbers: Iterable[int]) -> str:
    return " ".join(f"{prefix}{k}," for k in numbers)


def _indented(lines: list[str], depth: int) -> str:
    return "\n".join(f"{' ' * 4 * depth}{line}" for line in lines)
