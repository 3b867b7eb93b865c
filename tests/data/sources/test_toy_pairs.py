"""Toy pairs."""

import re

import pytest

from rnnzoo.data.sources.toy_pairs import ToyPairs


def rows(columns):
    return list(zip(*columns.values(), strict=True))


@pytest.mark.parametrize(("operation", "step"), [("copy", 1), ("reverse", -1)])
def test_the_target_is_the_source_read_forwards_or_backwards(operation, step):
    for columns in ToyPairs(operation=operation).read().values():
        assert all(target.split() == source.split()[::step] for source, target in rows(columns))


@pytest.mark.parametrize(("longest", "letters"), [(8, 10), (12, 3), (5, 26)])
def test_strings_have_the_lengths_and_letters_asked_for_and_occur_once(longest, letters):
    parts = ToyPairs(longest=longest, letters=letters).read()
    for columns in parts.values():
        assert {len(source.split()) for source in columns["source"]} == set(range(2, longest + 1))
        assert {letter for source in columns["source"] for letter in source.split()} == set(
            "abcdefghijklmnopqrstuvwxyz"[:letters]
        )
    every = [source for columns in parts.values() for source in columns["source"]]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"longest": 1}, "longest must be a whole number in [2, 1000], got 1"),
        ({"letters": 27}, "letters must be a whole number in [2, 26], got 27"),
        ({"operation": "revers"}, "no operation is named 'revers'.\n  Did you mean 'reverse'?"),
        ({"longest": 3}, "10 letters in strings of up to 3 give too few strings for examples=4000.\n"),
    ],
)
def test_pairs_that_cannot_be_made_are_refused(wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        ToyPairs(**wrong)
    assert len(str(error.value).splitlines()) <= 5
