"""Means over all batches, and none left out."""

import math

import pytest
import torch

from rnnzoo.metrics import Mean, Perplexity


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
