"""Intervals of differences: against arithmetic, and how often they cover the truth."""

import math
import subprocess
import sys

import numpy as np
import pytest
import simulate_coverage
from scipy.stats import t, ttest_ind, ttest_rel
from simulate_coverage import Setting

from rnnzoo.compare.statistics import Sample, difference, differences, holm
from rnnzoo.runs.student import t_quantile

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
    assert back.low == pytest.approx(-found.high) and difference(b, a, "ratio", "min").better


def test_a_group_and_itself_differ_by_nothing():
    found = difference(runs([0.8, 0.7]), runs([0.8, 0.7]), "ratio", "max")
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1) and not found.clear


def test_one_seed_each_is_about_examples_alone_and_as_wide_as_arithmetic_has_it():
    one, other = runs([0.8]), runs([0.7], random=np.random.default_rng(5))
    found = difference(one, other, "ratio", "max", resamples=20_000)
    apart = one[0].counts[:, 0] - other[0].counts[:, 0]
    error = apart.std(ddof=1) / math.sqrt(200)
    assert found.of_examples == pytest.approx(error, rel=0.02) and math.isnan(found.of_seeds)
    assert found.high - found.low == pytest.approx(2 * t.ppf(0.975, 199) * error, rel=0.02)
    assert found.p == pytest.approx(2 * t.sf(found.value / error, 199), rel=0.2)
    assert math.isnan(found.smallest(3)) and found.more_seeds(1.0) is None


def test_where_seeds_are_all_that_counts_the_interval_is_students():
    """Examples without any noise: what is left is a t-test of the seeds' differences."""
    values = [[0.5, 0.6, 0.8], [0.4, 0.45, 0.5]]
    a, b = (
        [Sample(seed, IDS, np.tile([value, 1.0], (200, 1))) for seed, value in enumerate(group)] for group in values
    )
    found, wanted = difference(a, b, "ratio", "max"), ttest_rel(*values)
    assert (found.low, found.high) == pytest.approx(wanted.confidence_interval(0.95), rel=1e-4)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-4)
    assert found.of_seeds == pytest.approx(np.subtract(*values).std(ddof=1))
    assert found.smallest() == pytest.approx((found.high - found.low) / 2)
    apart = difference(a, [Sample(run.seed + 9, run.ids, run.counts) for run in b], "ratio", "max")
    wanted = ttest_ind(*values)
    assert apart.paired == 0 and apart.p == pytest.approx(wanted.pvalue, rel=1e-4)
    assert (apart.low, apart.high) == pytest.approx(wanted.confidence_interval(0.95), rel=1e-4)


def test_seeds_that_both_have_are_paired_and_the_others_are_not():
    """Where no other seed differs, the variance is that of the paired ones in a sum over all."""
    values = [[0.5, 0.6, 0.7, 0.6], [0.4, 0.45, 0.5]]
    a, b = (
        [Sample(seed, IDS, np.tile([value, 1.0], (200, 1))) for seed, value in enumerate(group)] for group in values
    )
    found = difference(a, b, "ratio", "max")
    assert found.paired == 3 and found.value == pytest.approx(0.6 - 0.45)
    of_pairs = 3 * np.var(np.array(values[0][:3]) / 4 - np.array(values[1]) / 3, ddof=1)
    pooled = (3 * np.var(values[0], ddof=1) + 2 * np.var(values[1], ddof=1)) / 5
    half = math.sqrt(of_pairs * t.ppf(0.975, 2) ** 2 + pooled / 16 * t.ppf(0.975, 5) ** 2)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=1e-4)


def test_more_seeds_show_less_and_the_fewest_that_show_a_difference_are_named():
    a, b = runs([0.9, 0.8, 0.85]), runs([0.7, 0.75, 0.6], random=np.random.default_rng(1))
    found = difference(a, b, "ratio", "max")
    smaller = [found.smallest(more) for more in range(5)]
    assert smaller == sorted(smaller, reverse=True)
    wanted = (smaller[2] + smaller[1]) / 2
    assert found.more_seeds(wanted) == 2
    assert found.more_seeds(found.of_examples) is None  # which is below what examples alone let show
    for wider in np.linspace(0.1, 3, 20):
        apart = runs([0.8, 0.8 - wider / 10], random=np.random.default_rng(3))
        found = difference(apart, runs([0.6, 0.55], random=np.random.default_rng(4)), "ratio", "max")
        assert found.clear == (found.p <= 0.05)


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
    assert holm([0.01, 0.02], of=10) == pytest.approx([0.1, 0.18])


def test_several_pairs_are_as_each_by_itself():
    groups = [runs([0.9, 0.8]), runs([0.7, 0.75], random=np.random.default_rng(1)), runs([0.5], first_seed=9)]
    together = differences(groups, [(0, 1), (2, 0)], "ratio", "max")
    for found, (one, other) in zip(together, [(0, 1), (2, 0)], strict=True):
        alone = difference(groups[one], groups[other], "ratio", "max")
        assert (found.value, found.seeds, found.paired) == (alone.value, alone.seeds, alone.paired)
        assert found.low == pytest.approx(alone.low, rel=0.2)


def test_many_examples_are_resampled_in_groups_with_the_same_error():
    one, other = (runs([0.8], random=np.random.default_rng(k), examples=9000) for k in range(2))
    found = difference(one, other, "ratio", "max")
    apart = one[0].counts[:, 0] - other[0].counts[:, 0]
    assert found.of_examples == pytest.approx(apart.std() / math.sqrt(9000), rel=0.1)


def test_students_quantiles_are_near_the_tables():
    for freedom in (1, 1.5, 2, 7, 24_999):
        for tail in (0.5, 0.05, 1e-6):
            assert t_quantile(freedom, tail) == pytest.approx(t.ppf(1 - tail / 2, freedom), rel=1e-3)


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
