"""sLSTM and mLSTM: exponential gates, with a scalar memory that mixes and a matrix memory that does not."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo import Cell, Count, Layout, Named, PointwiseCell, Size, State, StateSpec, checked

NONE_YET = -1e30  # the stabiliser of an empty memory: exp of it is 0
WIDTH = 4  # steps under mLSTM's convolution, the present one among them
EPS = 1e-4  # in rms
CHUNK = 32  # steps that mLSTM's `scan` takes at once


def heads_of(hidden_size: int, num_heads: int | None) -> int:
    """num_heads, or the largest of 4, 2 and 1 that divides hidden_size.

    Raises: ValueError if num_heads does not divide hidden_size.
    """
    if num_heads is None:
        return math.gcd(hidden_size, 4)
    if hidden_size % num_heads:
        raise ValueError(f"num_heads must divide hidden_size, got num_heads={num_heads}, hidden_size={hidden_size}")
    return num_heads


def wide(x: Tensor) -> Tensor:
    """x in float32 at least: exponentials and sums over time are too coarse in bfloat16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class SLSTMCell(PointwiseCell):
    """One step of sLSTM: an LSTM with an exponential input gate, whose memory is a mean.

        i  = exp(i~)    f = sigmoid(f~)    z = tanh(z~)    o = sigmoid(o~)        each ~ is W x + b + R h + c
        c' = f c + i z                   memory: a sum weighted by the gates
        n' = f n + i                     normaliser: the sum of the weights
        h' = o c' / n'

    R has one block per head. c and n are kept divided by exp(m), where m' = max(log f + m, i~), so that nothing
    overflows: i becomes exp(i~ - m'), f becomes exp(log f + m - m'), h' stays what it is, and n' >= 1.
    Source: Beck et al., arXiv:2405.04517, section 2.2. Differs: f is a sigmoid, of the paper's two choices; the
    cell alone, without the block's convolution, norm and up-projection.
    num_heads: None is the largest of 4, 2 and 1 that divides hidden_size.
    """

    gates = ("i", "f", "z", "o")
    recurrent = "block"
    forget_gate, input_gate = "f", "i"

    @checked
    def __init__(self, input_size: Size, hidden_size: Size, num_heads: Count | None = None, **options: Any) -> None:
        self.blocks = heads_of(hidden_size, num_heads)
        size = (hidden_size,)
        self.states = (
            "h",
            StateSpec("c", size, free=False),
            StateSpec("n", size, free=False),
            StateSpec("m", size, initial=NONE_YET, free=False),
        )
        super().__init__(input_size, hidden_size, **options)

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """gx, gh: one (..., hidden_size) tensor per gate; state: (h, c, n, m). Returns (h', c', n', m')."""
        c, n, m = map(wide, state[1:])
        i, f, z, o = (wide(a + b) for a, b in zip(gx, gh, strict=True))
        log_f = F.logsigmoid(f)
        new_m = torch.maximum(log_f + m, i)
        i = torch.exp(i - new_m)
        f = torch.exp(log_f + m - new_m)
        c = f * c + i * torch.tanh(z)
        n = f * n + i
        h = torch.sigmoid(o) * c / n
        return h.to(gx.i.dtype), c, n, new_m


