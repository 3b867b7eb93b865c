"""The argument of a generated scan: one table, of which both the C++ struct and its mirror in ctypes are made."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from rnnzoo.engine.codegen.ir import Trace


class Field(NamedTuple):
    """A member of the struct. type: in C. each: of which things there is one each, "" for a single one."""

    name: str
    type: str
    meaning: str
    each: str = ""


FIELDS = (
    Field("steps", "int64_t", "of the longest sequence"),
    Field("rows", "int64_t", "steps of all sequences"),
    Field("hidden", "int64_t", "channels of a state"),
    Field("blocks", "int64_t", "of the recurrent weight, 1 if it is dense"),
    Field("input", "int64_t", "features of x, 0 without x"),
    Field("reverse", "int64_t", "whether time runs backwards"),
    Field("has_first", "int64_t", "whether the first state is not all zeros"),
    Field("batch_sizes", "const int64_t*", "(steps,) sequences that have a step t"),
    Field("x", "const float*", "(rows, input), or null: gx is given"),
    Field("position", "const int64_t*", "(rows,) the position of each row in x, if not in order; the same for dx"),
    Field("weight_ih", "const float*", "(gates * hidden, input)"),
    Field("bias_ih", "const float*", "(gates * hidden,): with that of gh if additive"),
    Field("table", "const float*", "(symbols, gates * hidden): gx of each symbol; without x, for no backward pass"),
    Field("symbol", "const int64_t*", "(rows,) the row of each step in `table`"),
    Field(
        "gx",
        "float*",
        "(rows, gates * hidden): from the input; then what the backward pass needs of a step; with a "
        "table (TILE, gates * hidden), and gh the same",
    ),
    Field("gh", "float*", "(rows, gates * hidden): unless additive"),
    Field("state", "float*", "(rows + batch, hidden) each; with a table all but the first (batch, hidden)", "states"),
    Field("noise", "const float*", "(rows or batch, hidden) each", "noise"),
    Field("noise_by_row", "int64_t", "whether a mask has a row a step, not one a sequence", "noise"),
    Field("channel", "const float*", "(hidden,) each", "channels"),
    Field("weight", "const float*", "(gates * hidden, hidden), or (gates, blocks, width, width)"),
    Field("bias", "const float*", "(gates * hidden,): unless additive"),
    Field("scratch", "float*", "`scratch_size` numbers"),
    Field("before", "int64_t*", "(rows,) the row of the state before each row's"),
    Field("dy", "const float*", "(rows, hidden) each: gradients of all states, or null", "states"),
    Field("ds", "float*", "(batch, hidden) each: gradients of the last states, then of the first ones", "states"),
    Field("dgx", "float*", "(rows, gates * hidden): may be gx itself"),
    Field("dgh", "float*", "the same: may be gh; dgx itself if additive"),
    Field("dchannel", "float*", "(hidden,) each, summed over rows", "channels"),
    Field("dx", "float*", "(rows, input), or null"),
    Field("dweight_ih", "float*", "as weight_ih, or null; zeros, as all the following"),
    Field("dbias_ih", "float*", "(gates * hidden,)"),
    Field("dweight", "float*", "as weight"),
    Field("dbias", "float*", "(gates * hidden,): unless additive"),
)
NAMES = frozenset(field.name for field in FIELDS)


def _counts(trace: Trace) -> dict[str, int]:
    return {"states": trace.states, "noise": max(1, trace.noise), "channels": max(1, len(trace.channels))}


def declaration(trace: Trace) -> str:
    """The struct in C++."""
    counts = _counts(trace)
    members = [
        f"  {field.type} {field.name}{f'[{counts[field.each]}]' if field.each else ''};  // {field.meaning}"
        for field in FIELDS
    ]
    size = ctypes.sizeof(mirror(trace))
    return "\n".join(["struct Call {", *members, "};", f'static_assert(sizeof(Call) == {size}, "as in struct.py");'])


def mirror(trace: Trace) -> type[ctypes.Structure]:
    """The struct in ctypes."""
    counts = _counts(trace)
    kinds = {"int64_t": ctypes.c_int64}
    fields = []
    for field in FIELDS:
        kind = kinds.get(field.type, ctypes.c_void_p)
        fields.append((field.name, kind * counts[field.each] if field.each else kind))
    return type("Call", (ctypes.Structure,), {"_fields_": fields})
