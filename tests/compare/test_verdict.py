"""The sentence on a pair of groups: what it says, and that it follows from what the runs have kept."""

import numpy as np
import pytest
from compared_runs import make_run

from rnnzoo.compare.comparison import compare
from rnnzoo.compare.statistics import Difference
from rnnzoo.compare.verdict import Unit, Verdict
from rnnzoo.runs import predictions
from rnnzoo.runs.predictions import Block, CountedMetric, Header, write


def keep(folder, right, metric="accuracy", statistic="ratio", mode="max", fingerprint="abc", signature=""):
    """The file of a run whose rows add `right` to what is counted, one a row."""
    counted = CountedMetric(statistic, (f"{metric}.correct", f"{metric}.total"), mode, signature)
    counts = np.stack([right, np.ones(len(right))], 1).astype(float)
    header = Header("sentiment", "example", fingerprint, {metric: counted})
    write(folder / predictions.FILE, header, Block(np.arange(len(right)), counts))


def groups(root, shares, seeds=3, examples=400, spread=0.01, **options):
    """Runs whose rows are right by chance, of each cell so many in a hundred."""
    for cell, share in shares.items():
        random = np.random.default_rng(len(cell))
        for seed in range(1, seeds + 1):
            right = random.random(examples) < share + spread * random.standard_normal()
            folder = make_run(root / "runs" / f"{cell}-{seed}", cell, seed, accuracy=float(right.mean()))
            keep(folder, right, **options)
    return compare([root / "runs"])


def test_a_clear_difference_and_none_are_told_as_such(tmp_path):
    found = groups(tmp_path, {"lstm": 0.82, "gru": 0.815, "vanilla": 0.5})
    sentences = {(v.a, v.b): str(v) for v in found.verdicts}
    assert len(sentences) == 3 and not found.notes
    clear = next(text for pair, text in sentences.items() if pair[0] == "vanilla" and pair[1] == "lstm")
    assert clear.startswith("vanilla is ") and " points below lstm in accuracy (95 % interval -" in clear
    assert "; 3 seeds each, 400 examples): lstm is better." in clear
    close = next(text for pair, text in sentences.items() if set(pair) == {"lstm", "gru"})
    assert "no clear difference" in close and "is better" not in close


def test_points_are_hundreds_of_a_share(tmp_path):
    (verdict,) = groups(tmp_path, {"lstm": 0.8, "gru": 0.5}).verdicts
    assert verdict.unit.scale == 100 and verdict.difference.value == pytest.approx(-0.3, abs=0.1)
    assert f"{-100 * verdict.difference.value:.1f} points below lstm" in str(verdict)


def test_with_one_seed_each_the_sentence_says_what_it_does_not_know(tmp_path):
    (verdict,) = groups(tmp_path, {"lstm": 0.8, "gru": 0.5}, seeds=1).verdicts
    assert "1 seed each" in str(verdict) and "lstm is better on this data, and nothing is known of other seeds" in str(
        verdict
    )
    assert verdict.commands[0].endswith("config.yaml --seed 2") and f"`{verdict.commands[0]} ...`" in str(verdict)


POINTS = Unit(100, "points")


def verdict(metric="accuracy", unit=POINTS, **changes):
    facts = {"value": -0.004, "low": -0.009, "high": 0.001, "p": 0.1, "a": 0.88, "b": 0.884, "mode": "max"}
    facts |= {"seeds": (2, 2), "paired": 0, "examples": 25_000, "of_examples": 0.001, "of_seeds": 0.003}
    found = Difference(**{**facts, **changes})
    return Verdict("gru", "lstm", metric, found, unit, found.p, 1, ("rnnzoo fit a --seed 3", "rnnzoo fit b --seed 3"))


def test_the_sentence_is_as_it_is_promised():
    found = verdict()
    assert str(found) == (
        "gru is 0.40 points below lstm in accuracy (95 % interval -0.90 to 0.10; 2 seeds each, 25,000 examples): "
        f"no clear difference; about {found.more} more seeds each would show "
        f"{100 * found.difference.smallest(found.more):.2f} points: `rnnzoo fit a --seed 3 ...` and "
        "`rnnzoo fit b --seed 3 ...`."
    )
    assert found.difference.smallest(found.more) <= 0.004 < found.difference.smallest(found.more - 1)


