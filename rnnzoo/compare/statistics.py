"""Whether one group of runs is better than another: an interval for the difference, from seeds and from examples.

Two things are drawn at random: the seeds of a recipe, of which there are few, and the examples of the test set, which
all runs share. With t_s the difference of the statistic for seed s on the test set, and S seeds, the mean of t_s has

    variance  =  v  +  c        v: of its mean over seeds, as examples are resampled, the same ones for all runs
                                c: the variance of t_s over seeds, over S

less what both count: the part of c that comes from the examples, which differ from seed to seed in how they are
answered, is taken off v. The interval is the mean and, to either side, sqrt(v + c) times a quantile between those of
Student's t for v and for c, which has S - 1 degrees of freedom only:

    (1 - w) t_v + w t_c,        w = r = c / (v + c);        with 1 or 2 degrees, w = r^3 / (r^3 + k (1 - r))

The second w is ours, k being `STEEP`: with one degree of freedom the first covers 94 to 98 % of all truths, and this 95
to 97 %, as `tests/simulate_coverage.py` measures. Where all seeds, or three of them, are the same in both groups, these
are paired; of others, the variance is that of both groups together. The counts of examples are resampled, so that F1,
BLEU and perplexity are those of whole resampled test sets.

Sources: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993; for two variances, one of them of few: Cochran,
Cox, "Experimental Designs", 1957; for several pairs: Holm, Scand. J. Statist. 6, 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rnnzoo.runs.statistics import STATISTICS, Statistic
from rnnzoo.runs.student import t_quantile
from rnnzoo.system.quantities import amount

Values = npt.NDArray[np.float64]
Mode = Literal["max", "min"]
LEVEL, TAIL = 0.95, 0.05
FEWEST = 6  # examples: of fewer, one answering all of them and the other none happens by chance in one of twenty
RESAMPLES = 1000  # of the examples
STEEP = {1: 0.01, 2: 0.2}  # by degrees of freedom: how soon seeds alone decide; by numerical integration over r
GROUPS = 2000  # in which examples are resampled, where there are more: at random, of equal sizes


@dataclass(frozen=True)
class Sample:
    """One run on the test set: ids (examples,) int64; counts (examples, columns), what each adds to the metric.

    fingerprint: of the test set. signature: how the metric is counted.
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
        """About the smallest difference that would be clear with so many more seeds each; NaN where nothing is known
        of seeds.
        """
        each = (2 / (1 / self.seeds[0] + 1 / self.seeds[1])) + more
        freedom = (each - 1) * (1 if self.paired else 2)
        if freedom < 1 or math.isnan(self.of_seeds):
            return math.nan
        return _half(
            _Error(self.of_examples**2, _freedom(self.examples, RESAMPLES)),
            [_Error(self.of_seeds**2 / each, freedom)],
            TAIL,
        )

    def more_seeds(self, difference: float, most: int = 50) -> int | None:
        """How many more seeds each would show a difference of this size; None if more than `most`, or not known."""
        return next((more for more in range(1, most + 1) if self.smallest(more) <= abs(difference)), None)


class _Error(NamedTuple):
    """A part of the variance of a difference, and the degrees of freedom that it was estimated with."""

    variance: float
    freedom: float


def _half(examples: _Error, seeds: Sequence[_Error], tail: float, least: float = 0.0) -> float:
    """Half of the interval that leaves out `tail`, 0 to 1, of what the difference may be; never less for less tail.

    Smaller tails than the interval's, as several pairs need, take sqrt(t_v^2 v + t_c^2 c), which is never too short;
    and never less than the examples alone give, whose variance in all is `least`: two seeds may agree by chance.
    """
    of_seeds = sum(error.variance for error in seeds)
    total = examples.variance + of_seeds
    if not total:
        return 0.0
    squares = sum(error.variance * t_quantile(error.freedom, tail) ** 2 for error in seeds if error.variance)
    few = math.sqrt(squares / of_seeds) if of_seeds else 0.0
    many = t_quantile(examples.freedom, tail)
    if tail < TAIL:
        wide = max(many**2 * examples.variance + squares, many**2 * least)
        return max(math.sqrt(wide), _half(examples, seeds, TAIL))
    share = of_seeds / total
    freedom = min((error.freedom for error in seeds if error.variance), default=math.inf)
    weight = share**3 / (share**3 + STEEP[int(freedom)] * (1 - share)) if freedom < 3 else share
    return math.sqrt(total) * ((1 - weight) * many + weight * few)


