import pytest
import torch

from rnnzoo.batch import Field
from rnnzoo.inputs.values import Values

FIELD = Field("values", size=3)


def test_numbers_go_in_as_they_are_but_for_training():
    values = torch.randn(4, 5, 3)
    assert Values(FIELD)(values) is values
    assert Values(FIELD, shift=2).eval()(values) is values


def test_a_sequence_is_moved_by_every_distance_either_way_and_zeros_come_in():
    values = torch.zeros(600, 5, 3)
    values[:, 2, 1] = 1.0
    torch.manual_seed(0)
    moved = Values(FIELD, shift=1)(values)
    steps, features = torch.arange(5.0), torch.arange(3.0)
    places = {(float((row.sum(1) * steps).sum()), float((row.sum(0) * features).sum())) for row in moved}
    assert places == {(step, feature) for step in (1.0, 2.0, 3.0) for feature in (0.0, 1.0, 2.0)}
    assert set(moved.sum((1, 2)).tolist()) == {1.0}
    ones = Values(FIELD, shift=1)(torch.ones(600, 5, 3))
    assert set(ones.sum((1, 2)).tolist()) == {15.0, 12.0, 10.0, 8.0}  # a step, or a feature, or both have left


def test_a_shift_is_a_whole_number_from_zero():
    with pytest.raises(ValueError, match=r"shift must be a whole number in \[0, 1000\]"):
        Values(FIELD, shift=-1)
