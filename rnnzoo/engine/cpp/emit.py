"""C++ source of one cell from its trace: the template `scan.cpp`, with a line for each scalar operation."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from rnnzoo.engine.codegen.ir import Trace
from rnnzoo.engine.codegen.saved import saved_values
from rnnzoo.engine.cpp import struct
from rnnzoo.engine.cpp.loops import loops


def emit(trace: Trace) -> str:
    """The source of a cell's forward and backward scan."""
    saved = saved_values(trace)
    gates, states = range(trace.gates), range(trace.states)
    inputs = _inputs(trace)
    forward = loops(
        trace.forward._replace(outputs=(*trace.forward.outputs, *saved.in_gate.values())),
        inputs,
        [f"new{k}[j] =" for k in states] + [f"gx[{gate} * H + j] =" for gate in saved.in_gate],
    )
    stores = [f"dgx[{k} * H + j] =" for k in gates]
    if _separate(trace):
        stores += [f"dgh[{k} * H + j] =" for k in gates]
    stores += [f"ds{k}[j] =" for k in states] + [f"dchannel{k}[j] +=" for k in range(len(trace.channels))]
    backward = loops(saved.backward, inputs + [f"ds{k}[j]" for k in states], stores)
    news = ["r", *["(s->table ? b : r)"] * (trace.states - 1)]
    new_states = [f"float *new{k} = s->state[{k}] + {row} * H;" for k, row in enumerate(news)]
    add_gradients = [
        f"if (s->dy[{k}]) for (int64_t j = 0; j < H; j++) s->ds[{k}][b * H + j] += s->dy[{k}][r * H + j];"
        for k in states
    ]
    template = files("rnnzoo.engine.cpp").joinpath("scan.cpp").read_text(encoding="utf-8")
    return Template(template).substitute(
        CALL=struct.declaration(trace),
        GATES=trace.gates,
        PRODUCTS=trace.products,
        ADDITIVE=int(trace.additive),
        KEPT=max(forward.buffers, backward.buffers),
        FORWARD_POINTERS=_indented(_input_pointers(trace) + new_states),
        FORWARD=forward.code,
        ADD_OUTPUT_GRADIENTS=_indented(add_gradients),
        BACKWARD_POINTERS=_indented(_input_pointers(trace) + _gradient_pointers(trace)),
        BACKWARD=backward.code,
    )


def _separate(trace: Trace) -> bool:
    """Whether gh has memory of its own, and is not added to gx."""
    return trace.products > 0 and not trace.additive


def _inputs(trace: Trace) -> list[str]:
    """The C expression for channel j of each input of the forward program."""
    expressions = [f"gx[{k} * H + j]" for k in range(trace.gates)]
    if _separate(trace):
        expressions += [f"gh[{k} * H + j]" for k in range(trace.gates)]
    expressions += [f"old{k}[j]" for k in range(trace.states)] + [f"noise{k}[j]" for k in range(trace.noise)]
    return expressions + [f"channel{k}[j]" for k in range(len(trace.channels))]


def _input_pointers(trace: Trace) -> list[str]:
    """C that finds the inputs of row r."""
    lines = ["float *gx = s->gx + place * G;"]
    if _separate(trace):
        lines += ["const float *gh = s->gh + place * G;"]
    olds = ["before", *["(s->table ? b : before)"] * (trace.states - 1)]
    lines += [f"const float *old{k} = s->state[{k}] + {row} * H;" for k, row in enumerate(olds)]
    lines += [
        f"const float *noise{k} = s->noise[{k}] + (s->noise_by_row[{k}] ? r : b) * H;" for k in range(trace.noise)
    ]
    return lines + [f"const float *channel{k} = s->channel[{k}];" for k in range(len(trace.channels))]


def _gradient_pointers(trace: Trace) -> list[str]:
    """C that finds the gradients of row r."""
    lines = ["float *dgx = s->dgx + r * G;"]
    if _separate(trace):
        lines += ["float *dgh = s->dgh + r * G;"]
    lines += [f"float *ds{k} = s->ds[{k}] + b * H;" for k in range(trace.states)]
    return lines + [f"float *dchannel{k} = s->dchannel[{k}];" for k in range(len(trace.channels))]


def _indented(lines: list[str]) -> str:
    return "\n".join(f"      {line}" for line in lines)
