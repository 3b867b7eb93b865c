"""Whether one group of runs is better than another: an interval for the difference, from seeds and from examples.

Two things are drawn at random: the seeds of a recipe, of which there are few, and the examples of the test set, which
all runs share. With the statistic of run s on the test set as t_s, and t*_s on a resample of its examples:

    difference*   = mean of t*_s(a) - t*_s(b)                          examples, resampled alike for all runs
                    + Z sqrt(max(0, (S - 1) s^2 / chi^2 - v) / S)      seeds: what S of them may be off by

s^2 is the variance of t_s over seeds. As there are few, their variance is drawn too, from all that s^2 allows
(chi^2 with S - 1 degrees of freedom), which is Student's t where seeds are all that counts. v is the part of s^2 that
is due to the examples, which the first line has already. The interval goes from the 2.5 % to the 97.5 % quantile.
Seeds that both groups have are paired: s^2 is that of their differences. `tests/simulate_coverage.py` measures how
often the interval covers the truth.

Sources: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993; for the variance of few: Weerahandi,
"Generalized Confidence Intervals", JASA 88, 1993; for several pairs: Holm, Scand. J. Statist. 6, 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rnnzoo.runs.statistics import STATISTICS, Statistic

Values = npt.NDArray[np.float64]
Mode = Literal["max", "min"]
LEVEL = 0.95
RESAMPLES = 1000  # of the examples
DRAWS = 20  # of the seeds' part, for each of them
GROUPS = 2000  # in which examples are resampled, where there are more: at random, of equal sizes
T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)  # Student's 97.5 % quantiles, by freedom


@dataclass(frozen=True)
class Sample:
    """One run on the test set: ids (examples,) int64; counts (examples, columns), what each adds to the metric.

    fingerprint: of the data. signature: how the metric is counted.
    """

    seed: int | None
    ids: npt.NDArray[np.int64]
    counts: Values
    fingerprint: str = ""
    signature: str = ""


@dataclass(frozen=True)
class Difference:
    """How far group a is above group b, in the metric's own unit.

    a, b: their means over seeds. low, high: the interval. p: the two-sided p-value of no difference. mode: which values
    are better. seeds: how many each has; paired: how many of them both have, and were compared with each other.
    examples: of the test set. of_examples, of_seeds: standard deviations: of the difference, from the examples drawn;
    and of one seed of each, NaN where no group has two.
    """

    value: float
    low: float
    high: float
    p: float
    a: float
    b: float
    mode: Mode
    seeds: tuple[int, int]
    paired: int
    examples: int
    of_examples: float
    of_seeds: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return not self.low <= 0 <= self.high

    @property
    def better(self) -> bool:
        """Whether a is the better one, as far as was measured."""
        return self.value > 0 if self.mode == "max" else self.value < 0

    def smallest(self, more: int = 0) -> float:
        """The smallest difference that would be clear with so many more seeds each; NaN where seeds are unknown."""
        each = (2 / (1 / self.seeds[0] + 1 / self.seeds[1])) + more
        freedom = (each - 1) * (1 if self.paired else 2)
        wide = self.of_seeds * t_quantile(freedom) / math.sqrt(each) if freedom >= 1 else math.nan
        return math.hypot(wide, 1.96 * self.of_examples)

    def more_seeds(self, difference: float, most: int = 50) -> int | None:
        """How many more seeds each would show a difference of this size; None if more than `most`, or not known."""
        return next((more for more in range(1, most + 1) if self.smallest(more) <= abs(difference)), None)


def t_quantile(freedom: float) -> float:
    """Student's 97.5 % quantile, up to 1 %. freedom: degrees, 1 or more."""
    return T[int(freedom) - 1] if freedom < len(T) + 1 else 1.96 + 2.4 / (freedom - 1)


def difference(
    a: Sequence[Sample],
    b: Sequence[Sample],
    statistic: str,
    mode: Mode,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    random_seed: int = 0,
) -> Difference:
    """How far the runs of a are above those of b, with an interval; equal arguments give an equal answer.

    statistic: a name in `STATISTICS`. With one run on either side the seeds' part is that of the other group; with one
    on both it is unknown, and the interval is about these two runs alone (`of_seeds` is NaN).
    Raises: ValueError, in words, for runs that cannot be compared.
    """
    _check(a, b, statistic)
    random = np.random.default_rng(random_seed)
    totals, resampled = _resampled([*a, *b], STATISTICS[statistic], resamples, random)
    if not np.isfinite(totals).all():
        raise ValueError("a run has no finite score: there is nothing to compare")
    resampled = resampled[np.isfinite(resampled).all(1)]
    if len(resampled) < resamples / 2:
        raise ValueError("too few examples: most resamples of them have no score")
    sides = (totals[: len(a)], resampled[:, : len(a)]), (totals[len(a) :], resampled[:, len(a) :])
    means = [side[0].mean() for side in sides]
    value = float(means[0] - means[1])
    number = len(a[0].ids)
    around = sides[0][1].mean(1) - sides[1][1].mean(1) - value
    around = around * np.sqrt(number / random.chisquare(max(number - 1, 1), len(around)))
    parts, paired = _seed_parts(a, b, *sides)
    drawn = value + around[:, None] + _drawn(parts, (len(around), DRAWS), random)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    below = min((drawn <= 0).mean(), (drawn >= 0).mean())
    return Difference(
        value=value,
        low=float(low),
        high=float(high),
        p=min(1.0, 2 * (below * drawn.size + 1) / (drawn.size + 1)),
        a=float(means[0]),
        b=float(means[1]),
        mode=mode,
        seeds=(len(a), len(b)),
        paired=paired,
        examples=number,
        of_examples=float(around.std()),
        of_seeds=_each(parts, len(a), len(b)),
    )


