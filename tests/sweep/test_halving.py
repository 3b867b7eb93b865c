"""Successive halving: how many combinations train for how long."""

import pytest

from rnnzoo.sweep.halving import rungs


@pytest.mark.parametrize(
    ("combinations", "epochs", "factor", "stages"),
    [
        (27, 27, 3, [(27, 1), (9, 3), (3, 9), (1, None)]),  # arXiv:1603.06560, table 1, s = 3, with R = 27
        (4, 9, 3, [(4, 3), (1, None)]),
        (8, 8, 2, [(8, 1), (4, 2), (2, 4), (1, None)]),
        (16, 4, 2, [(16, 1), (8, 2), (4, None)]),  # fewer stages than combinations would allow: an epoch is the least
        (2, 10, 3, [(2, None)]),
        (1, 10, 3, [(1, None)]),
    ],
)
def test_one_in_factor_goes_on_for_factor_times_as_long(combinations, epochs, factor, stages):
    assert rungs(combinations, epochs, factor) == stages


def test_a_stage_is_long_enough_to_be_validated():
    assert rungs(27, 27, 3, every=2) == [(27, 3), (9, 9), (3, None)]
