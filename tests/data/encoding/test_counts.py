"""A vocabulary of rows that come some at a time is that of all rows together."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.data.encoding.counts import Counts
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.data.forms import FORMS

WORDS = st.lists(st.sampled_from("abcdefghij"), max_size=60)
TEXTS = ["The dog, it's late!", "a Dog in the rain", "", "late rain and a late dog", "rain", "the end of the day"]
ROWS = {
    "labelled_text": {"text": TEXTS, "label": list("xyxyyx")},
    "multilabelled_text": {"text": TEXTS, "labels": [["x"], [], ["y", "x"], ["y"], [], ["x"]]},
    "text_stream": {"text": TEXTS},
    "masked_text": {"text": TEXTS},
    "text_pairs": {"source": TEXTS, "target": TEXTS[::-1]},
    "tagged_text": {
        "words": [["Ann", "sees", "New", "York"], ["Ben", "sleeps"], ["York"], ["it", "rains", "in", "Ann"]] * 2,
        "tags": [["B-P", "O", "B-L", "I-L"], ["B-P", "O"], ["I-L"], ["O", "O", "O", "O"]] * 2,
    },
}
SETTINGS = [
    ("labelled_text", {"vocab_size": 9}),
    ("labelled_text", {"unit": "auto"}),
    ("labelled_text", {"unit": "character", "lowercase": False}),
    ("multilabelled_text", {}),
    ("text_stream", {"min_freq": 2}),
    ("masked_text", {}),
    ("text_pairs", {}),
    ("text_pairs", {"unit": "subword", "vocab_size": 40}),
    ("text_pairs", {"joint_vocabulary": True}),
    ("text_pairs", {"joint_vocabulary": True, "unit": "subword", "vocab_size": 40}),
    ("tagged_text", {"max_length": 3}),
    ("tagged_text", {"characters": True, "case": True, "scheme": "bioes"}),
]


def cut(columns, size):
    rows = len(next(iter(columns.values())))
    for start in range(0, rows, size):
        yield {name: values[start : start + size] for name, values in columns.items()}


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=lambda value: str(value))
def test_a_form_fitted_chunk_by_chunk_is_fitted_to_all_rows(name, settings, size):
    form = FORMS[name](**settings)
    assert form.fit_chunks(lambda: cut(ROWS[name], size)) == form.fit(ROWS[name])


def test_chinese_that_comes_in_chunks_is_read_by_characters():
    rows = {"text": ["今天天气很好", "我们去公园", "tea"], "label": ["x", "y", "x"]}
    form = FORMS["labelled_text"](unit="auto")
    spec = form.fit_chunks(lambda: cut(rows, 1))
    assert spec == form.fit(rows) and spec.inputs["tokens"].options["unit"] == "character"


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if form.unstreamable is None])
def test_every_form_that_streams_is_tried_here(name):
    assert name in ROWS


@given(WORDS, st.integers(2, 8))
def test_a_count_is_too_small_by_what_is_said_at_most_and_never_too_large(words, most):
    counts = Counts(most)
    for word in words:
        counts.add([word], [1])
    assert len(counts.of) <= most
    for word in set(words):
        assert words.count(word) - counts.short <= counts.of.get(word, 0) <= words.count(word)
    if len(set(words)) <= most:
        assert counts.short == 0


def test_the_frequent_words_of_a_text_with_too_many_words_are_found_and_the_loss_is_reported(caplog):
    rows = [f"often{number % 3} rare{number}" for number in range(1000)]
    with caplog.at_level(logging.WARNING, "rnnzoo"):
        encoder = Encoder.fit_chunks(lambda: ([row] for row in rows), 7, 1, "space", most=50)
    assert encoder.names[4:] == ("often0", "often1", "often2")
    assert "more than 50 distinct tokens" in caplog.text
