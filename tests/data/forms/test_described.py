import json

import numpy as np
import pytest

from rnnzoo.batch import EOS, IGNORE, DataSpec
from rnnzoo.data.forms.described import DescribedSeries
from rnnzoo.errors import DataError

ROWS = {
    "values": [np.ones((3, 2)), np.full((1, 2), 2.0), np.zeros((2, 2))],
    "text": ["A dog barks", "a cat", "cats, dogs"],
}


def test_a_batch_has_the_texts_ids_with_an_end_and_the_texts_themselves():
    form = DescribedSeries()
    spec = form.fit(ROWS)
    batch = form.encode(ROWS, spec)[[0, 1, 2]]
    names = spec.target.names
    assert batch.index.tolist() == [0, 2, 1]
    assert batch.references == ["A dog barks", "cats, dogs", "a cat"]
    told = [[names[i] for i in row if i not in (IGNORE, EOS)] for row in batch.target.tolist()]
    assert told == [["a", "dog", "barks"], ["cats", ",", "dogs"], ["a", "cat"]]
    assert batch.target_lengths.tolist() == [4, 4, 3]
    assert [row[n - 1] for row, n in zip(batch.target.tolist(), [4, 4, 3], strict=True)] == [EOS] * 3
    assert batch.inputs["values"].shape == (3, 3, 2) and batch.lengths.tolist() == [3, 2, 1]


def test_a_form_made_again_from_its_stored_spec_reads_vectors_and_series_alike():
    spec = DescribedSeries().fit(ROWS)
    stored = DataSpec.from_json(json.loads(json.dumps(spec.to_json())))
    examples = DescribedSeries.from_spec(stored).ask(["[[1, 2]]", [[1, 2], [3, 4]]], stored)
    assert examples.lengths.tolist() == [1, 2]
    assert examples[[0, 1]].target is None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a", "b"]}, "unequal numbers of rows"),
        ({"text": ["a", None, "b"]}, "column 'text', row 2: expected text"),
        ({"values": [[[1, 2]], [[1, 2, 3]], [[1, 2]]]}, "row 2: 3 features a step, where 2 are expected"),
    ],
)
def test_rows_that_do_not_fit_are_refused(columns, message):
    form = DescribedSeries()
    spec = form.fit(ROWS)
    with pytest.raises(DataError, match=message):
        form.encode(ROWS | columns, spec)
