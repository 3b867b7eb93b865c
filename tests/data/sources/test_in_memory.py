"""Rows in memory are a data set like any other, while they are there."""

import pytest

from rnnzoo import testing
from rnnzoo.data.forms import FORMS
from rnnzoo.data.readers.frames import Rows
from rnnzoo.data.sources.in_memory import InMemory, held
from rnnzoo.errors import DataError

ROWS = Rows({"text": [f"text {n}" for n in range(40)], "label": [n % 2 for n in range(40)]})


class Here(InMemory):
    """The rows of this file."""

    expected_failures = {"fresh_process": "the rows are in the memory of one process"}  # noqa: RUF012

    def __init__(self) -> None:
        with held({"train": ROWS}) as key:
            super().__init__(key)


def test_rows_in_memory_keep_the_promises_of_every_data_set():
    with held({"train": ROWS}):
        report = testing.check_dataset(Here)
    assert report["labels_are_known"].held and report["identity"].held
    assert report["fresh_process"].outcome == "fails as declared"


def test_rows_are_gone_after_the_block_and_equal_rows_have_one_name():
    with held({"train": ROWS}) as first, held({"train": Rows(dict(ROWS.columns))}) as second:
        assert first == second
        sizes = {part: len(columns["text"]) for part, columns in InMemory(first).read().items()}
    assert sizes == {"train": 36, "dev": 4}
    with held({"train": ROWS, "dev": ROWS}) as other, pytest.raises(DataError, match="were given in memory"):
        assert other != first
        InMemory(first).read()


def test_every_form_that_is_given_has_the_columns_that_are_converted():
    assert set(InMemory.forms) <= FORMS.keys() and InMemory.form == InMemory.forms[0]
    assert {column for form in InMemory.forms for column in FORMS[form].columns} >= {"label", "tags"}


def test_the_last_lines_of_a_text_are_held_out_and_of_numbers_any():
    lines = Rows({"text": [str(n) for n in range(40)]})
    with held({"train": lines}) as key:
        source = InMemory(key)
        source.give("text_stream")
        assert source.read()["dev"]["text"] == ["36", "37", "38", "39"]
    numbers = Rows({"values": [[n] for n in range(40)], "target": list(range(40))})
    with held({"train": numbers}) as key:
        source = InMemory(key)
        source.give("measured_series")
        dev = source.read()["dev"]["target"]
    assert len(dev) == 4 and dev != [36, 37, 38, 39]
