"""Metrics as functions of summed counts, in numpy: what a whole part of the data scores, from what its rows add.

Each function takes the sums (..., counts), in the order of the metric's columns, and gives the values (...): of many
resamples at once. Where there is nothing to divide by, the value is NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Statistic = Callable[[Values], Values]


def _over(above: Values, below: Values) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def ratio(sums: Values) -> Values:
    """total, of how many."""
    return _over(sums[..., 0], sums[..., 1])


def exp_ratio(sums: Values) -> Values:
    """nats, of how many: perplexity."""
    with np.errstate(over="ignore"):
        return np.exp(ratio(sums))


def root_ratio(sums: Values) -> Values:
    """squares, of how many."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(ratio(sums))


def precision(sums: Values) -> Values:
    """tp, fp, fn: tp / (tp + fp); 0 where nothing was found of what there is."""
    tp, fp, fn = (sums[..., column] for column in range(3))
    return _over(tp, np.where(fn > 0, np.maximum(tp + fp, 1), tp + fp))


def recall(sums: Values) -> Values:
    """tp, fp, fn: tp / (tp + fn)."""
    return _over(sums[..., 0], sums[..., 0] + sums[..., 2])


def f1(sums: Values) -> Values:
    """tp, fp, fn: 2 tp / (2 tp + fp + fn)."""
    return _over(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def macro_f1(sums: Values) -> Values:
    """tp of each class, then fp of each, then fn: the mean F1 of the classes that occur or were named."""
    tp, fp, fn = np.split(sums, 3, axis=-1)
    occurs = tp + fp + fn > 0
    scores = np.where(occurs, 2 * tp / np.where(occurs, 2 * tp + fp + fn, 1), 0)
    return _over(scores.sum(-1), occurs.sum(-1).astype(np.float64))


def bleu(sums: Values) -> Values:
    """words written, words of the references, n-grams that match, n-grams written, for n = 1 to 4: BLEU in per cent.

    As sacrebleu's `compute_bleu` with smoothing "exp": the k-th order without a match counts as 1 / 2^k of one.
    """
    written, reference, matches, totals = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:10]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        halvings = np.cumsum((matches == 0) & (totals > 0), axis=-1)
        shares = np.where(matches > 0, matches, 0.5**halvings) / totals
        score = (
            100 * np.exp(np.log(shares).mean(-1)) * np.where(written < reference, np.exp(1 - reference / written), 1)
        )
    return np.where((totals > 0).all(-1) & (matches > 0).any(-1), score, 0.0)


STATISTICS: dict[str, Statistic] = {
    function.__name__: function for function in (ratio, exp_ratio, root_ratio, precision, recall, f1, macro_f1, bleu)
}