def _check(a: Sequence[Sample], b: Sequence[Sample], statistic: str) -> None:
    """Raises: ValueError for runs that cannot be compared."""
    if not a or not b:
        raise ValueError("a group has no run to compare")
    if statistic not in STATISTICS:
        raise ValueError(f"the statistic '{statistic}' is not known; known: {', '.join(STATISTICS)}")
    first = a[0]
    for sample in (*a, *b):
        if sample.fingerprint != first.fingerprint:
            raise ValueError("the runs were tested on different data: their fingerprints differ")
        if sample.signature != first.signature:
            raise ValueError(f"the metric is counted in two ways: '{first.signature}' and '{sample.signature}'")
        if not np.array_equal(sample.ids, first.ids):
            raise ValueError("the runs were tested on different examples of the test set")
        if sample.counts.shape != first.counts.shape or len(sample.counts) != len(first.ids):
            raise ValueError("the runs count different things for each example")
    if not len(first.ids):
        raise ValueError("the test set has no examples")


def _resampled(
    samples: Sequence[Sample], statistic: Statistic, resamples: int, random: np.random.Generator
) -> tuple[Values, Values]:
    """The statistic of each sample, (samples,), and of resamples of its examples, the same for all: (resamples,
    samples).
    """
    counts = np.stack([sample.counts for sample in samples], 1)  # (examples, samples, columns)
    sums = counts.sum(0)
    if len(counts) > GROUPS:
        starts = np.linspace(0, len(counts), GROUPS, endpoint=False).astype(np.int64)
        counts = np.add.reduceat(counts[random.permutation(len(counts))], starts)
    weights = random.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=resamples)
    drawn = weights.astype(np.float64) @ counts.reshape(len(counts), -1)
    return statistic(sums), statistic(drawn.reshape(resamples, *sums.shape))


class _Part(NamedTuple):
    """A part of the difference that seeds make: of the variance `weight` times that of one, which was estimated as
    `variance` with so many degrees of freedom, `known` of it due to the examples.
    """

    weight: float
    variance: float
    known: float
    freedom: int


Side = tuple[Values, Values]  # of each run: its statistic, (runs,), and resampled, (resamples, runs)


def _seed_parts(a: Sequence[Sample], b: Sequence[Sample], of_a: Side, of_b: Side) -> tuple[list[_Part], int]:
    """What seeds add to the variance of the difference, and how many of them are paired. Empty where nothing is known.

    The difference of means is a sum over seeds: those that both have are taken together, the others apart.
    """
    places_a, places_b = ({sample.seed: k for k, sample in enumerate(side)} for side in (a, b))
    common = [seed for seed in places_a if seed is not None and seed in places_b]
    if len(places_a) < len(a) or len(places_b) < len(b) or len(common) < 2:
        common = []
    at_a, at_b = [places_a[seed] for seed in common], [places_b[seed] for seed in common]
    parts = []
    if common:
        together = [x[..., at_a] / len(a) - y[..., at_b] / len(b) for x, y in zip(of_a, of_b, strict=True)]
        parts.append(_Part(len(common), *_variance(together[0], together[1])))
    alone = (len(a) - len(common)) / len(a) ** 2 + (len(b) - len(common)) / len(b) ** 2
    known = [_variance(*side) for side in (of_a, of_b) if len(side[0]) > 1]
    if alone and known:
        freedom = sum(item[2] for item in known)
        variance, due = (sum(item[k] * item[2] for item in known) / freedom for k in range(2))
        parts.append(_Part(alone, variance, due, freedom))
    return parts, len(common)


def _variance(values: Values, resampled: Values) -> tuple[float, float, int]:
    """The variance over seeds, the part of it that is due to the examples, and its degrees of freedom.

    values: (seeds,). resampled: (resamples, seeds).
    """
    freedom = len(values) - 1
    moved = resampled - values
    apart = moved - moved.mean(1, keepdims=True)
    return float(values.var(ddof=1)), float((apart**2).sum(1).mean() / freedom), freedom


def _drawn(parts: Sequence[_Part], shape: tuple[int, int], random: np.random.Generator) -> Values:
    """What seeds may add to the difference, drawn so many times."""
    total = np.zeros(shape)
    for part in parts:
        variance = part.freedom * part.variance / random.chisquare(part.freedom, shape) - part.known
        total += random.standard_normal(shape) * np.sqrt(part.weight * variance.clip(min=0))
    return total


def _each(parts: Sequence[_Part], a: int, b: int) -> float:
    """The standard deviation of the difference of one run of each group, from seeds; NaN where it is not known."""
    if not parts:
        return math.nan
    variance = sum(part.weight * max(0.0, part.variance - part.known) for part in parts)
    return math.sqrt(variance * 2 / (1 / a + 1 / b))


def holm(values: Sequence[float]) -> list[float]:
    """p-values of several pairs, corrected for their number: each at most 0.05 if and only if it is clear."""
    corrected, least = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = least
    return corrected
