"""The ranges of quantities: one table, for constructors and for recipes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo import limits, registry
from rnnzoo.data.forms import FORMS
from rnnzoo.limits import LIMITS, Limit
from rnnzoo.recipe.schema import signature
from rnnzoo.recipe.sections import TrainerOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("hidden_size", value) for value in (1, 128, 10**6)),
        *(("dropout", value) for value in (0, 0.0, 0.5, 0.999)),
        *(("lr", value) for value in (1e-300, 1, 10.0)),
        *(("teacher_forcing", value) for value in (0, 1, 0.5)),
        *(("seed", value) for value in (0, 2**32 - 1)),
        *(("weight_decay", value) for value in (0, 0.1)),
        *(("dev_fraction", value) for value in (0.01, 0.99)),
        *(("max_length", value) for value in (None, 1)),
        *(("no_such_quantity", value) for value in (-1, "any", math.nan)),
    ],
)
def test_a_value_in_its_range_is_no_problem(name, value):
    assert limits.problem(name, value) is None
    limits.check(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("hidden_size", 0, "must be a whole number in [1, 1000000], got 0"),
        ("hidden_size", -3, "must be a whole number in [1, 1000000], got -3"),
        ("hidden_size", 2.5, "must be a whole number in [1, 1000000], got 2.5"),
        ("hidden_size", 2.0, "must be a whole number in [1, 1000000], got 2.0"),
        ("hidden_size", True, "must be a whole number in [1, 1000000], got True"),
        ("hidden_size", "12", "must be a whole number in [1, 1000000], got '12'"),
        ("hidden_size", 10**9, "must be a whole number in [1, 1000000], got 1000000000"),
        ("num_layers", 1001, "must be a whole number in [1, 1000], got 1001"),
        ("batch_size", 0, "must be a whole number >= 1, got 0"),
        ("vocab_size", 4, "must be a whole number in [5, 100000000], got 4"),  # there would be specials only
        ("dropout", 1, "must be a number in [0, 1), got 1"),
        ("dropout", 1.5, "must be a number in [0, 1), got 1.5"),
        ("dropout", math.nan, "must be a number in [0, 1), got nan"),
        ("dropout", False, "must be a number in [0, 1), got False"),
        ("dev_fraction", 0, "must be a number in (0, 1), got 0"),
        ("teacher_forcing", 1.01, "must be a number in [0, 1], got 1.01"),
        ("lr", 0, "must be a number > 0, got 0"),
        ("lr", math.inf, "must be a number > 0, got inf"),
        ("lr", math.nan, "must be a number > 0, got nan"),
        ("seed", -1, "must be a whole number in [0, 4294967295], got -1"),
        ("seed", 2**32, "must be a whole number in [0, 4294967295], got 4294967296"),
    ],
)
def test_a_value_outside_is_told_with_its_range(name, value, told):
    assert limits.problem(name, value) == told
    with pytest.raises(ValueError) as error:
        limits.check(embedding_size=8, **{name: value})
    assert str(error.value) == f"{name} {told}"


@given(
    low=st.integers(-5, 5),
    high=st.integers(-5, 5) | st.just(math.inf),
    value=st.integers(-6, 6),
    open_low=st.booleans(),
    open_high=st.booleans(),
)
def test_a_limit_holds_the_numbers_between_its_ends_and_an_end_unless_it_is_open(low, high, value, open_low, open_high):
    limit = Limit(True, low, high, open_low, open_high)
    between = low < value < high or (value == low <= high and not open_low and (value < high or not open_high))
    assert limit.holds(value) == (between or (value == high >= low and not open_high and (value > low or not open_low)))
    assert Limit(False, low, high, open_low, open_high).holds(float(value)) == limit.holds(value)
    assert not limit.holds(value + 0.5)


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_no_quantity_may_be_text_a_switch_or_endless(limit):
    for value in ("1", True, math.inf, -math.inf, math.nan, [1], 1j):
        assert not limit.holds(value)


def test_every_default_of_the_house_is_within_its_limits():
    parts = [
        (registry.load(kind.plural, entry.name), kind.reserved)
        for kind in registry.KINDS.values()
        for entry in registry.entries(kind.plural)
    ]
    parts += [(form, frozenset()) for form in FORMS.values()] + [(TrainerOptions, frozenset())]
    for part, given_by_the_house in parts:
        for name, parameter in signature(part, given_by_the_house).items():
            assert limits.problem(name, parameter.default) is None, (part, name)
