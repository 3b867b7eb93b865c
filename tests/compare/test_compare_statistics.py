"""Intervals of differences: against arithmetic, and how often they cover the truth."""

import math
import subprocess
import sys

import numpy as np
import pytest
import simulate_coverage
from simulate_coverage import Setting

from rnnzoo.compare.statistics import Sample, difference, holm, t_quantile

IDS = np.arange(200)


def runs(shares, first_seed=0, random=None, examples=200, **facts):
    """A run for each share of right answers, drawn example by example."""
    random = random or np.random.default_rng(0)
    rows = [np.stack([random.random(examples) < share, np.ones(examples)], -1).astype(float) for share in shares]
    return [Sample(first_seed + k, np.arange(examples), counts, **facts) for k, counts in enumerate(rows)]


def test_the_difference_is_that_of_the_means():
    a, b = runs([0.9, 0.8, 0.85]), runs([0.7, 0.75, 0.6], random=np.random.default_rng(1))
    found = difference(a, b, "ratio", "max")
    means = [np.mean([run.counts[:, 0].mean() for run in group]) for group in (a, b)]
    assert found.a == pytest.approx(means[0]) and found.value == pytest.approx(means[0] - means[1])
    assert found.low < found.value < found.high and found.better and found.seeds == (3, 3) and found.paired == 3
    assert difference(a, b, "ratio", "max") == found
    back = difference(b, a, "ratio", "max")
    assert back.value == pytest.approx(-found.value) and not back.better
    assert back.low == pytest.approx(-found.high, rel=0.05) and difference(b, a, "ratio", "min").better


def test_a_group_and_itself_differ_by_nothing():
    found = difference(runs([0.8, 0.7]), runs([0.8, 0.7]), "ratio", "max")
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1) and not found.clear


def test_one_seed_each_is_about_examples_alone_and_as_wide_as_arithmetic_has_it():
    one, other = runs([0.8]), runs([0.7], random=np.random.default_rng(5))
    found = difference(one, other, "ratio", "max", resamples=4000)
    apart = one[0].counts[:, 0] - other[0].counts[:, 0]
    error = apart.std(ddof=1) / math.sqrt(200)
    assert found.of_examples == pytest.approx(error, rel=0.05) and math.isnan(found.of_seeds)
    assert found.high - found.low == pytest.approx(2 * 1.97 * error, rel=0.06)
    assert math.isnan(found.smallest(3)) and found.more_seeds(1.0) is None


def test_where_seeds_are_all_that_counts_the_interval_is_students():
    """Examples without any noise: what is left is a t-test of the seeds' differences."""
    values = [[0.5, 0.6, 0.8], [0.4, 0.45, 0.5]]
    a, b = (
        [Sample(seed, IDS, np.tile([value, 1.0], (200, 1))) for seed, value in enumerate(group)] for group in values
    )
    found = difference(a, b, "ratio", "max", resamples=4000)
    apart = np.subtract(*values)
    half = t_quantile(2) * apart.std(ddof=1) / math.sqrt(3)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.05)
    assert found.of_seeds == pytest.approx(apart.std(ddof=1)) and found.smallest() == pytest.approx(half)
    unpaired = difference(a, [Sample(run.seed + 9, run.ids, run.counts) for run in b], "ratio", "max", resamples=4000)
    pooled = math.sqrt((np.var(values[0], ddof=1) + np.var(values[1], ddof=1)) / 3)
    assert unpaired.paired == 0
    assert (unpaired.high - unpaired.low) / 2 == pytest.approx(t_quantile(4) * pooled, rel=0.05)


def test_more_seeds_show_less_and_the_fewest_that_show_a_difference_are_named():
    a, b = runs([0.9, 0.8, 0.85]), runs([0.7, 0.75, 0.6], random=np.random.default_rng(1))
    found = difference(a, b, "ratio", "max")
    smaller = [found.smallest(more) for more in range(5)]
    assert smaller == sorted(smaller, reverse=True)
    wanted = (smaller[2] + smaller[1]) / 2
    assert found.more_seeds(wanted) == 2
    assert found.more_seeds(found.of_examples) is None  # which is below what examples alone let show


def test_seeds_of_one_group_stand_in_for_those_of_the_other():
    a, b = runs([0.9, 0.6, 0.75]), runs([0.7], random=np.random.default_rng(1))
    found = difference(a, b, "ratio", "max")
    assert found.paired == 0 and found.seeds == (3, 1) and found.of_seeds > 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fingerprint": "other"}, "fingerprints differ"),
        ({"signature": "tok:13a"}, "counted in two ways: '' and 'tok:13a'"),
        ({"ids": IDS + 1}, "different examples"),
        ({"counts": np.ones((200, 3))}, "count different things"),
        ({"counts": np.full((200, 2), np.nan)}, "no finite score"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, told):
    (run,) = runs([0.5])
    with pytest.raises(ValueError, match=told):
        difference(runs([0.5, 0.6]), [Sample(**{**vars(run), **changes})], "ratio", "max")


def test_an_unknown_statistic_and_an_empty_group_are_refused():
    with pytest.raises(ValueError, match="median"):
        difference(runs([0.5]), runs([0.5]), "median", "max")
    with pytest.raises(ValueError, match="no run"):
        difference(runs([0.5]), [], "ratio", "max")


def test_holm_corrects_as_its_paper_says():
    """4, 3, 2, 1 times the p-values from the smallest on, none below one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1]) and holm([]) == []


def test_students_quantiles_are_near_the_tables():
    table = {1: 12.706, 4: 2.776, 10: 2.228, 12: 2.179, 20: 2.086, 60: 2.000, 1000: 1.962}
    assert all(t_quantile(freedom) == pytest.approx(value, rel=0.01) for freedom, value in table.items())


def test_it_needs_numpy_and_no_torch():
    code = (
        "import sys, rnnzoo.compare.statistics; print(sorted({'torch', 'scipy', 'pandas', 'pyarrow'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [
        Setting("accuracy", (1, 1), 0.1),
        Setting("accuracy", (3, 3), 0.4),
        Setting("f1", (2, 2), 0.1, gap=0.0),
        Setting("perplexity", (5, 5), 0.1),
    ],
)
def test_the_interval_covers_the_truth_in_19_of_20_cases(setting):
    """Of 500 the share has a standard error of 1 %; `python tests/simulate_coverage.py` is exact."""
    assert 0.92 <= simulate_coverage.share_covered(setting, 500) <= 0.985
