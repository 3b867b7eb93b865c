"""Numbers in tables, beside Python's own."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.data.readers.numbers import NumberFormat


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_python_writes_is_read_as_what_it_was(number):
    assert NumberFormat().read(repr(number)) == number
    assert NumberFormat(decimal=",", thousands=".").read(repr(number).replace(".", ",")) == number


@given(st.integers(-(10**15), 10**15))
def test_groups_of_digits_are_read_as_python_writes_them(number):
    for mark in ",_":
        assert NumberFormat(thousands=mark).read(format(number, mark)) == number


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_none_or_refused_with_settings_that_read_it(text):
    try:
        NumberFormat().read(text)
    except ValueError:
        for hint in NumberFormat().hints(text):
            assert " reads " in hint


@pytest.mark.parametrize("text", ["inf", "1e999", "1_000", "0x1F", "--3", "- 3", "\u0663", "1 2", "e5", ".", "1.2.3"])
def test_what_python_alone_or_nobody_takes_for_a_number_is_refused(text):
    with pytest.raises(ValueError):
        NumberFormat().read(text)


def test_blanks_between_digits_may_be_of_any_width_and_india_groups_by_two():
    assert NumberFormat(thousands=" ").read("1\u202f234\u00a0567") == 1234567
    assert NumberFormat(thousands=",").read("12,34,567") == 1234567
    with pytest.raises(ValueError):
        NumberFormat(thousands=",").read("1,2")


def test_a_number_may_be_named_that_stands_for_no_value_however_it_is_written():
    assert math.isnan(NumberFormat(na_values=[-999]).read("-999.0"))
    assert NumberFormat(na_values=["-999"]).read("-999.0") == -999


@pytest.mark.parametrize(
    "given", [{"decimal": ""}, {"decimal": "5"}, {"thousands": "."}, {"thousands": "-"}, {"units": [""]}]
)
def test_settings_that_read_nothing_are_refused(given):
    with pytest.raises(ValueError):
        NumberFormat(**given)