def difference(
    a: Sequence[Sample],
    b: Sequence[Sample],
    statistic: str,
    mode: Mode,
    *,
    resamples: int = RESAMPLES,
    random_seed: int = 0,
) -> Difference:
    """How far the runs of a are above those of b; see `differences`."""
    return differences([a, b], [(0, 1)], statistic, mode, resamples=resamples, random_seed=random_seed)[0]


def differences(
    groups: Sequence[Sequence[Sample]],
    pairs: Sequence[tuple[int, int]],
    statistic: str,
    mode: Mode,
    *,
    resamples: int = RESAMPLES,
    random_seed: int = 0,
) -> list[Difference]:
    """How far one group of each pair is above the other, with an interval; equal arguments give equal answers.

    groups: each with a run for each of its seeds. statistic: a name in `STATISTICS`. With one run in a group the seeds'
    part is that of the other group; with one in both it is unknown, and the interval is about these two runs alone
    (`of_seeds` is NaN). Raises: ValueError, in words, for runs that cannot be compared.
    """
    _check(groups, statistic)
    random = np.random.default_rng(random_seed)
    every = [sample for group in groups for sample in group]
    totals, resampled = _resampled(every, STATISTICS[statistic], resamples, random)
    if not np.isfinite(totals).all():
        raise ValueError("a run has no finite score: there is nothing to compare")
    resampled = resampled[np.isfinite(resampled).all(1)]
    if len(resampled) < resamples / 2:
        raise ValueError("too few examples: most resamples of them have no score")
    ends = np.cumsum([len(group) for group in groups])
    sides = [
        _Side([sample.seed for sample in group], totals[end - len(group) : end], resampled[:, end - len(group) : end])
        for group, end in zip(groups, ends, strict=True)
    ]
    return [_difference(sides[one], sides[other], mode, len(every[0].ids)) for one, other in pairs]


class _Side(NamedTuple):
    """A group: its seeds, the statistic of each run, (runs,), and of resampled examples, (resamples, runs)."""

    seeds: list[int | None]
    values: Values
    resampled: Values


def _difference(a: _Side, b: _Side, mode: Mode, examples: int) -> Difference:
    value = float(a.values.mean() - b.values.mean())
    moved = a.resampled.mean(1) - b.resampled.mean(1)
    variance = float(moved.var()) * examples / max(examples - 1, 1)
    parts, paired = _seed_parts(a, b)
    rest = max(0.0, variance - sum(part.weight * part.of_examples for part in parts))
    errors = [_Error(part.weight * part.variance, part.freedom) for part in parts]
    fixed = _Error(rest, _freedom(examples, len(moved)))
    half = _half(fixed, errors, TAIL)
    each = sum(part.weight * max(0.0, part.variance - part.of_examples) for part in parts)
    return Difference(
        value=value,
        low=value - half,
        high=value + half,
        p=_p(value, fixed, errors, variance),
        a=float(a.values.mean()),
        b=float(b.values.mean()),
        mode=mode,
        seeds=(len(a.values), len(b.values)),
        paired=paired,
        examples=examples,
        of_examples=math.sqrt(variance),
        of_seeds=math.sqrt(each * 2 / (1 / len(a.values) + 1 / len(b.values))) if parts else math.nan,
    )


def _freedom(examples: int, resamples: int) -> float:
    """Of a variance over examples that so many resamples of them measured: both estimate it with a spread."""
    return 1 / (1 / max(examples - 1, 1) + 1 / max(resamples - 1, 1))


def _p(value: float, examples: _Error, seeds: Sequence[_Error], least: float) -> float:
    """The largest tail whose interval leaves out 0, by bisection; 1 where there is no difference at all."""
    low, high = 1e-12, 1.0
    if not value or _half(examples, seeds, low, least) <= abs(value):
        return low if value else 1.0
    if _half(examples, seeds, TAIL) <= abs(value):  # as the interval has it, whose tail is a step of the search
        high = TAIL
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _half(examples, seeds, middle, least) <= abs(value) else (middle, high)
    return high


