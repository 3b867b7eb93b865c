import importlib
import inspect
import json
import math
import pkgutil
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.batch import EOS, IGNORE, PAD, UNK, DataSpec
from rnnzoo.data import forms
from rnnzoo.data.base import Form, Source
from rnnzoo.data.forms import FORMS, LabelledText, TaggedText, TextPairs, TextStream
from rnnzoo.errors import DataError

REVIEWS = {"text": ["good film", "a bad , bad film", "bad", ""], "label": ["pos", "neg", "neg", "pos"]}
TAGGED = {"words": [["Anna", "sings"], ["go"], []], "tags": [["NAME", "VERB"], ["VERB"], []]}
PAIRS = {"source": ["one two", "three", "two two two"], "target": ["1 2", "3", "2 2 2"]}


def fitted(form, columns):
    spec = form.fit(columns)
    return spec, form.encode(columns, spec)


def words(spec, row):
    names = spec.inputs["tokens"].names
    return [names[number] for number in row if number != PAD]


def test_every_form_is_listed_under_its_name():
    assert {name: form.name for name, form in FORMS.items()} == {name: name for name in FORMS}


@pytest.mark.parametrize("form", [LabelledText, TaggedText, TextStream, TextPairs])
@pytest.mark.parametrize("value", [0, -3, 2.5, True])
@pytest.mark.parametrize("name", ["batch_size", "vocab_size", "min_freq"])
def test_sizes_are_whole_numbers_of_at_least_one(form, name, value):
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        form(**{name: value})


@pytest.mark.parametrize(
    ("form", "columns"),
    [
        (LabelledText(max_length=3, truncate="tail", lowercase=False), REVIEWS),
        (LabelledText(unit="character"), REVIEWS),
        (TaggedText(lowercase=True), TAGGED),
        (TextStream(unit="character", lowercase=True), {"text": ["To be", "or not"]}),
        (TextPairs(max_length=2), PAIRS),
    ],
)
def test_a_form_made_again_from_its_stored_spec_encodes_alike(form, columns):
    spec, examples = fitted(form, columns)
    stored = DataSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert stored == spec
    again = FORMS[stored.form].from_spec(stored).encode(columns, stored)
    for own, other in zip(examples.arrays(), again.arrays(), strict=True):
        np.testing.assert_array_equal(own, other)


def test_a_labelled_batch_holds_its_rows_longest_first_and_says_which():
    spec, examples = fitted(LabelledText(), REVIEWS)
    batch = examples[[0, 1, 3]]
    assert batch.index.tolist() == [1, 0, 3]
    assert batch.lengths.tolist() == [5, 2, 1]
    assert words(spec, batch.inputs["tokens"][0]) == ["a", "bad", ",", "bad", "film"]
    assert words(spec, batch.inputs["tokens"][1]) == ["good", "film"]
    assert batch.inputs["tokens"][2].tolist() == [UNK] + [PAD] * 4
    assert [spec.labels[label] for label in batch.target] == ["neg", "pos", "pos"]
    assert batch.inputs["tokens"].dtype == batch.target.dtype == batch.lengths.dtype == torch.int64
    assert batch.tokens == 8


def test_prediction_does_without_labels_and_keeps_every_row():
    form = LabelledText()
    spec = form.fit(REVIEWS)
    examples = LabelledText.from_spec(spec).encode({"text": ["unseen words only", "", "film"]}, spec)
    assert len(examples) == 3
    batch = examples[range(3)]
    assert batch.target is None
    assert sorted(batch.index.tolist()) == [0, 1, 2]
    assert examples.unknown_share == 4 / 5


def test_cut_texts_are_counted():
    _, examples = fitted(LabelledText(max_length=2), REVIEWS)
    assert examples.truncated == 1
    assert examples.lengths.max() == 2


def test_a_label_that_training_has_not_is_refused_with_its_row():
    form = LabelledText()
    spec = form.fit(REVIEWS)
    with pytest.raises(DataError, match="row 2: the training split has no label 'Neg'") as error:
        form.encode({"text": ["a", "b"], "label": ["neg", "Neg"]}, spec)
    assert "Known labels: neg, pos" in str(error.value)


