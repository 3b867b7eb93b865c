"""Gated DeltaNet."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo import Cell, Count, Layout, Named, Size, State, StateSpec, checked

WIDTH = 4  # steps under the short convolution, the present one among them
CHUNK = 16  # steps that `scan` takes at once
EPS = 1e-4  # in l2 and rms: a smaller one magnifies rounding where a vector is near 0


class GatedDeltaNetCell(Cell):
    """One step of Gated DeltaNet: per head a matrix memory that decays, and in which a value replaces its key's last.

        q = l2(silu(conv(W_q x)))    k = l2(silu(conv(W_k x)))    v = silu(conv(W_v x))    g = silu(W_g x)
        alpha = exp(-A softplus(w_alpha x + b_alpha))    beta = sigmoid(w_beta x)         one number per head
        S' = S alpha (I - beta k k^T) + beta v k^T
        h' = rms(S' q) * g

    where conv(y)_t is the sum over i < WIDTH of c_i * y_t-i, with a vector c_i of weights, one per channel, and zeros
    before the first step: the state holds the last WIDTH - 1 of all y. l2 has unit length and rms unit mean square,
    times a learned scale, per head. Every W x has a bias too.
    Source: Yang, Kautz, Hatamizadeh, arXiv:2412.06464; alpha as in Mamba2, arXiv:2405.21060. Differs: the block's
    output projection is left to what follows.
    num_heads: None is the largest of 4, 2 and 1 that divides hidden_size; d = hidden_size / num_heads.

    Raises: ValueError if num_heads does not divide hidden_size.
    """

    @checked
    def __init__(self, input_size: Size, hidden_size: Size, num_heads: Count | None = None) -> None:
        super().__init__(input_size, hidden_size)
        heads = math.gcd(hidden_size, 4) if num_heads is None else num_heads
        if hidden_size % heads:
            raise ValueError(f"num_heads must divide hidden_size, got num_heads={heads}, hidden_size={hidden_size}")
        d = hidden_size // heads
        self.num_heads = heads
        self.states = (
            StateSpec("h", (hidden_size,), free=False),
            StateSpec("S", (heads, d, d)),
            StateSpec("y", (WIDTH - 1, 3 * hidden_size), free=False),
        )
        self.linear = nn.Linear(input_size, 4 * hidden_size + 2 * heads)
        nn.init.normal_(self.linear.weight, std=input_size**-0.5)
        self.conv = nn.Parameter(torch.empty(WIDTH, 3 * hidden_size).normal_(std=WIDTH**-0.5))  # the present step last
        self.log_A = nn.Parameter(torch.empty(heads).uniform_(1, 16).log_())
        self.scale = nn.Parameter(torch.ones(d))
        with torch.no_grad():  # as in Mamba2: softplus(b_alpha) begins between 0.001 and 0.1
            dt = torch.empty(heads).uniform_(math.log(0.001), math.log(0.1)).exp_()
            self.linear.bias[-heads:] = dt.expm1().log()

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """x: (..., input_size). Returns y (..., 3 hidden_size), g (..., hidden_size), beta, log alpha (..., heads)."""
        heads, size = self.num_heads, self.hidden_size
        y, g, beta, dt = self.linear(x).split([3 * size, size, heads, heads], -1)
        log_alpha = -torch.exp(_wide(self.log_A)) * F.softplus(_wide(dt))
        return y, F.silu(g), torch.sigmoid(_wide(beta)), log_alpha

    def convolve(self, y: Tensor) -> tuple[Tensor, ...]:
        """y: (batch, WIDTH - 1 + time, 3 hidden_size). Returns q, k, v of the last steps, (batch, time, heads, d)."""
        time = y.shape[1] - WIDTH + 1
        y = sum(c * _wide(y[:, i : i + time]) for i, c in enumerate(self.conv))
        q, k, v = F.silu(y).unflatten(-1, (3, self.num_heads, -1)).unbind(-3)
        return _unit(q), _unit(k), v

    def step(self, gx: tuple[Tensor, ...], state: Named) -> State:
        """gx: as `project` returns it, for one step; state: h, S and y. Returns (h', S', y')."""
        y, g, beta, log_alpha = gx
        y = torch.cat([state.y, y.unsqueeze(1)], 1)
        q, k, v = (part.squeeze(1) for part in self.convolve(y))
        q, k = q.unsqueeze(-2), k.unsqueeze(-2)
        S = torch.exp(log_alpha)[..., None, None] * _wide(state.S)
        u = beta.unsqueeze(-1) * (v - (S * k).sum(-1))  # products of tensors: autocast leaves them in float32
        S = S + u.unsqueeze(-1) * k
        return self.output((S * q).sum(-1), g), S, y[:, 1:]

    def output(self, read: Tensor, g: Tensor) -> Tensor:
        """read: S q, (..., heads, d); g: (..., hidden_size). Returns h, (..., hidden_size)."""
        rms = read * torch.rsqrt(read.square().mean(-1, keepdim=True) + EPS)
        return (rms * self.scale).flatten(-2).to(g.dtype) * g

    def scan(self, gx: tuple[Tensor, ...], layout: Layout, state: Named) -> tuple[Tensor, State]:
        """All steps, CHUNK at a time, in the paper's WY form.

        With u_t = beta_t (v_t - alpha_t S_t-1 k_t) a step is S_t = alpha_t S_t-1 + u_t k_t^T. Within a chunk, with
        gamma_t the product of alpha up to t,

            S_t = gamma_t S_0 + sum over s <= t of gamma_t / gamma_s u_s k_s^T

        so that the u are the solution of a triangular system, linear in S_0. Past a sequence's end beta = 0 and
        alpha = 1, and S stays.
        """
        y, g, beta, log_alpha = gx
        if not layout.longest:
            return g, state
        with torch.autocast(log_alpha.device.type, enabled=False):
            S = _wide(state.S)
            y = torch.cat([state.y, layout.to_grid(y)], 1)
            ends = layout.sorted_lengths[:, None] + torch.arange(WIDTH - 1, device=y.device)
            last_y = y.take_along_dim(ends.unsqueeze(-1), 1)
            parts = *self.convolve(y), layout.to_grid(beta.unsqueeze(-1)), layout.to_grid(log_alpha)
            q, k, v, beta, log_alpha = map(_chunks, parts)
            log_gamma = log_alpha.cumsum(-1)  # (batch, heads, chunks, time)
            later = torch.ones(CHUNK, CHUNK, dtype=torch.bool, device=S.device).triu(1)
            decay = log_gamma.unsqueeze(-1) - log_gamma.unsqueeze(-2)  # (..., t, s)
            decay = torch.exp(decay.masked_fill(later, -math.inf))
            gamma = torch.exp(log_gamma).unsqueeze(-1)
            system = beta * (k @ k.mT) * decay  # its diagonal counts as 1
            wanted = torch.cat([beta * v, beta * gamma * k], -1)
            solved = torch.linalg.solve_triangular(system, wanted, upper=False, unitriangular=True)
            u_0, w = solved.chunk(2, -1)  # u = u_0 - w S_0^T
            scores = q @ k.mT * decay
            start, end, whole = gamma * q, decay[..., -1, :, None] * k, gamma[..., -1:, :]
            read = []
            chunks = zip(*(x.unbind(2) for x in (u_0, w, scores, start, end, whole)), strict=True)
            for u_0, w, scores, start, end, whole in chunks:
                u = u_0 - w @ S.mT
                read.append(start @ S.mT + scores @ u)
                S = whole * S + u.mT @ end
            rows = layout.from_grid(torch.cat(read, 2)[:, :, : layout.longest].transpose(1, 2))
        h = self.output(rows, g)
        last = torch.cat([h, state.h.to(h.dtype)])[layout.last_rows(False, len(h))]
        return h, (last, S, last_y)


def _wide(x: Tensor) -> Tensor:
    """x in float32 at least: exponentials and sums over time are too coarse in bfloat16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + EPS)


def _chunks(x: Tensor) -> Tensor:
    """(batch, time, heads, ...) as (batch, heads, chunks, CHUNK, ...), zeros past the end."""
    short = -x.shape[1] % CHUNK
    x = torch.cat([x, x.new_zeros(len(x), short, *x.shape[2:])], 1)
    chunks: Tensor = x.unflatten(1, (-1, CHUNK))
    return chunks.movedim(3, 1)
