"""Beam search for the likeliest sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from rnnzoo.batch import EOS, PAD
from rnnzoo.limits import Count, NonNegative, checked
from rnnzoo.tasks.decoding.base import S, Select, Step

Number = TypeVar("Number", float, Tensor)


class Hypothesis(NamedTuple):
    """tokens: what was written, the end token included where it was reached. score: log-probability in nats, over
    the length penalty."""

    tokens: list[int]
    score: float


def penalty(length: Number, alpha: float) -> Number:
    """((5 + length) / 6)^alpha, by which a log-probability is divided (Wu et al., arXiv:1609.08144, equation 14)."""
    return ((5 + length) / 6) ** alpha


@checked
@torch.no_grad()
def beam(
    step: Step[S],
    select: Select[S],
    state: S,
    tokens: Tensor,
    *,
    size: Count = 5,
    max_steps: int | Tensor = 100,
    length_penalty: NonNegative = 0.6,
    forbid: Sequence[int] = (PAD,),
    end: int | None = EOS,
) -> list[Hypothesis]:
    """The best sequence for each row by beam search; a row alone and the same row in a batch get the same.

    Each step extends the `size` best unfinished hypotheses of a row. One that ends is set aside if it is among the
    `size` best extensions, and scored by its log-probability over `penalty(tokens written, length_penalty)`, the end
    token counted. A row is done when no unfinished hypothesis can come to score better, were all its further tokens
    certain, or after max_steps; it then leaves the batch. Where nothing ended by then, the best unfinished hypothesis
    is the answer.

    state, tokens: one row a sequence. The rows of a sequence's hypotheses are neighbours, equally many for each.
    max_steps: most tokens written, for all or, as (rows,), for each. forbid: tokens that are never written. end: None
    where no token ends a sequence, and all have max_steps tokens.
    Raises: ValueError for a number out of range.
    """
    device, count = tokens.device, len(tokens)
    limits = torch.as_tensor(max_steps, device=device).expand(count)
    best_finished = [Hypothesis([], -torch.inf)] * count
    row = torch.arange(count, device=device)  # (live,) the rows that are not done
    best = torch.full((count,), -torch.inf, device=device)  # (live,) score of each one's best finished hypothesis
    scores = torch.zeros(count, 1, device=device)  # (live, hypotheses) log-probabilities of the unfinished, best first
    written = tokens.new_empty(count, 1, 0)  # (live, hypotheses, steps)
    last = [] if end is None else [end]
    barred = torch.tensor([*forbid, *last], dtype=torch.int64, device=device)
    length = 0
    while len(row):
        length += 1
        logits, state = step(tokens, state)
        log_probs = logits.float().log_softmax(-1)  # (live * hypotheses, vocabulary)
        ended = torch.full_like(scores, -torch.inf) if end is None else scores + log_probs[:, end].view_as(scores)
        values, words = log_probs.index_fill_(-1, barred, -torch.inf).topk(min(size, log_probs.shape[-1]), -1)
        width = values.shape[-1]
        values = (scores.unsqueeze(-1) + values.view(*scores.shape, width)).flatten(1)
        scores, indices = values.topk(min(size, values.shape[1]), -1)
        every = torch.cat([scores, ended], 1)
        least = every.topk(min(size, every.shape[1]), -1).values[:, -1:]
        score, winner = (ended.masked_fill(ended < least, -torch.inf) / penalty(length, length_penalty)).max(1)
        better = score > best
        for index in better.nonzero().squeeze(1).tolist():
            best_finished[int(row[index])] = Hypothesis(
                written[index, winner[index]].tolist() + last, float(score[index])
            )
        best = torch.maximum(best, score)

        words = words.view(len(row), -1).gather(1, indices)  # (live, hypotheses), of the extended
        parents = indices // width
        written = written.gather(1, parents.unsqueeze(-1).expand(-1, -1, length - 1))
        written = torch.cat([written, words.unsqueeze(-1)], -1)
        late = length >= limits
        for index in (late & best.isinf()).nonzero().squeeze(1).tolist():
            reached = float(scores[index, 0]) / penalty(length, length_penalty)
            best_finished[int(row[index])] = Hypothesis(written[index, 0].tolist(), reached)
        live = (~late & (best < scores[:, 0] / penalty(limits, length_penalty))).nonzero().squeeze(1)
        hypotheses = ended.shape[1]
        rows = (live.unsqueeze(1) * hypotheses + parents[live]).flatten()
        row, limits, best, scores, written = row[live], limits[live], best[live], scores[live], written[live]
        if len(row):
            state, tokens = select(state, rows), words[live].flatten()
    return best_finished
