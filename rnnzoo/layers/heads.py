"""Heads over a vocabulary: from features to the log-likelihood of a target, and of all words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.batch import IGNORE


class Softmax(nn.Linear):
    """One logit for each word."""

    def nll(self, features: Tensor, target: Tensor, each: bool = False) -> Tensor:
        """The negative log-likelihood in nats: the sum, or that of each word, (...), and 0 for IGNORE.

        features: (..., features); target: (...) words, or IGNORE.
        """
        total = _nll(self(features).flatten(0, -2), target.flatten(), each)
        return total.view(target.shape) if each else total


class AdaptiveSoftmax(nn.Module):
    """Frequent words in one softmax, rare ones in clusters, each computed only where the target is in it.

        p(w | x) = p_head(w | x)                    w < cutoffs[0]
        p(w | x) = p_head(c | x) p_c(w | x)         w in cluster c, from cutoffs[c] up to cutoffs[c + 1]

    Cluster c reads x through a projection to features / 4^(c + 1). Words are numbered by falling frequency, as
    vocabularies are. Source: Grave et al., arXiv:1609.04309. Differs: the last layers have biases.
    Raises: ValueError for cutoffs that do not rise, or do not lie between 1 and the number of words.
    """

    def __init__(self, features: int, words: int, cutoffs: Sequence[int]) -> None:
        super().__init__()
        ends = [0, *cutoffs, words]
        if not cutoffs or any(a >= b for a, b in pairwise(ends)):
            raise ValueError(f"cutoffs must rise, from 1 at least to below the {words} words, got {list(cutoffs)}")
        self.ends = ends[1:]
        self.head = nn.Linear(features, cutoffs[0] + len(cutoffs))
        self.tails = nn.ModuleList()
        for c, (start, end) in enumerate(pairwise(self.ends)):
            narrow = max(1, features // 4 ** (c + 1))
            self.tails.append(nn.Sequential(nn.Linear(features, narrow, bias=False), nn.Linear(narrow, end - start)))

    def nll(self, features: Tensor, target: Tensor, each: bool = False) -> Tensor:
        """The negative log-likelihood, as `Softmax.nll` gives it."""
        asked = target != IGNORE
        x, words = features[asked], target[asked]
        cluster = torch.bucketize(words, torch.tensor(self.ends[:-1], device=words.device), right=True)
        total = _nll(self.head(x), torch.where(cluster == 0, words, self.ends[0] + cluster - 1), each)
        for c, (start, tail) in enumerate(zip(self.ends, self.tails, strict=False), start=1):
            inside = cluster == c  # where there are none, the tail still has a gradient, of zeros: DDP waits for it
            part = _nll(tail(x[inside]), words[inside] - start, each)
            total = total.masked_scatter(inside, total[inside] + part) if each else total + part
        return total.new_zeros(target.shape).masked_scatter(asked, total) if each else total

    def forward(self, features: Tensor) -> Tensor:
        """features: (..., features). Log-probabilities of all words (..., words), whose exponentials add up to 1."""
        head = self.head(features).log_softmax(-1, dtype=torch.float32)
        frequent, clusters = head[..., : self.ends[0]], head[..., self.ends[0] :].unbind(-1)
        rare = [
            p.unsqueeze(-1) + tail(features).log_softmax(-1, dtype=torch.float32)
            for p, tail in zip(clusters, self.tails, strict=True)
        ]
        return torch.cat([frequent, *rare], -1)


def _nll(logits: Tensor, target: Tensor, each: bool) -> Tensor:
    """logits: (rows, classes), of any precision; target: (rows,). In fp32; summed, or (rows,)."""
    log_probs = logits.log_softmax(-1, dtype=torch.float32)
    return F.nll_loss(log_probs, target, ignore_index=IGNORE, reduction="none" if each else "sum")
