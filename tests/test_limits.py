"""Ranges belong to annotations; constructors and recipes are checked by the same ones."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo import limits, registry
from rnnzoo.architectures.recurrent import LSTM
from rnnzoo.cells.gru import GRUCell
from rnnzoo.data.forms import FORMS
from rnnzoo.limits import (
    Count,
    Fraction,
    Limit,
    NonNegative,
    Positive,
    Probability,
    Seed,
    Share,
    Size,
    VocabSize,
    checked,
)
from rnnzoo.recipe.schema import signature
from rnnzoo.recipe.sections import TrainerOptions


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        *((Size, value) for value in (1, 128, 10**6)),
        *((Probability, value) for value in (0, 0.0, 0.5, 0.999)),
        *((Positive, value) for value in (1e-300, 1, 10.0)),
        *((Share, value) for value in (0, 1, 0.5)),
        *((Seed, value) for value in (0, 2**32 - 1)),
        *((NonNegative, value) for value in (0, 0.1, 10**400)),
        *((Fraction, value) for value in (0.01, 0.99)),
        *((Count | None, value) for value in (None, 1)),
        *((Count | Share, value) for value in (7, 0.5)),
        *((list[Count], value) for value in ([], [1, 2])),
        *((Count | Literal["auto"], value) for value in (3, "auto")),
        *((float, value) for value in (-1, 0.5)),
        *((Any, value) for value in (-1, "any", math.nan)),
    ],
)
def test_a_value_in_its_range_is_no_violation(annotation, value):
    assert limits.violation(annotation, value) is None


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (Size, 0, "must be a whole number in [1, 1000000], got 0"),
        (Size, -3, "must be a whole number in [1, 1000000], got -3"),
        (Size, 2.5, "must be a whole number in [1, 1000000], got 2.5"),
        (Size, 2.0, "must be a whole number in [1, 1000000], got 2.0"),
        (Size, True, "must be a whole number in [1, 1000000], got True"),
        (Size, "12", "must be a whole number in [1, 1000000], got '12'"),
        (Size, None, "must be a whole number in [1, 1000000], got None"),
        (Count | None, 0, "must be a whole number >= 1 or null, got 0"),
        (Count | Share, 1.5, "must be a whole number >= 1 or a number in [0, 1], got 1.5"),
        (list[Count], [1, 0], "must be a list, each item a whole number >= 1, got [1, 0]"),
        (VocabSize, 4, "must be a whole number in [5, 100000000], got 4"),  # there would be specials only
        (Probability, 1, "must be a number in [0, 1), got 1"),
        (Probability, math.nan, "must be a number in [0, 1), got nan"),
        (Probability, False, "must be a number in [0, 1), got False"),
        (Fraction, 0, "must be a number in (0, 1), got 0"),
        (Share, 1.01, "must be a number in [0, 1], got 1.01"),
        (Positive, 0, "must be a number > 0, got 0"),
        (Positive, math.inf, "must be a number > 0, got inf"),
        (Seed, -1, "must be a whole number in [0, 4294967295], got -1"),
        (Annotated[float, Limit(high=2)], 3, "must be a number <= 2, got 3"),
    ],
)
def test_a_violation_names_the_range_and_the_value(annotation, value, message):
    assert limits.violation(annotation, value) == message


class Echo:
    @checked
    def __init__(self, size: Count, rate: float = 2.0, drop: Probability | None = None):
        self.arguments = (size, rate, drop)


class Loud(Echo):
    def __init__(self, **settings):
        super().__init__(**settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Echo(0), "Echo: size must be a whole number >= 1, got 0"),
        (lambda: Echo(1, drop=1.0), "Echo: drop must be a number in [0, 1) or null, got 1.0"),
        (lambda: Loud(size=-1), "Loud: size must be a whole number >= 1, got -1"),
        (lambda: GRUCell(3, 0), "GRUCell: hidden_size must be a whole number in [1, 1000000], got 0"),
        (lambda: LSTM(0), "LSTM: input_size must be a whole number in [1, 1000000], got 0"),
    ],
)
def test_a_checked_constructor_names_its_class_the_parameter_the_range_and_the_value(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == message


def test_a_range_may_be_written_as_a_mark_of_its_own():
    """`rate: Annotated[float, Probability]` is `rate: Probability`."""
    both = (limits.Probability, Annotated[float, limits.Probability])
    assert limits.violation(both[0], 1.5) == limits.violation(both[1], 1.5) is not None
    assert limits.has_range(both[1]) and limits.violation(both[1], 0.5) is None


def test_a_name_alone_has_no_range():
    assert Echo(1, rate=2.0).arguments == (1, 2.0, None)  # a stranger's rate is no dropout
    assert Echo(size=3, drop=0.5).arguments == (3, 2.0, 0.5)


def test_what_a_checked_constructor_cannot_take_is_refused_in_pythons_words():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'sizes'"):
        Echo(sizes=1)


@given(
    low=st.integers(-5, 5),
    high=st.integers(-5, 5) | st.just(math.inf),
    value=st.integers(-6, 6),
    open_low=st.booleans(),
    open_high=st.booleans(),
)
def test_a_limit_holds_the_numbers_between_its_ends_and_an_end_unless_it_is_open(low, high, value, open_low, open_high):
    limit = Limit(low, high, open_low, open_high)
    between = low < value < high or (value == low <= high and not open_low and (value < high or not open_high))
    assert limit.holds(value) == (between or (value == high >= low and not open_high and (value > low or not open_low)))
    assert limit.holds(float(value)) == limit.holds(value)
    assert limits.violation(Annotated[int, limit], value + 0.5)


@pytest.mark.parametrize("annotation", [Count, Size, Seed, Positive, NonNegative, Probability, Share, Fraction])
def test_no_quantity_may_be_text_a_switch_or_endless(annotation):
    for value in ("1", True, math.inf, -math.inf, math.nan, [1], 1j, None):
        assert limits.violation(annotation, value)


def test_every_default_of_rnnzoo_is_within_its_range():
    parts = [
        (registry.load(kind.plural, entry.name), kind.reserved)
        for kind in registry.KINDS.values()
        for entry in registry.entries(kind.plural)
    ]
    parts += [(form, frozenset()) for form in FORMS.values()] + [(TrainerOptions, frozenset())]
    for part, reserved in parts:
        for name, parameter in signature(part, reserved).items():
            if not parameter.required:
                assert limits.violation(parameter.annotated, parameter.default) is None, (part, name)


def test_every_mark_of_a_builtin_part_is_a_range_or_a_kind_of_part():
    def marks(annotation):
        yield from getattr(annotation, "__metadata__", ())
        for inner in get_args(annotation):
            if hasattr(inner, "__metadata__") or get_args(inner):
                yield from marks(inner)

    for kind in registry.KINDS.values():
        for entry in registry.entries(kind.plural):
            for name, parameter in signature(registry.load(kind.plural, entry.name), kind.reserved).items():
                for mark in marks(parameter.annotated):
                    assert isinstance(mark, (Limit, registry.Part)), (entry.name, name)
