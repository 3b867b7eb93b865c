"""Connectionist temporal classification: the tokens of a sequence of steps, whose positions nobody has marked.

At each step the network names a token or the blank, id 0. A row of such names, an alignment, says the tokens that are
left when runs of one name are taken as one and blanks are dropped:

    p(l | x) = sum over the alignments a that say l of prod_t y_t(a_t)

Source: Graves, Fernandez, Gomez, Schmidhuber, ICML 2006, doi:10.1145/1143844.1143891.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from math import exp, inf, log1p

import torch
import torch.nn.functional as F
from torch import Tensor

BLANK = 0


def ctc_loss(logits: Tensor, target: Tensor, lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """-ln p(l | x) in nats, summed over the batch, in fp32; infinite where no alignment says the target.

    logits: (batch, time, classes). target: (batch, longest target) int64, whatever after each one's end. lengths,
    target_lengths: (batch,) int64.
    """
    log_probs = logits.float().log_softmax(-1).transpose(0, 1)
    mask = torch.arange(target.shape[1], device=target.device) < target_lengths.to(target.device)[:, None]
    return F.ctc_loss(log_probs, target[mask], lengths, target_lengths, blank=BLANK, reduction="sum")


def best_path(logits: Tensor, lengths: Tensor) -> list[list[int]]:
    """What each sequence's most probable alignment says. logits: (batch, time, classes); lengths: (batch,)."""
    best = logits.argmax(-1).tolist()
    return [collapsed(row[:length]) for row, length in zip(best, lengths.tolist(), strict=True)]


def collapsed(alignment: Sequence[int]) -> list[int]:
    """The tokens that an alignment says."""
    return [token for token, _ in itertools.groupby(alignment) if token != BLANK]


def prefix_search(log_probs: Tensor, beam: int) -> tuple[list[int], float]:
    """The most probable tokens of one sequence, and ln p of what the beam saw of them, in nats.

    After each step the `beam` most probable prefixes survive, each with the probability of its alignments that
    end in a blank and of those that do not. If all survive, the answer is the true argmax of p(l | x).
    log_probs: (time, classes). Source: Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", 2012,
    section 7.5, as a beam search: Hannun et al., arXiv:1408.2873.
    """
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -inf)}  # prefix -> ln p ending in blank, in a token
    for step in log_probs.tolist():
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-inf, -inf])
        for prefix, (blank, token) in beams.items():
            either = _add(blank, token)
            same = grown[prefix]
            same[0] = _add(same[0], either + step[BLANK])
            if prefix:
                same[1] = _add(same[1], token + step[prefix[-1]])
            for name, score in enumerate(step):
                if name != BLANK:
                    before = blank if prefix and name == prefix[-1] else either
                    longer = (*prefix, name)
                    grown[longer][1] = _add(grown[longer][1], before + score)
        best = sorted(grown.items(), key=lambda item: (-_add(*item[1]), item[0]))[:beam]
        beams = {prefix: (scores[0], scores[1]) for prefix, scores in best}
    prefix, scores = next(iter(beams.items()))
    return list(prefix), _add(*scores)


def _add(a: float, b: float) -> float:
    """ln(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    return a if b == -inf else a + log1p(exp(b - a))
