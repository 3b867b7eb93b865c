"""Metrics summed over a whole part of the data. One without anything to count is NaN, never 0."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class Mean(Metric):
    """The weighted mean of all values. One that is NaN makes it NaN: no batch is left out of a result.

    torchmetrics' MeanMetric (1.9) leaves NaN out, or ignores the weights with `nan_strategy="disable"`.
    """

    full_state_update = False
    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, value: Tensor, weight: float = 1.0) -> None:
        """value: (...), of any shape; each of its numbers counts for `weight`."""
        self.total += value.sum(dtype=self.total.dtype) * weight
        self.weight += value.numel() * weight

    def compute(self) -> Tensor:
        return self.total / self.weight


class Share(Mean):
    """The share of ones among zeros and ones: of what is right."""

    higher_is_better = True


class Error(Mean):
    """The mean of errors: less is better."""

    higher_is_better = False


class Perplexity(Mean):
    """exp of the mean negative log-likelihood, each batch's mean in nats weighted by its tokens."""

    higher_is_better = False

    def compute(self) -> Tensor:
        return super().compute().exp()


class PerStep(Mean):
    """A total over the number of steps, each summed over the whole part of the data."""

    higher_is_better = False

    def update(self, value: Tensor, weight: float = 1.0) -> None:
        """value: a scalar, added to the total. weight: the steps it is of; 0 where a window ends within one."""
        self.total += value
        self.weight += weight

    def compute(self) -> Tensor:
        return super().compute().where(self.weight > 0, torch.nan)


class AUROC(Metric):
    """The mean area under the ROC curve, each class against all others, over the classes that can have one.

        A_k = P(s_k(a) > s_k(b)) + P(s_k(a) = s_k(b)) / 2        a of class k, b of another; of all such pairs

    A class that no row has, or every row, has none; where no class has one, the result is NaN. Keeps all scores.
    number: of classes.
    """

    higher_is_better = True
    full_state_update = False
    scores: list[Tensor]
    classes: list[Tensor]

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("classes", [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Begin with no rows, in the shape of rows: a process that gets none has these to send to the others."""
        super().reset()
        self.scores.append(torch.empty(0, self.number, device=self.device))
        self.classes.append(torch.empty(0, dtype=torch.int64, device=self.device))

    def update(self, preds: Tensor, target: Tensor) -> None:
        """preds: (rows, classes) scores. target: (rows,) class numbers."""
        self.scores.append(preds)
        self.classes.append(target)

    def compute(self) -> Tensor:
        scores, target = dim_zero_cat(self.scores), dim_zero_cat(self.classes)
        areas = [_area(scores[:, k], target == k) for k in range(scores.shape[1])]
        return torch.stack(areas).nanmean().float()


def _area(scores: Tensor, positive: Tensor) -> Tensor:
    """By the sum of the positives' ranks, equal scores sharing theirs (Mann, Whitney, 1947); NaN without pairs."""
    _, rank_index, counts = scores.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[rank_index]
    many = positive.sum()
    above = ranks[positive].sum(dtype=torch.float64) - many * (many + 1) / 2
    return above / (many * (len(scores) - many))
