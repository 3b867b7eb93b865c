"""Rows in memory are a data set like any other, while they are there."""

import pytest

from rnnzoo import testing
from rnnzoo.data.forms import FORMS
from rnnzoo.data.readers.frames import Rows
from rnnzoo.data.sources import in_memory
from rnnzoo.data.sources.in_memory import InMemory, InMemoryText, held
from rnnzoo.errors import DataError

ROWS = Rows({"text": [f"text {n}" for n in range(40)], "label": [n % 2 for n in range(40)]})


class Here(InMemoryText):
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
        sizes = {part: len(columns["text"]) for part, columns in InMemoryText(first).read().items()}
    assert sizes == {"train": 36, "dev": 4}
    with held({"train": ROWS, "dev": ROWS}) as other, pytest.raises(DataError, match="were given in memory"):
        assert other != first
        InMemoryText(first).read()


def test_a_form_has_at_most_one_data_set_in_memory_named_after_it():
    classes = [cls for cls in vars(in_memory).values() if isinstance(cls, type) and InMemory in cls.__bases__]
    assert len({cls.form for cls in classes}) == len(classes) and {cls.form for cls in classes} <= FORMS.keys()