def test_a_loss_is_told_in_its_own_unit_and_less_is_better():
    found = verdict("perplexity", Unit(of="window"), value=4.1, low=3.0, high=5.2, p=1e-4, mode="min", seeds=(2, 3))
    assert str(found) == (
        "gru is 4.1 above lstm in perplexity (95 % interval 3.0 to 5.2; 2 and 3 seeds, 25,000 windows): lstm is better."
    )


def test_where_no_number_of_seeds_would_show_it_the_sentence_says_so():
    found = verdict(value=0.0001, low=-0.03, high=0.0302, of_examples=0.01)
    assert found.more is None and "25,000 examples show no less than about 2.0 points, whatever the seeds" in str(found)


def test_a_pair_that_is_clear_alone_and_not_among_many_is_no_verdict():
    found = verdict(value=-0.004, low=-0.0075, high=-0.0005, p=0.02)
    assert Verdict(**{**vars(found), "p": 0.2, "pairs": 10}).clear is False
    assert "no clear difference among 10 pairs" in str(Verdict(**{**vars(found), "p": 0.2, "pairs": 10}))


def test_what_lacks_for_a_verdict_is_told(tmp_path):
    for cell in ("lstm", "gru"):
        make_run(tmp_path / "runs" / cell, cell)
    found = compare([tmp_path / "runs"])
    assert not found.verdicts and found.notes[-1].startswith("No verdict: no run has kept")
    (tmp_path / "runs" / "lstm" / predictions.FILE).write_bytes(b"PAR1 and then nothing")
    found = compare([tmp_path / "runs"])
    assert not found.verdicts and any("not a sound parquet file" in note for note in found.notes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fingerprint": "other"}, "fingerprints differ"),
        ({"signature": "vocabulary 1"}, "counted in two ways"),
        ({"statistic": "root_ratio"}, "in different ways"),
        ({"metric": "f2"}, "accuracy is not counted example by example, as f2 is"),
    ],
)
def test_what_is_counted_otherwise_gives_no_verdict(tmp_path, changes, told):
    for cell, how in (("lstm", {}), ("gru", changes)):
        keep(make_run(tmp_path / "runs" / cell, cell, accuracy=1.0), np.ones(50), **how)
    found = compare([tmp_path / "runs"])
    assert not found.verdicts and any(told in note for note in found.notes), found.notes


def test_results_that_do_not_give_the_score_of_the_summary_are_of_another_test(tmp_path):
    for cell, right in {"lstm": 60, "gru": 40}.items():
        keep(make_run(tmp_path / "runs" / cell, cell, accuracy=0.6), np.arange(100) < right)
    found = compare([tmp_path / "runs"])
    assert not found.verdicts and found.notes == [
        "No verdict on gru: its predictions.parquet is of another test than its summary."
    ]


def test_of_very_few_examples_nothing_is_said(tmp_path):
    for cell, right in {"lstm": 1.0, "gru": 0.0}.items():
        keep(make_run(tmp_path / "runs" / cell, cell, accuracy=right), np.array([right]))
    found = compare([tmp_path / "runs"])
    assert not found.verdicts and "1 example of the test: too few to tell" in found.notes[-1]


def test_of_many_groups_the_best_is_compared_with_the_next_ones(tmp_path):
    for number in range(8):
        folder = make_run(tmp_path / "runs" / str(number), accuracy=number / 10, model__head__dropout=number / 10)
        keep(folder, np.arange(100) < 10 * number)
    found = compare([tmp_path / "runs"])
    assert len(found.verdicts) == 7 and {v.b for v in found.verdicts} == {found.groups[0].name}
    assert {v.pairs for v in found.verdicts} == {28}
    assert all(v.p >= v.difference.p for v in found.verdicts)
