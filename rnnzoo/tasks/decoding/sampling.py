"""Sampling: tokens drawn from a model's distribution, or the likeliest of each step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnzoo.batch import PAD
from rnnzoo.limits import Count, NonNegative, Seed, TopP, checked
from rnnzoo.tasks.decoding.base import S, Step


def restricted(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Logits (rows, vocabulary) of the distribution that is drawn from; -inf for what is never drawn.

    temperature: divides the logits; below 1 the likely becomes likelier. top_k: only the k likeliest tokens. top_p:
    only the fewest likeliest tokens that have this probability together (the nucleus; Holtzman et al.,
    arXiv:1904.09751), after top_k. The likeliest token is always left.
    """
    logits = logits.float() / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        best = logits.topk(top_k, -1)
        logits = torch.full_like(logits, -torch.inf).scatter(-1, best.indices, best.values)
    if top_p is not None and top_p < 1:
        ordered, indices = logits.sort(dim=-1, descending=True, stable=True)
        shares = ordered.softmax(-1)
        outside = shares.cumsum(-1) - shares >= top_p  # the tokens before it have probability enough
        outside[..., 0] = False
        logits = logits.masked_fill(outside.scatter(-1, indices, outside), -torch.inf)
    return logits


@checked
@torch.no_grad()
def sample(
    step: Step[S],
    state: S,
    tokens: Tensor,
    length: Count,
    *,
    temperature: NonNegative = 1.0,
    top_k: Count | None = None,
    top_p: TopP | None = None,
    seed: Seed = 0,
    forbid: Sequence[int] = (),
    end: int | None = None,
) -> Tensor:
    """Write `length` tokens to each row, each drawn from the model's distribution given those before it.

    tokens: (rows,) int64, what the first step is fed. temperature: 0 takes the likeliest token (greedy). top_k, top_p:
    see `restricted`. seed: of a generator of this call's own; the same seed writes the same. forbid: tokens that are
    never written. end: a row that has written this token is finished; PAD follows it.

    Returns (rows, length) int64, shorter if all rows ended before.
    Raises: ValueError for a number out of range.
    """
    generator = torch.Generator(tokens.device).manual_seed(seed)
    ended = torch.zeros_like(tokens, dtype=torch.bool)
    forbidden = torch.tensor(forbid, dtype=torch.int64, device=tokens.device)
    written = []
    for _ in range(length):
        logits, state = step(tokens, state)
        if forbid:
            logits = logits.index_fill(-1, forbidden, -torch.inf)
        if temperature == 0 or top_k == 1:
            tokens = logits.argmax(-1)
        else:
            logits = logits.float() - logits.float().amax(-1, keepdim=True)  # so that no quotient is inf
            shares = restricted(logits, temperature, top_k, top_p).softmax(-1)
            tokens = torch.multinomial(shares, 1, generator=generator).squeeze(-1)
        if end is not None:
            tokens = tokens.masked_fill(ended, PAD)
            ended = ended | (tokens == end)
        written.append(tokens)
        if end is not None and bool(ended.all()):
            break
    return torch.stack(written, -1)
