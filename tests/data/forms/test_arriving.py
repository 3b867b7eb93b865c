"""A text that arrives in parts has the tokens that it has as a whole."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnzoo.batch import DataSpec, Field
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.data.forms.arriving import LONGEST_TOKEN, ArrivingText
from rnnzoo.data.forms.labelled import LabelledText
from rnnzoo.errors import DataError

CORPUS = ["a new low new lower newest ΑΣ ας e\u0301 \u1100\u1161 it's ok .", "the widest low wide wider"] * 3
LETTERS = st.text(st.sampled_from("anew lostΣΑα'.\u0301\u1100\u1161\u11a8é\n\t  \u00a0😀\u200d"), max_size=12)


def arriving(unit, lowercase=True):
    field = Encoder.fit(CORPUS, 60, 1, unit, lowercase, max_length=5).field()
    spec = DataSpec("labelled_text", {"tokens": field}, Field("label", ("a", "b")))
    return ArrivingText(LabelledText(), spec)


def tokens(reader, parts):
    found = [examples for part in parts for examples in reader.take(part)]
    rest = reader.rest(final=True)
    return [
        token for examples in [*found, *([] if rest is None else [rest])] for token in examples.tokens.flat.tolist()
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(LETTERS, max_size=6))
@pytest.mark.parametrize(
    ("unit", "lowercase"),
    [("word", True), ("space", True), ("character", True), ("character", False), ("subword", True)],
)
def test_the_parts_have_the_tokens_of_the_whole(unit, lowercase, parts):
    reader = arriving(unit, lowercase)
    assert tokens(reader, parts) == tokens(reader, ["".join(parts)])
    whole = "".join(parts)
    if whole.strip():
        encoded = reader.encoder.encode([whole])[0].flat
        np.testing.assert_array_equal(tokens(reader, parts), encoded)


def test_a_token_without_an_end_is_refused_before_it_fills_the_memory():
    reader = arriving("word")
    assert [*reader.take("x" * LONGEST_TOKEN)] == []
    with pytest.raises(DataError, match="a token of more than"):
        [*reader.take("x")]
    assert reader.text == "x" * LONGEST_TOKEN


@pytest.mark.parametrize("given", [1, b"good", None, ["good"]])
def test_what_is_no_text_is_refused(given):
    with pytest.raises(DataError, match="the model reads a text, got"):
        [*arriving("word").take(given)]
