"""Decoding: sequences written token by token, by anything that steps with a carried state.

A caller gives `step(tokens, state) -> (logits, state)`: the tokens written last, (rows,) int64, and what is carried,
to logits or log-probabilities of the next ones, (rows, vocabulary), and what to carry on. The state is the caller's own
matter: `beam` reorders its rows by the caller's `select(state, rows)`, rows (rows,) int64, as
`rnnzoo.engine.recurrence.select` does for the states of an architecture. As in translation:

    def step(tokens, state):
        logits, state = model.decoder_logits(tokens[:, None], state)
        return logits[:, 0], state

    def select(state, rows):
        return state.select(rows)

    first = batch.lengths.new_full((len(batch),), BOS)
    best = beam(step, select, model.start_decoder(batch), first, size=5, end=EOS)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from rnnzoo.batch import EOS, PAD
from rnnzoo.limits import Count, NonNegative, Seed, TopP, checked

S = TypeVar("S")  # what a caller carries from step to step
Step = Callable[[Tensor, S], tuple[Tensor, S]]
Select = Callable[[S, Tensor], S]
Number = TypeVar("Number", float, Tensor)


class Hypothesis(NamedTuple):
    """tokens: what was written, the end token included where it was reached. score: log-probability in nats, over
    the length penalty."""

    tokens: list[int]
    score: float


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
        ordered, places = logits.sort(dim=-1, descending=True, stable=True)
        shares = ordered.softmax(-1)
        outside = shares.cumsum(-1) - shares >= top_p  # what stands before a token is enough without it
        outside[..., 0] = False
        logits = logits.masked_fill(outside.scatter(-1, places, outside), -torch.inf)
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
    """The best sequence found for each row by beam search, the same for a row alone and in a batch.

    Each step extends the `size` best unfinished hypotheses of a row. One that ends is set aside if it is among the
    `size` best extensions, and scored by its log-probability over `penalty(tokens written, length_penalty)`, the end
    token counted. A row is done when no unfinished hypothesis can come to score better, were all its further tokens
    certain, or after max_steps; it then leaves the batch. Where nothing ended by then, the best unfinished hypothesis
    is the answer.

    state, tokens: of one row a sequence; the rows of a sequence's hypotheses stand together, as many for each.
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
        scores, places = values.topk(min(size, values.shape[1]), -1)
        every = torch.cat([scores, ended], 1)
        least = every.topk(min(size, every.shape[1]), -1).values[:, -1:]
        score, winner = (ended.masked_fill(ended < least, -torch.inf) / penalty(length, length_penalty)).max(1)
        better = score > best
        for index in better.nonzero().squeeze(1).tolist():
            best_finished[int(row[index])] = Hypothesis(
                written[index, winner[index]].tolist() + last, float(score[index])
            )
        best = torch.maximum(best, score)

        words = words.view(len(row), -1).gather(1, places)  # (live, hypotheses), of the extended
        parents = places // width
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
