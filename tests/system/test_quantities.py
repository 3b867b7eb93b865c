"""Quantities are written as people write them."""

import pytest

from rnnzoo.system.quantities import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (8.62, "8.6 s"), (42.3, "42 s"), (59.7, "1 min"), (125, "2 min 5 s"), (12000, "3 h 20 min")],
)
def test_a_time_is_given_in_units_that_people_use(seconds, text):
    assert duration(seconds) == text
