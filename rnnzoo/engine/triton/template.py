"""The kernels around the lines that `emit` makes of a cell: two of them, and what every step of theirs does.

A program runs BLOCK_B sequences through the whole of time, BLOCK_H of their channels side by side, all of them if a
step mixes channels. No program waits for another. Rows are packed and slots are sequences, longest first, as in
`scan.cpp`: a state buffer holds `rows` rows and then one of first states for each slot. What a step needs of the one
before it goes through global memory, with a barrier in between. No load may pass that barrier, so the kernels must not
be pipelined (num_stages=1). Weights are read at every step; small ones stay in the L1 cache.
"""

from __future__ import annotations

from string import Template

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