class MLSTMCell(Cell):
    """One step of mLSTM: a matrix memory of keys and values per head, with exponential gates and no recurrent weights.

        s = silu(conv(x))
        q = W_q s + b_q    k = (W_k s + b_k) / sqrt(d)    v = W_v x + b_v    o = sigmoid(W_o x + b_o)
        i = exp(w_i x + b_i)    f = sigmoid(w_f x + b_f)                      one number per head
        C' = f C + i v k^T                                                    memory
        n' = f n + i k                                                        normaliser
        h' = o * rms(C' q / max(|n'^T q|, 1))

    where conv(x)_t is the sum over i < WIDTH of c_i * x_t-i, with a vector c_i of weights, one per channel, and zeros
    before the first step: the state holds the last WIDTH - 1 of all x. rms has unit mean square per head, times a
    learned scale. C and n are kept divided by exp(m), where m' = max(log f + m, log i, 0), and the 1 becomes exp(-m'),
    so that nothing overflows and h' stays what it is. Source: Beck et al., arXiv:2405.04517, section 2.3, with the
    convolution and the norm of its block. Differs: f is a sigmoid, of the paper's two choices; the 0 in m'; b_f begins
    between 3 and 6; rms subtracts no mean; without the rest of the block.
    num_heads: None is the largest of 4, 2 and 1 that divides hidden_size; d = hidden_size / num_heads.
    """

    @checked
    def __init__(self, input_size: Size, hidden_size: Size, num_heads: Count | None = None) -> None:
        self.num_heads = heads_of(hidden_size, num_heads)
        super().__init__(input_size, hidden_size)
        heads, d = self.num_heads, hidden_size // self.num_heads
        self.states = (
            StateSpec("h", (hidden_size,), free=False),
            StateSpec("C", (heads, d, d)),
            StateSpec("n", (heads, d), free=False),
            StateSpec("m", (heads,), free=False),
            StateSpec("x", (WIDTH - 1, input_size), free=False),
        )
        self.linear = nn.Linear(input_size, 2 * hidden_size + 2 * heads)
        self.conv = nn.Parameter(torch.empty(WIDTH, input_size).normal_(std=WIDTH**-0.5))  # the present step last
        self.query_key = nn.Linear(input_size, 2 * hidden_size)
        for linear in (self.linear, self.query_key):
            nn.init.normal_(linear.weight, std=input_size**-0.5)
        self.scale = nn.Parameter(torch.ones(heads, d))
        with torch.no_grad():
            self.linear.bias[-heads:] = torch.linspace(3, 6, heads)

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """x: (..., input_size). Returns x, v (..., heads, d), o (..., hidden_size), log i and log f (..., heads)."""
        heads, size = self.num_heads, self.hidden_size
        v, o, log_i, f = self.linear(x).split([size, size, heads, heads], -1)
        return x, wide(v).unflatten(-1, (heads, -1)), torch.sigmoid(o), wide(log_i), F.logsigmoid(wide(f))

    def convolve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: (batch, WIDTH - 1 + time, input_size). Returns q and k of the last steps, (batch, time, heads, d)."""
        time = x.shape[1] - WIDTH + 1
        s = F.silu(sum(c * x[:, i : i + time] for i, c in enumerate(self.conv)))
        q, k = wide(self.query_key(s)).unflatten(-1, (2, self.num_heads, -1)).unbind(-3)
        return q, k / math.sqrt(k.shape[-1])

    def step(self, gx: tuple[Tensor, ...], state: Named) -> State:
        """gx: as `project` returns it, for one step. Returns (h', C', n', m', x')."""
        x, v, o, log_i, log_f = gx
        x = torch.cat([state.x, x.unsqueeze(1)], 1)
        q, k = (part.squeeze(1) for part in self.convolve(x))
        C, n, m = map(wide, state[1:4])
        new_m = torch.maximum(log_f + m, log_i).clamp(min=0)
        i = torch.exp(log_i - new_m).unsqueeze(-1)
        f = torch.exp(log_f + m - new_m).unsqueeze(-1)
        C = f.unsqueeze(-1) * C + (i * v).unsqueeze(-1) * k.unsqueeze(-2)
        n = f * n + i * k
        read = (C * q.unsqueeze(-2)).sum(-1)  # products of tensors, not matrices: autocast leaves them in float32
        norm = torch.maximum((n * q).sum(-1).abs(), torch.exp(-new_m))
        return self.output(read / norm.unsqueeze(-1), o), C, n, new_m, x[:, 1:]

    def output(self, read: Tensor, o: Tensor) -> Tensor:
        """read: (..., heads, d), what the memory gives; o: (..., hidden_size). Returns h, (..., hidden_size)."""
        return o * (F.rms_norm(read, read.shape[-1:], eps=EPS) * self.scale).flatten(-2).to(o.dtype)

    def scan(self, gx: tuple[Tensor, ...], layout: Layout, state: Named) -> tuple[Tensor, State]:
        """All steps, CHUNK at a time: within a chunk every step attends to those before it, as the paper's A.3 does.

        With b_t the sum of log f up to t, a step s <= t weighs exp(b_t - b_s + log i_s) in C_t, the first C exp(b_t).
        """
        x, v, o, log_i, log_f = gx
        if not layout.longest:
            return o, state
        x = torch.cat([state.x, layout.to_grid(x)], 1)
        ends = layout.sorted_lengths[:, None] + torch.arange(WIDTH - 1, device=x.device)
        last_x = x.take_along_dim(ends.unsqueeze(-1), 1)
        parts = *self.convolve(x), layout.to_grid(v)
        with torch.autocast(log_i.device.type, enabled=False):
            C, n, m = map(wide, state[1:4])
            q, k, v = (part.transpose(1, 2) for part in parts)  # (batch, heads, time, d)
            past = torch.arange(layout.longest, device=layout.device) >= layout.sorted_lengths[:, None]
            log_i, floor = (
                layout.to_grid(x).masked_fill(past.unsqueeze(-1), -math.inf).transpose(1, 2)
                for x in (log_i, log_i.clamp(min=0))
            )
            log_f = layout.to_grid(log_f).transpose(1, 2)  # (batch, heads, time); past the ends f = 1 and i = 0
            read = []
            for chunk in zip(*(x.split(CHUNK, 2) for x in (q, k, v, log_i, floor, log_f)), strict=True):
                h, C, n, m = _chunk(chunk, C, n, m)
                read.append(h)
            rows = layout.from_grid(torch.cat(read, 2).transpose(1, 2))
        h = self.output(rows, o)
        last = torch.cat([h, state.h.to(h.dtype)])[layout.last_rows(False, len(h))]
        return h, (last, C, n, m, last_x)


def _chunk(inputs: tuple[Tensor, ...], C: Tensor, n: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """inputs: q, k, v (batch, heads, time, d); log i, floor, log f (batch, heads, time). C, n, m: at the start.

    floor: what m is at least, max(log i, 0). Returns what is read, and C, n, m at the end.
    """
    q, k, v, log_i, floor, log_f = inputs
    b = log_f.cumsum(-1)
    new_m = b + torch.maximum(m.unsqueeze(-1), (floor - b).cummax(-1).values)
    first = torch.exp(b + m.unsqueeze(-1) - new_m)  # what the first C and n weigh at each step
    later = torch.ones(b.shape[-1], b.shape[-1], dtype=torch.bool, device=b.device).triu(1)
    weights = b.unsqueeze(-1) - b.unsqueeze(-2) + log_i.unsqueeze(-2) - new_m.unsqueeze(-1)  # (..., t, s)
    weights = torch.exp(weights.masked_fill(later, -math.inf))
    scores = q @ k.mT * weights
    read = scores @ v + first.unsqueeze(-1) * (q @ C.mT)
    norm = scores.sum(-1) + first * (q @ n.unsqueeze(-1)).squeeze(-1)
    read = read / torch.maximum(norm.abs(), torch.exp(-new_m)).unsqueeze(-1)
    written = weights[..., -1, :].unsqueeze(-1) * k
    end = first[..., -1:]
    return read, end.unsqueeze(-1) * C + v.mT @ written, end * n + written.sum(-2), new_m[..., -1]
