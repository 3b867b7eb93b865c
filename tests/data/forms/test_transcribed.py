import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.batch import IGNORE, DataSpec
from rnnzoo.data.encoding.text import Ragged
from rnnzoo.data.forms.transcribed import TranscribedSeries, check_steps
from rnnzoo.errors import DataError
from rnnzoo.tasks.decoding.ctc import collapsed

COLUMNS = {"values": [np.zeros((2, 3)), np.ones((4, 3)), np.ones((1, 3))], "text": ["b", "a b a", ""]}


def test_a_batch_holds_the_tokens_of_each_text_without_padding_counted():
    form = TranscribedSeries()
    spec = form.fit(COLUMNS)
    batch = form.encode(COLUMNS, spec)[[0, 1, 2]]
    a, b = (spec.target.names.index(name) for name in "ab")
    assert batch.index.tolist() == [1, 0, 2]
    assert batch.target.tolist() == [[a, b, a], [b, IGNORE, IGNORE], [IGNORE] * 3]
    assert batch.target_lengths.tolist() == [3, 1, 0]


def test_a_form_made_again_from_its_stored_spec_encodes_alike():
    form = TranscribedSeries(unit="character", lowercase=False)
    columns = COLUMNS | {"text": ["B", "aB", "a"]}
    spec = form.fit(columns)
    wanted = form.encode(columns, spec)
    stored = DataSpec.from_json(json.loads(json.dumps(spec.to_json())))
    found = TranscribedSeries.from_spec(stored).encode(columns, stored)
    for one, other in zip(found.arrays(), wanted.arrays(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert form.encode({"values": columns["values"]}, spec).text is None


@given(st.lists(st.integers(1, 2), max_size=4), st.integers(1, 7))
def test_a_row_is_too_short_if_no_alignment_says_its_text(tokens, steps):
    possible = any(collapsed(path) == tokens for path in itertools.product(range(3), repeat=steps))
    text = Ragged.of(np.array(tokens), [len(tokens)])
    if possible:
        check_steps(np.array([steps]), text)
    else:
        with pytest.raises(DataError, match=f"row 1: .* steps are needed for its {len(tokens)} tokens"):
            check_steps(np.array([steps]), text)


def test_rows_that_are_too_short_are_counted_and_the_first_is_named():
    columns = {"values": [np.zeros((3, 1)), np.zeros((2, 1)), np.zeros((1, 1))], "text": ["a b a", "a a", "a b"]}
    form = TranscribedSeries()
    with pytest.raises(DataError) as error:
        form.encode(columns, form.fit(columns))
    assert "row 2: 3 steps are needed for its 2 tokens, and it has 2 (2 rows are too short)" in str(error.value)