def _check(groups: Sequence[Sequence[Sample]], statistic: str) -> None:
    """Raises: ValueError for runs that cannot be compared."""
    if not all(groups):
        raise ValueError("a group has no run to compare")
    if statistic not in STATISTICS:
        raise ValueError(f"the statistic '{statistic}' is not known; known: {', '.join(STATISTICS)}")
    first = groups[0][0]
    for sample in (sample for group in groups for sample in group):
        if sample.fingerprint != first.fingerprint:
            raise ValueError("the runs were tested on different data: their fingerprints differ")
        if sample.signature != first.signature:
            raise ValueError(f"the metric is counted in two ways: '{first.signature}' and '{sample.signature}'")
        if not np.array_equal(sample.ids, first.ids):
            raise ValueError("the runs were tested on different examples of the test set")
        if sample.counts.shape != first.counts.shape or len(sample.counts) != len(first.ids):
            raise ValueError("the runs count different things for each example")
    if len(first.ids) < FEWEST:
        raise ValueError(f"{amount(len(first.ids), 'example')} of the test: too few to tell, {FEWEST} are needed")


def _resampled(
    samples: Sequence[Sample], statistic: Statistic, resamples: int, random: np.random.Generator
) -> tuple[Values, Values]:
    """The statistic of each sample, (samples,), and of resamples of its examples, the same for all: (resamples,
    samples).
    """
    number = len(samples[0].counts)
    order, starts = random.permutation(number), np.linspace(0, number, GROUPS, endpoint=False).astype(np.int64)
    parts = [s.counts if number <= GROUPS else np.add.reduceat(s.counts[order], starts) for s in samples]
    counts = np.stack(parts, 1)  # (examples or groups of them, samples, columns)
    rows = random.integers(len(counts), size=(resamples, len(counts))) + len(counts) * np.arange(resamples)[:, None]
    weights = np.bincount(rows.ravel(), minlength=rows.size).reshape(rows.shape)  # how often each is drawn
    drawn = weights.astype(np.float64) @ counts.reshape(len(counts), -1)
    return statistic(counts.sum(0)), statistic(drawn.reshape(resamples, *counts.shape[1:]))


class _Part(NamedTuple):
    """A part of the difference that seeds make: its variance is `weight` times that of one seed.

    variance: of one, over seeds, with so many degrees of freedom. of_examples: how much of it comes from the examples.
    """

    weight: float
    variance: float
    of_examples: float
    freedom: int


def _seed_parts(a: _Side, b: _Side) -> tuple[list[_Part], int]:
    """What seeds add to the variance of the difference, and how many of them are paired. Empty where nothing is known.

    The difference of means is a sum over seeds: those that both have are taken together, the others apart.
    """
    many = len(a.seeds), len(b.seeds)
    common = [seed for seed in a.seeds if seed is not None and seed in b.seeds]
    enough = 2 if set(a.seeds) == set(b.seeds) else 3  # two of more pair little, and cost degrees of freedom
    if any(len(set(side.seeds)) < len(side.seeds) for side in (a, b)) or len(common) < enough:
        common = []
    at_a, at_b = [a.seeds.index(seed) for seed in common], [b.seeds.index(seed) for seed in common]
    parts = []
    if common:
        values = a.values[at_a] / many[0] - b.values[at_b] / many[1]
        resampled = a.resampled[:, at_a] / many[0] - b.resampled[:, at_b] / many[1]
        parts.append(_Part(len(common), *_variance(values, resampled)))
    alone = sum((number - len(common)) / number**2 for number in many)
    known = [_variance(side.values, side.resampled) for side in (a, b) if len(side.values) > 1]
    if alone and known:
        freedom = sum(item[2] for item in known)
        variance, due = (sum(item[k] * item[2] for item in known) / freedom for k in range(2))
        parts.append(_Part(alone, variance, due, freedom))
    return parts, len(common)


def _variance(values: Values, resampled: Values) -> tuple[float, float, int]:
    """The variance over seeds, the part of it that comes from the examples, and its degrees of freedom.

    values: (seeds,). resampled: (resamples, seeds).
    """
    freedom = len(values) - 1
    moved = resampled - resampled.mean(0)
    apart = moved - moved.mean(1, keepdims=True)
    return float(values.var(ddof=1)), float((apart**2).sum(1).mean() / freedom), freedom


def holm(values: Sequence[float], of: int | None = None) -> list[float]:
    """p-values of several pairs, corrected for their number: each at most 0.05 if and only if it is clear.

    of: how many pairs there are, where only the smallest p-values of these may be here.
    """
    corrected, least, number = [0.0] * len(values), 0.0, of or len(values)
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (number - rank) * values[place]))
        corrected[place] = least
    return corrected