def test_one_label_only_is_refused():
    with pytest.raises(DataError, match="one label only, 'pos'"):
        LabelledText().fit({"text": ["a", "b"], "label": ["pos", "pos"]})


def test_a_missing_column_is_told_with_those_found():
    with pytest.raises(DataError, match="column 'label' is missing") as error:
        LabelledText().fit({"text": ["a"], "sentiment": ["pos"]})
    assert "Found: text, sentiment" in str(error.value)


def test_unequal_columns_are_refused():
    with pytest.raises(DataError, match="text 2, label 1"):
        LabelledText().fit({"text": ["a", "b"], "label": ["pos"]})


def test_a_value_that_is_no_text_is_refused_with_its_row():
    with pytest.raises(DataError, match="column 'text', row 2: expected text, got None"):
        LabelledText().fit({"text": ["a", None], "label": ["pos", "neg"]})


def test_every_word_has_its_tag_and_padding_is_ignored():
    spec, examples = fitted(TaggedText(), TAGGED)
    batch = examples[[0, 1, 2]]
    name, verb = (spec.labels.index(label) for label in ("NAME", "VERB"))
    assert batch.target.tolist() == [[name, verb], [verb, IGNORE], [IGNORE, IGNORE]]
    assert batch.lengths.tolist() == [2, 1, 1]
    assert batch.target_lengths is None


def test_cutting_a_tagged_text_cuts_words_and_tags_alike():
    spec, examples = fitted(TaggedText(max_length=1), TAGGED)
    batch = examples[[0]]
    assert words(spec, batch.inputs["tokens"][0]) == ["Anna"]
    assert [spec.labels[label] for label in batch.target[0]] == ["NAME"]
    assert examples.truncated == 1


def test_a_word_without_a_tag_is_refused_with_its_row():
    with pytest.raises(DataError, match="row 2: 2 words and 1 tags"):
        TaggedText().fit({"words": [["a"], ["b", "c"]], "tags": [["X"], ["Y"]]})
    with pytest.raises(DataError, match="column 'words', row 1: expected a list of words, got 'a b'"):
        TaggedText().fit({"words": ["a b"], "tags": [["X", "Y"]]})


def test_an_unknown_tag_is_refused_with_the_row_of_its_text():
    form = TaggedText()
    spec = form.fit(TAGGED)
    with pytest.raises(DataError, match="row 3: the training split has no label 'NOUN'"):
        form.encode({"words": [["a", "b"], [], ["c"]], "tags": [["VERB", "NAME"], [], ["NOUN"]]}, spec)


def test_a_stream_ends_each_line_and_a_blank_line_is_its_end_alone():
    spec, examples = fitted(TextStream(), {"text": ["the cat", "", "the <unk>"]})
    (window,) = TextStream(batch_size=1).batches(examples, training=False)
    batch = examples[window]
    the, cat = (spec.inputs["tokens"].names.index(word) for word in ("the", "cat"))
    assert batch.inputs["tokens"].tolist() == [[the, cat, EOS, EOS, the, UNK]]
    assert batch.target.tolist() == [[cat, EOS, EOS, the, UNK, EOS]]
    assert batch.fresh


@given(st.integers(2, 80), st.integers(1, 7), st.integers(1, 9))
def test_a_stream_predicts_every_token_but_the_first_exactly_once_from_the_one_before(tokens, columns, steps):
    form = TextStream(batch_size=columns, tbptt_steps=steps, unit="character")
    text = "".join(chr(ord("a") + place % 26) for place in range(tokens - 1))
    _, examples = fitted(form, {"text": [text]})
    pairs = []
    for window in form.batches(examples, training=False):
        batch = examples[window]
        for row, length in enumerate(batch.lengths.tolist()):
            pairs += zip(
                batch.inputs["tokens"][row, :length].tolist(), batch.target[row, :length].tolist(), strict=True
            )
            assert (batch.target[row, length:] == IGNORE).all()
    ids = examples.ids.tolist()
    assert len(ids) == tokens
    assert sorted(pairs) == sorted(pairwise(ids))


