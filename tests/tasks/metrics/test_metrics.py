"""Means over all batches, and none left out; a measure of what is not there is NaN."""

import math

import pytest
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.metrics.error_rate import TokenErrorRate
from rnnzoo.tasks.metrics.sums import AUROC, Mean, Perplexity, PerStep
from rnnzoo.tasks.sentiment import Sentiment


def test_batches_count_by_their_weights():
    mean, perplexity = Mean(), Perplexity()
    for metric in (mean, perplexity):
        metric.update(torch.tensor(2.0), weight=3)
        metric.update(torch.tensor(4.0), weight=1)
    assert mean.compute().item() == pytest.approx(2.5)
    assert perplexity.compute().item() == pytest.approx(math.exp(2.5))


@pytest.mark.parametrize("metric", [Mean, Perplexity])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_batch_that_is_not_a_number_makes_the_result_none(metric, place):
    measured = metric()
    for batch in range(3):
        measured.update(torch.tensor(math.nan if batch == place else 2.0), weight=35)
    assert measured.compute().isnan()


@pytest.mark.filterwarnings("error")
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 4), min_size=4, max_size=4)), min_size=1))
@settings(deadline=None, max_examples=60)
def test_auroc_is_the_mean_of_scikit_learns_over_the_classes_that_have_one(rows):
    target, scores = (torch.tensor(side) for side in zip(*rows, strict=True))
    metric = AUROC(4)
    for cut in (slice(0, 3), slice(3, None)):
        metric.update(scores[cut].float(), target[cut])
    areas = [
        sklearn.metrics.roc_auc_score(target == k, scores[:, k])
        for k in range(4)
        if 0 < (target == k).sum() < len(target)
    ]
    wanted = sum(areas) / len(areas) if areas else math.nan
    assert metric.compute().item() == pytest.approx(wanted, nan_ok=True)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
@settings(deadline=None, max_examples=60)
def test_f1_and_accuracy_of_labels_are_scikit_learns_whatever_classes_are_absent(rows):
    target, told = (torch.tensor(side) for side in zip(*rows, strict=True))
    spec = DataSpec("labelled_text", {"tokens": Field("tokens", ("a",))}, Field("label", tuple("wxyz")))
    task = Sentiment(spec)
    metrics = task.metrics()
    output = Output(torch.nn.functional.one_hot(told, 4).float())
    task.update(metrics, output, Batch({}, torch.ones(len(rows)), target), torch.tensor(0.0), None)
    found = {name: value.item() for name, value in metrics.compute().items()}
    assert found["f1"] == pytest.approx(sklearn.metrics.f1_score(target, told, average="macro"))
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(target, told))


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_a_measure_with_nothing_to_count_is_not_a_number():
    errors, steps = TokenErrorRate(), PerStep()
    errors.update([[1, 2]], [[]])
    steps.update(torch.tensor(2.0), 0)
    for metric in (Mean(), Perplexity(), errors, steps, AUROC(3)):
        assert metric.compute().isnan()
