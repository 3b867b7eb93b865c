import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.batch import DataSpec
from rnnzoo.data.forms import FORMS
from rnnzoo.data.forms.series import LabelledSeries, MeasuredSeries
from rnnzoo.errors import DataError

LABELLED = {"values": [[[1, 2]], [[3, 4], [5, 6], [7, 8]], [[9, 0], [1, 2]]], "label": ["low", "high", "low"]}
MEASURED = {"values": [[0.5], [0.25, 0.75]], "target": [0.5, 1.0]}


def fitted(form, columns):
    spec = form.fit(columns)
    return spec, form.encode(columns, spec)


def refused(form, columns, **known):
    with pytest.raises(DataError) as error:
        form.encode(columns, form.fit(known or columns))
    return str(error.value)


def test_a_batch_holds_its_series_longest_first_with_zeros_past_their_ends():
    spec, examples = fitted(LabelledSeries(), LABELLED)
    batch = examples[[0, 1, 2]]
    assert batch.inputs["values"].tolist() == [
        [[3, 4], [5, 6], [7, 8]],
        [[9, 0], [1, 2], [0, 0]],
        [[1, 2], [0, 0], [0, 0]],
    ]
    assert batch.inputs["values"].dtype == torch.float32
    assert (batch.lengths.tolist(), batch.index.tolist()) == ([3, 2, 1], [1, 2, 0])
    assert [spec.labels[label] for label in batch.target] == ["high", "low", "low"]


def test_the_spec_tells_the_features_of_a_step_and_the_numbers_of_a_target():
    spec = LabelledSeries().fit(LABELLED)
    assert (spec.inputs["values"].size, spec.labels) == (2, ("high", "low"))
    assert MeasuredSeries().fit(MEASURED).target.size == 1
    assert MeasuredSeries().fit({"values": [[1]], "target": [[1, 2, 3]]}).target.size == 3


def test_a_row_of_plain_numbers_has_one_feature_a_step_and_a_target_of_one_number_one_column():
    _, examples = fitted(MeasuredSeries(), MEASURED)
    batch = examples[[0, 1]]
    assert batch.inputs["values"].tolist() == [[[0.25], [0.75]], [[0.5], [0.0]]]
    assert batch.target.tolist() == [[1.0], [0.5]] and batch.target.dtype == torch.float32


@pytest.mark.parametrize(("form", "columns"), [(LabelledSeries, LABELLED), (MeasuredSeries, MEASURED)])
def test_a_form_made_again_from_its_stored_spec_encodes_alike(form, columns):
    spec, examples = fitted(form(), columns)
    stored = DataSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert stored == spec
    again = FORMS[stored.form].from_spec(stored).encode(columns, stored)
    for own, other in zip(examples.arrays(), again.arrays(), strict=True):
        np.testing.assert_array_equal(own, other)


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=30), features=st.integers(1, 3), size=st.integers(1, 8))
def test_every_number_of_every_series_is_in_one_batch_at_its_place(lengths, features, size):
    rng = np.random.default_rng(0)
    rows = [rng.standard_normal((length, features)).astype(np.float32) for length in lengths]
    form = MeasuredSeries(batch_size=size)
    _, examples = fitted(form, {"values": rows, "target": lengths})
    seen = {}
    for batch in map(examples.collate, form.batches(examples, training=True)):
        assert batch.lengths.tolist() == sorted(batch.lengths.tolist(), reverse=True)
        for values, length, row in zip(batch.inputs["values"], batch.lengths, batch.index, strict=True):
            np.testing.assert_array_equal(values[:length], rows[row])
            assert not values[length:].any()
            seen[int(row)] = int(length)
    assert seen == dict(enumerate(lengths))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([[1.0], [math.nan]], "row 2: a number is missing"),
        ([[1.0], [None]], "row 2: a number is missing"),
        ([[1.0], [1e300]], "row 2: a number is missing, infinite"),
        ([[1.0], []], "row 2: expected (time, features), at least one of each, got (0, 1)"),
        ([[1.0], 2.0], "row 2: expected (time, features), at least one of each, got ()"),
        ([[1.0], [[1.0, 2.0]]], "row 2: 2 features a step, where 1 are expected"),
        ([[1.0], [[1.0], [2.0, 3.0]]], "row 2: expected numbers, got [[1.0], [2.0, 3.0]]"),
        ([[1.0], "words"], "row 2: expected numbers, got 'words'"),
    ],
)
def test_what_is_no_series_is_refused_with_its_row(values, told):
    message = refused(MeasuredSeries(), {"values": values, "target": [0, 0]})
    assert message.startswith("column 'values', ") and told in message


def test_targets_that_are_not_alike_are_refused_with_their_row():
    values = [[1.0], [2.0]]
    assert "'target', row 2: 2 numbers, where 1 are" in refused(
        MeasuredSeries(), {"values": values, "target": [1, [1, 2]]}
    )
    assert "'target', row 1: a number is missing" in refused(
        MeasuredSeries(), {"values": values, "target": [math.inf, 1]}
    )
    strange = {**LABELLED, "label": ["low", "high", "middle"]}
    assert "no label 'middle'" in refused(LabelledSeries(), strange, **LABELLED)


def test_a_series_is_asked_about_as_an_array_or_as_json():
    form = MeasuredSeries()
    spec = form.fit({"values": [[[1.0, 2.0]]], "target": [0.0]})
    examples = form.ask([np.ones((3, 2)), "[[1, 0.5]]"], spec)
    assert examples.lengths.tolist() == [3, 1] and examples.target is None
    assert examples[[1]].inputs["values"].tolist() == [[[1.0, 0.5]]]
    with pytest.raises(DataError, match="series 2: expected numbers as JSON, got 'not bad'"):
        form.ask(["[[1, 2]]", "not bad"], spec)


@pytest.mark.parametrize("form", [LabelledSeries, MeasuredSeries])
@pytest.mark.parametrize("name", ["batch_size", "batch_tokens", "eval_batch_size"])
def test_sizes_are_whole_numbers_of_at_least_one(form, name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        form(**{name: 0})
