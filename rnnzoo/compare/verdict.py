"""Whether one group of runs is better than another, in words, with the numbers behind them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rnnzoo.compare.collect import ComparedRun
from rnnzoo.compare.statistics import LEVEL, TAIL, Difference, Sample, differences, holm
from rnnzoo.errors import RunError
from rnnzoo.runs.predictions import FILE, CountedMetric, Header, read
from rnnzoo.runs.statistics import STATISTICS
from rnnzoo.system.console import inline, short
from rnnzoo.system.quantities import amount

EVERY_PAIR = 5  # groups of which each is compared with each other; of more, the best with the next ones
MOST = 10  # pairs that are told
NAME = 60  # characters of a group's name
SHARES = ("f1", "macro_f1", "precision", "recall")  # statistics from 0 to 1, told in points of a hundred
PERCENT = f"{100 * LEVEL:.0f} %"

Named = tuple[str, Sequence[ComparedRun]]  # a group: its name and its runs


@dataclass(frozen=True)
class Unit:
    """How a metric is told: times `scale`, as `name`, "points" or nothing. of: what is counted, as "sentence"."""

    scale: float = 1.0
    name: str = ""
    of: str = "example"

    def write(self, value: float, digits: int) -> str:
        return f"{self.scale * value + 0.0:,.{digits}f} {self.name}".strip()


@dataclass(frozen=True)
class Verdict:
    """One pair of groups: how far a is above b. p: corrected for the number of pairs.

    more: further seeds each that would show about this difference; None where none would, or nothing is known of seeds.
    commands: how to train the first of them, in either group.
    """

    a: str
    b: str
    metric: str
    difference: Difference
    unit: Unit
    p: float
    pairs: int
    commands: tuple[str, ...] = ()

    @property
    def clear(self) -> bool:
        return self.difference.clear and self.p <= TAIL

    @property
    def more(self) -> int | None:
        return self.difference.more_seeds(self.difference.value)

    def __str__(self) -> str:
        return f"{self._measured()}: {self._judged()}{self._further()}."

    def _digits(self) -> int:
        """Decimals that show two digits of half the interval; of points at least one."""
        half, least = self.unit.scale * (self.difference.high - self.difference.low) / 2, 1 if self.unit.name else 0
        return max(least, min(6, 1 - math.floor(math.log10(half)))) if half > 0 else 4

    def _measured(self) -> str:
        """ "gru is 0.4 points below lstm in accuracy (95 % interval -0.9 to 0.1; 3 seeds each, 25,000 examples)"."""
        found, digits = self.difference, self._digits()
        bare = Unit(self.unit.scale)
        interval = f"{PERCENT} interval {bare.write(found.low, digits)} to {bare.write(found.high, digits)}"
        one, other = found.seeds
        seeds = f"{amount(one, 'seed')} each" if one == other else f"{one} and {amount(other, 'seed')}"
        if found.value:
            shown = next((n for n in range(digits, 6) if round(self.unit.scale * found.value, n)), 6)  # not as 0
            size = f"{self.unit.write(abs(found.value), shown)} {'above' if found.value > 0 else 'below'}"
        else:
            size = "as good as"
        return (
            f"{self.a} is {size} {self.b} in {self.metric}"
            f" ({interval}; {seeds}, {amount(found.examples, self.unit.of)})"
        )

    def _judged(self) -> str:
        better = self.a if self.difference.better else self.b
        if self.clear:
            words = f"{better} is better"
        else:
            words = "no clear difference" + (f" among {self.pairs} pairs" if self.difference.clear else "")
        return f"{words} on this data, and nothing is known of other seeds" if self._one_seed else words

    @property
    def _one_seed(self) -> bool:
        return math.isnan(self.difference.of_seeds)

    def _further(self) -> str:
        """What would show more."""
        found, digits = self.difference, self._digits()
        command = "".join(f"{' and' * (k > 0)} `{command} ...`" for k, command in enumerate(self.commands))
        if self._one_seed:
            return f"; two more seeds each would tell:{command}" if command else ""
        if self.clear or not found.value:
            return ""
        if self.more is None:
            least = self.unit.write(1.96 * found.of_examples, digits)
            return f"; {amount(found.examples, self.unit.of)} show no less than about {least}, whatever the seeds"
        shown = self.unit.write(found.smallest(self.more), digits)
        what = f"; about {self.more} more {'seed' if self.more == 1 else 'seeds'} each would show {shown}"
        return f"{what}:{command}" if command else what


def judge(groups: Sequence[Named], metric: str) -> tuple[list[Verdict], list[str]]:
    """The verdicts on pairs of groups, and sentences on why there are none where there are none.

    groups: the best first. metric: of the test, as "accuracy". Of many groups the best is compared with the next ones,
    and corrected for all pairs: that it is the best was seen on the same examples.
    """
    every = len(groups) * (len(groups) - 1) // 2
    all_pairs = len(groups) <= EVERY_PAIR
    groups = groups if all_pairs else groups[: MOST + 1]
    missing: dict[str, list[ComparedRun]] = {}
    read_groups = [(name, runs, _samples(runs, metric, missing)) for name, runs in groups]
    notes = [_missing(why, runs) for why, runs in missing.items()]
    if not any(run.predictions for _, runs in groups for run in runs):
        again = (
            f"rnnzoo fit {shlex.quote(str(short(groups[0][1][0].path / 'config.yaml')))} --tracking.predictions counts"
        )
        notes = [
            f"No verdict: no run has kept what its test says of each example, {FILE}."
            f" To get an interval, run them again: `{inline(again, 300)}`."
        ]
    found = [(name, runs, samples) for name, runs, samples in read_groups if samples]
    if len(found) < 2:
        return [], notes
    header, counted = found[0][2][0][1:]
    pairs = [(k, j) for j, k in combinations(range(len(found)), 2) if all_pairs or j == 0]
    if any(
        (item.statistic, item.columns, item.mode) != (counted.statistic, counted.columns, counted.mode)
        for _, _, samples in found
        for _, _, item in samples
    ):
        return [], [*notes, f"No verdict: the runs count {inline(metric, NAME)} in different ways."]
    groups_of_samples = [[sample for sample, _, _ in samples] for _, _, samples in found]
    try:
        results = differences(groups_of_samples, pairs, counted.statistic, counted.mode)
    except ValueError as error:
        return [], [*notes, f"No verdict: {inline(error, 200)}."]
    corrected = holm([result.p for result in results], of=every)
    unit = _unit(counted, header, groups_of_samples)
    return [
        Verdict(
            a=inline(found[one][0], NAME),
            b=inline(found[other][0], NAME),
            metric=inline(metric, NAME),
            difference=result,
            unit=unit,
            p=p,
            pairs=every,
            commands=_commands([found[one][1], found[other][1]]),
        )
        for (one, other), result, p in zip(pairs, results, corrected, strict=True)
    ], notes


Read = tuple[Sample, Header, CountedMetric]


def _missing(why: str, runs: Sequence[ComparedRun]) -> str:
    """ "No verdict on imdb/a and 3 more: ..." """
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    return f"No verdict on {inline(runs[0].name, NAME)}{more}: {why}."


def _samples(runs: Sequence[ComparedRun], metric: str, missing: dict[str, list[ComparedRun]]) -> list[Read]:
    """What the runs have kept of each example; those that lack it go to `missing`, by what is wrong."""
    found = []
    for run in runs:
        if run.predictions is None:
            missing.setdefault(f"there is no {FILE}, in which a test is kept example by example", []).append(run)
            continue
        try:
            kept = read(run.predictions)
            counted = kept.header.metrics.get(metric)
            if counted is None:
                known = ", ".join(inline(name, NAME) for name in list(kept.header.metrics)[:10]) or "nothing"
                why = f"{inline(metric, NAME)} is not counted example by example, as {known} is"
                missing.setdefault(why, []).append(run)
                continue
            counts = kept.counts(metric)
            if not _of_the_test(run, metric, counted, counts):
                missing.setdefault(f"its {FILE} is of another test than its summary", []).append(run)
                continue
            rows = kept.header.scored_rows or kept.header.fingerprint
            sample = Sample(run.seed, kept.ids, counts, rows, counted.signature)
            found.append((sample, kept.header, counted))
        except RunError as error:
            missing.setdefault(inline(str(error).splitlines()[0].rstrip("."), 200), []).append(run)
    return found


def _of_the_test(run: ComparedRun, metric: str, counted: CountedMetric, counts: np.ndarray) -> bool:
    """Whether counts give what the run says that it scored; they do not where a file is left of an earlier test."""
    score, statistic = run.scores.get(f"test/{metric}"), STATISTICS.get(counted.statistic)
    if score is None or statistic is None:
        return True
    try:
        return bool(np.isclose(statistic(counts.sum(0)), score, rtol=1e-3, atol=1e-6))
    except (IndexError, ValueError):  # of so many columns it is no statistic
        return False


def _unit(counted: CountedMetric, header: Header, groups: Sequence[Sequence[Sample]]) -> Unit:
    """Shares, which count whole things, are told in points of a hundred; losses in their own unit."""
    of = header.unit if header.unit.isidentifier() else "example"
    if counted.statistic == "bleu":
        return Unit(1, "points", of)
    whole = all((sample.counts == np.floor(sample.counts)).all() for group in groups for sample in group)
    share = counted.statistic in SHARES or (counted.statistic == "ratio" and whole)
    return Unit(100, "points", of) if share else Unit(of=of)


def _commands(groups: Sequence[Sequence[ComparedRun]]) -> tuple[str, ...]:
    """How to train each group with a seed that neither has."""
    seeds = [run.seed for runs in groups for run in runs if run.seed is not None]
    seed = max(seeds, default=0) + 1
    configs = [short(runs[0].path / "config.yaml") for runs in groups]
    return tuple(inline(f"rnnzoo fit {shlex.quote(str(config))} --seed {seed}", 300) for config in configs)
