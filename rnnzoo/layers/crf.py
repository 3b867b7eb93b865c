"""The two heads of tagging: each word's tag by itself, or the tags of a sentence together."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.batch import IGNORE
from rnnzoo.engine.layout import Layout

FORBIDDEN = -1e4  # nats: no sum of scores makes up for it; where no tags are legal the least illegal are predicted


class Independent(nn.Linear):
    """Each word's tag by itself: a softmax over the tags."""

    def nll(self, logits: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
        """Nats, summed over the words that have a target. logits: (batch, time, tags); target: (batch, time)."""
        return F.cross_entropy(logits.flatten(0, 1).float(), target.flatten(), ignore_index=IGNORE, reduction="sum")

    def decode(self, logits: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time) the likeliest tags; any past the ends."""
        return logits.argmax(-1)


class CRF(nn.Module):
    """The tags of a sentence together: a linear-chain conditional random field.

        score(x, y) = b[y_1] + sum_t e_t[y_t] + sum_t A[y_t-1, y_t] + c[y_T]
        log p(y | x) = score(x, y) - log Z(x),    Z(x) = sum over all y' of exp score(x, y')

    where the emissions e_t = W h_t + w are linear in the features, A are `transitions`, b and c the scores of the first
    and of the last tag. All sums are in fp32.
    Sources: Lafferty et al., ICML 2001; Lample et al., arXiv:1603.01360.

    legal: (tags + 1, tags + 1) bool, which tag may follow which, in decoding; the last row is for the first tag of
    a sentence, the last column for the last one. All may if not given.
    """

    def __init__(self, features: int, tags: int, legal: Tensor | None = None) -> None:
        super().__init__()
        self.emissions = nn.Linear(features, tags)
        self.transitions = nn.Parameter(torch.zeros(tags, tags))
        self.start = nn.Parameter(torch.zeros(tags))
        self.end = nn.Parameter(torch.zeros(tags))
        self.penalty: Tensor  # nats, (tags + 1, tags + 1)
        legal = torch.ones(tags + 1, tags + 1, dtype=torch.bool) if legal is None else legal
        self.register_buffer("penalty", torch.where(legal, 0.0, FORBIDDEN), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, time, features) to emissions (batch, time, tags)."""
        emissions: Tensor = self.emissions(features)
        return emissions

    def nll(self, emissions: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
        """-log p(y | x) in nats, summed over the sentences. A sentence with a word without a target is left out."""
        layout = Layout(lengths, emissions.shape[1], emissions.device)
        asked = ((target != IGNORE) | ~layout.mask).all(1)
        surprise = self.log_partition(emissions, lengths) - self.score(emissions, target.clamp(min=0), lengths)
        return (surprise * asked).sum()

    def score(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """(batch,) the score of the given tags (batch, time), whatever is past the ends; lengths >= 1."""
        emissions, layout = emissions.float(), Layout(lengths, emissions.shape[1], emissions.device)
        steps = emissions.gather(2, tags[:, :, None]).squeeze(2)
        steps = steps + torch.cat([self.start[tags[:, :1]], self.transitions[tags[:, :-1], tags[:, 1:]]], 1)
        last = tags.flatten()[layout.last_positions]
        return steps.masked_fill(~layout.mask, 0).sum(1) + self.end[last]

    def log_partition(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """(batch,) log Z by the forward algorithm; lengths >= 1.

        Sentences stand longest first, so that step t is of those that have one, and no other is touched.
        """
        layout = Layout(lengths, emissions.shape[1], emissions.device)
        e = layout.sort(emissions.float()).unbind(1)
        into = self.transitions.float().t().contiguous()  # [to, from]: sums run over neighbours in memory
        alpha = self.start + e[0]
        ended = []
        for t, live in enumerate(layout.batch_sizes.tolist()[1:], start=1):
            ended.append(alpha[live:])
            alpha = torch.logsumexp(alpha[:live, None] + into, 2) + e[t][:live]
        alpha = torch.cat([alpha, *reversed(ended)])
        return layout.unsort(torch.logsumexp(alpha + self.end, 1))

    @torch.no_grad()
    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time) the tags of the highest score by the Viterbi algorithm, 0 past the ends; lengths >= 1."""
        layout = Layout(lengths, emissions.shape[1], emissions.device)
        e = layout.sort(emissions.float()).unbind(1)
        into = (self.transitions + self.penalty[:-1, :-1]).float().t().contiguous()
        end = self.end + self.penalty[:-1, -1]
        alive = [*layout.batch_sizes.tolist(), 0]
        delta = self.start + self.penalty[-1, :-1] + e[0]
        pointers, ends = [], []
        for t, live in enumerate(alive[1:], start=1):
            ends.append((delta[live:] + end).argmax(1))  # of the sentences whose last step was t - 1
            if live:
                best, pointer = (delta[:live, None] + into).max(2)
                pointers.append(pointer)
                delta = best + e[t][:live]
        tags = emissions.new_zeros(emissions.shape[:2], dtype=torch.int64)
        tag = ends.pop()
        tags[: len(tag), len(ends)] = tag
        while ends:
            earlier = pointers.pop().gather(1, tag[:, None]).squeeze(1)
            tag = torch.cat([earlier, ends.pop()])
            tags[: len(tag), len(ends)] = tag
        return layout.unsort(tags)
