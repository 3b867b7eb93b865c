"""How often the interval of `rnnzoo compare` covers the truth, on made-up runs: `python tests/simulate_coverage.py`.

Every run has a skill of its seed's, every example a difficulty for all, and one for each group; what comes out is drawn
from these. The truth is the difference over all seeds and examples that could have been drawn; with one seed each,
over all examples for these two runs. Prints for each setting the share of intervals that cover it, and, where the truth
is 0, the share that leave 0 out. At last, of five equal groups, how often any pair is called different after Holm's
correction. Exits 1 where a share is out of its bounds.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from rnnzoo.compare.statistics import Difference, Sample, difference, holm
from rnnzoo.runs.statistics import STATISTICS

COVERED, ALARMS = (0.93, 0.97), 0.05
METRICS = {"accuracy": "ratio", "f1": "f1", "perplexity": "exp_ratio"}
HARD, OF_GROUP, OWN = 1.0, 0.7, 1.0  # how much an example's difficulty varies: for all, for a group, for a run


class Setting(NamedTuple):
    """metric: of METRICS. seeds: of either group. spread: of a seed's skill, its standard deviation. gap: of the mean
    skills. same: whether the groups have the same seeds. alike: how far one seed is equally good in both, 0 to 1.
    unlike: how many times as much seeds matter in the second group.
    """

    metric: str
    seeds: tuple[int, int]
    spread: float
    gap: float = 0.2
    same: bool = True
    alike: float = 0.0
    unlike: float = 1.0
    examples: int = 300

    def __str__(self) -> str:
        one, other = self.seeds
        pairing = "paired" if self.same and min(self.seeds) > 1 else ("apart" if max(self.seeds) > 1 else "")
        extra = f"alike {self.alike}" if self.alike else (f"unlike {self.unlike:.0f}" if self.unlike != 1 else "")
        return (
            f"{self.metric:10} {one} and {other} seeds, spread {self.spread:<4} gap {self.gap:<4} {pairing:6} {extra}"
        )


def skills(setting: Setting, random: np.random.Generator) -> list[np.ndarray]:
    """The skill of each run of either group."""
    one, other = setting.seeds
    shared = random.standard_normal(max(one, other))
    mine, yours = (
        math.sqrt(setting.alike) * shared[:number] + math.sqrt(1 - setting.alike) * random.standard_normal(number)
        for number in (one, other)
    )
    return [0.5 + setting.gap + setting.spread * mine, 0.5 + setting.spread * setting.unlike * yours]


def counts(metric: str, groups: list[np.ndarray], examples: int, random: np.random.Generator) -> list[np.ndarray]:
    """Of each group (runs, examples, columns): what runs of these skills, (runs,), make of the same examples."""
    hard = HARD * random.standard_normal(examples)
    spans, tokens = random.poisson(1.5, examples), random.integers(5, 30, examples)
    found = []
    for skill in groups:
        own = OWN * random.standard_normal((len(skill), examples))
        good = skill[:, None] + hard + OF_GROUP * random.standard_normal(examples) + own
        if metric == "perplexity":
            columns = [tokens * (4 - 0.2 * good), np.broadcast_to(tokens, good.shape)]
        elif metric == "accuracy":
            columns = [good > 0, np.ones_like(good)]
        else:
            tp = random.binomial(spans, np.where(good > 0, 0.9, 0.4))
            columns = [tp, random.binomial(2, np.where(good > 0, 0.1, 0.4)), spans - tp]
        found.append(np.stack(columns, -1).astype(float))
    return found


def expected(metric: str, skill: np.ndarray) -> np.ndarray:
    """What runs of these skills score on all examples that could be drawn."""
    if metric == "perplexity":
        return np.exp(4 - 0.2 * skill)
    deviation = math.sqrt(HARD**2 + OF_GROUP**2 + OWN**2)
    right = np.array([0.5 * math.erfc(-value / deviation / math.sqrt(2)) for value in skill])
    if metric == "accuracy":
        return right
    tp = 1.5 * (0.4 + 0.5 * right)
    return STATISTICS["f1"](np.stack([tp, 2 * (0.4 - 0.3 * right), 1.5 - tp], -1))


def truth(setting: Setting, drawn: list[np.ndarray]) -> float:
    """The difference that the interval is to cover."""
    if max(setting.seeds) == 1:
        one, other = (expected(setting.metric, skill).mean() for skill in drawn)
        return float(one - other)
    return expected_difference(setting)


@lru_cache
def expected_difference(setting: Setting) -> float:
    """The expected difference of one run of each group, over all seeds."""
    points, weights = np.polynomial.hermite_e.hermegauss(41)
    spreads = (setting.spread, setting.spread * setting.unlike)
    means = [
        (expected(setting.metric, mean + spread * points) * weights).sum() / weights.sum()
        for mean, spread in zip((0.5 + setting.gap, 0.5), spreads, strict=True)
    ]
    return float(means[0] - means[1])


def samples(setting: Setting, found: list[np.ndarray]) -> list[list[Sample]]:
    """The groups as `difference` takes them."""
    ids = np.arange(setting.examples)
    first = (0, 0 if setting.same else 100)
    return [[Sample(first[k] + seed, ids, run) for seed, run in enumerate(group)] for k, group in enumerate(found)]


def measured(setting: Setting, times: int, seed: int = 0) -> Iterator[tuple[Difference, float]]:
    """So many differences, each with the truth."""
    for number in range(times):
        random = np.random.default_rng((seed, number))
        drawn = skills(setting, random)
        one, other = samples(setting, counts(setting.metric, drawn, setting.examples, random))
        statistic = METRICS[setting.metric]
        yield difference(one, other, statistic, "max", resamples=200, random_seed=number), truth(setting, drawn)


def share_covered(setting: Setting, times: int) -> float:
    return float(np.mean([found.low <= true <= found.high for found, true in measured(setting, times)]))


def share_of_alarms(groups: int, seeds: int, spread: float, times: int) -> float:
    """Of equal groups, how often any pair is clearly different, corrected for their number."""
    alarms = 0
    for number in range(times):
        random = np.random.default_rng((7, number))
        drawn = [0.5 + spread * random.standard_normal(seeds) for _ in range(groups)]
        found = counts("accuracy", drawn, 300, random)
        runs = [[Sample(seed, np.arange(300), run) for seed, run in enumerate(group)] for group in found]
        pairs = itertools.combinations(runs, 2)
        ps = [difference(*pair, "ratio", "max", resamples=200, random_seed=number).p for pair in pairs]
        alarms += min(holm(ps)) <= 0.05
    return alarms / times


def settings() -> list[Setting]:
    found = [
        Setting(metric, (seeds, seeds), spread)
        for metric, seeds, spread in itertools.product(METRICS, (1, 2, 3, 5), (0.0, 0.1, 0.4))
    ]
    found += [Setting("accuracy", seeds, 0.2, same=same) for seeds in ((2, 5), (3, 5)) for same in (True, False)]
    found += [Setting("accuracy", (seeds, seeds), 0.2, same=False) for seeds in (2, 3, 5)]
    found += [Setting("accuracy", (seeds, seeds), 0.2, alike=0.7) for seeds in (2, 3, 5)]
    found += [Setting("accuracy", (seeds, seeds), 0.1, same=False, unlike=3) for seeds in (2, 3, 5)]
    found += [Setting("accuracy", (1, 3), 0.2, same=False), Setting("accuracy", (2, 3), 0.1, examples=5000)]
    found += [Setting(metric, (seeds, seeds), 0.1, gap=0.0) for metric in METRICS for seeds in (1, 2, 3, 5)]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000, help="runs of each setting")
    times, missed = parser.parse_args().times, 0
    for setting in settings():
        start = time.monotonic()
        share = share_covered(setting, times)
        ok = COVERED[0] <= share <= COVERED[1]
        missed += not ok
        told = f", alarms {100 * (1 - share):4.1f} %" if not setting.gap else ""
        seconds = time.monotonic() - start
        print(f"{setting}  covered {100 * share:5.1f} %{told}{'' if ok else '  OUT'}  {seconds:.0f} s", flush=True)
    for groups, seeds, spread in ((5, 2, 0.1), (5, 3, 0.1), (4, 5, 0.3)):
        share = share_of_alarms(groups, seeds, spread, times // 2)
        missed += share > ALARMS
        print(f"{groups} equal groups of {seeds} seeds, spread {spread}: any pair called different {100 * share:.1f} %")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