def test_the_rows_of_a_stream_go_on_from_window_to_window():
    form = TextStream(batch_size=2, tbptt_steps=3, unit="character")
    spec, examples = fitted(form, {"text": ["abcdefghijklmnopq"]})
    batches = [examples[window] for window in form.batches(examples, training=True)]
    assert [batch.fresh for batch in batches] == [True, False, False]
    names = spec.inputs["tokens"].names
    rows = [
        "".join(names[number] for batch in batches for number in batch.inputs["tokens"][row, : batch.lengths[row]])
        for row in (0, 1)
    ]
    assert rows == ["abcdefghi", "jklmnopq"]
    assert [batch.lengths.tolist() for batch in batches] == [[3, 3], [3, 3], [3, 2]]


def test_a_pair_ends_its_target_and_is_sorted_by_its_source():
    spec, examples = fitted(TextPairs(), PAIRS)
    batch = examples[[0, 1, 2]]
    assert batch.index.tolist() == [2, 0, 1]
    assert batch.lengths.tolist() == [3, 2, 1]
    assert batch.target_lengths.tolist() == [4, 3, 2]
    one, two, three = (spec.target.names.index(word) for word in "123")
    assert batch.target.tolist() == [
        [two, two, two, EOS],
        [one, two, EOS, IGNORE],
        [three, EOS, IGNORE, IGNORE],
    ]


def test_a_blank_target_is_its_end_alone():
    form = TextPairs()
    spec = form.fit(PAIRS)
    batch = form.encode({"source": ["one"], "target": [""]}, spec)[[0]]
    assert batch.target.tolist() == [[EOS]]
    assert batch.target_lengths.tolist() == [1]


def test_a_target_that_was_cut_does_not_end_there_and_its_pair_is_counted_once():
    spec, examples = fitted(TextPairs(max_length=2), PAIRS)
    assert examples.truncated == 1
    batch = examples[[0, 2]]  # two words each, and three
    assert batch.lengths.tolist() == [2, 2]
    one, two = (spec.target.names.index(word) for word in "12")
    assert batch.target.tolist() == [[one, two, EOS], [two, two, IGNORE]]
    assert batch.target_lengths.tolist() == [3, 2]


def test_a_source_can_be_encoded_without_its_target():
    spec = TextPairs().fit(PAIRS)
    batch = TextPairs.from_spec(spec).encode({"source": ["two three"]}, spec)[[0]]
    assert batch.target is None and batch.target_lengths is None
    assert words(spec, batch.inputs["tokens"][0]) == ["two", "three"]


def test_the_token_cap_counts_the_longer_side_of_a_pair():
    columns = {"source": ["a"] * 8, "target": ["b " * 9] * 8}
    form = TextPairs(batch_tokens=20)
    _, examples = fitted(form, columns)
    assert {len(rows) for rows in form.batches(examples, training=True)} == {2}  # ten steps a row, <eos> counted


def test_training_and_evaluation_have_batch_sizes_of_their_own():
    form = LabelledText(batch_size=1, eval_batch_size=3)
    _, examples = fitted(form, REVIEWS)
    assert [len(form.batches(examples, training=training)) for training in (True, False)] == [4, math.ceil(4 / 3)]


def test_a_source_documents_the_columns_of_every_form():
    table = inspect.getdoc(Source).partition("fixes the columns:\n\n")[2].partition("\n\n")[0]
    documented = {}
    for line in table.splitlines():
        name = re.match(r"    ([a-z_]+) +", line)
        if name:
            documented[name[1]] = []
            line = line[name.end() :]
        documented[list(documented)[-1]] += re.findall(r"\b([a-z]+): ", line)
    assert documented == {name: list(form.columns) for name, form in FORMS.items()}


def test_every_form_with_a_name_is_in_the_table_of_forms():
    modules = [
        importlib.import_module(f"{forms.__name__}.{found.name}") for found in pkgutil.iter_modules(forms.__path__)
    ]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    assert {cls for cls in classes if issubclass(cls, Form) and "name" in vars(cls)} == {*FORMS.values()}
