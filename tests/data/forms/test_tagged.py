"""Tagged words: their letters, shapes and schemes, and what is refused."""

import json
import re

import numpy as np
import pytest
import torch

from rnnzoo.batch import IGNORE, PAD, SPECIALS, UNK, DataSpec
from rnnzoo.data.encoding import spans, word_features
from rnnzoo.data.forms.tagged import TaggedText
from rnnzoo.errors import DataError

ROWS = {
    "words": [["John", "Smith", "lives", "in", "New", "York", "."], ["U.S.", "wins"], ["john", "wins"]],
    "tags": [["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC", "O"], ["B-LOC", "O"], ["B-PER", "O"]],
}


def both(**options):
    form = TaggedText(**options)
    return form, form.fit(ROWS)


@pytest.mark.parametrize(
    ("word", "shape"),
    [
        ("John", "Xx"),
        ("U.S.", "X.X."),
        ("1990s", "dx"),
        ("McCoy", "XxXx"),
        ("3.5-inch", "d.d-x"),
        ("été", "x"),
        ("", ""),
    ],
)
def test_a_shape_is_the_kinds_of_letters_in_order(word, shape):
    assert word_features.shape(word) == shape


def test_letters_and_shapes_are_those_before_lower_casing():
    form, spec = both(lowercase=True, characters=True, case=True)
    batch = form.encode(ROWS, spec).collate([0, 1, 2])
    assert batch.lengths.tolist() == [7, 2, 2] and batch.index.tolist() == [0, 1, 2]
    tokens, letters, case = (batch.inputs[name] for name in ("tokens", "characters", "case"))
    assert tokens[0, 0] == tokens[2, 0]  # john
    assert case[0, 0] != case[2, 0]
    written = spec.inputs["characters"].names
    for row, words in enumerate(ROWS["words"]):
        for place, word in enumerate(words):
            found = "".join(written[k] if k != UNK else "?" for k in letters[row, place].tolist() if k != PAD)
            assert len(found) == len(word) and all(a == b or a == "?" for a, b in zip(found, word, strict=True))
            assert spec.inputs["case"].names[case[row, place]] == word_features.shape(word)
    assert not letters[1:, 2:].any() and not case[1:, 2:].any()


def test_a_batch_has_as_many_letters_as_its_longest_word():
    form, spec = both(characters=True)
    examples = form.encode(ROWS, spec)
    assert examples.collate([1]).inputs["characters"].shape == (1, 2, 4)
    long = form.encode({"words": [["x" * 500]]}, spec).collate([0]).inputs["characters"]
    assert long.shape == (1, 1, word_features.MAX_LETTERS)


def test_inputs_that_are_not_asked_for_are_not_there():
    form, spec = both()
    assert set(spec.inputs) == {"tokens"} == set(form.encode(ROWS, spec).collate([0]).inputs)


def test_the_data_keep_their_description_through_json():
    _, spec = both(characters=True, case=True, scheme="bioes")
    assert DataSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_words_are_counted():
    _, spec = both(lowercase=True)
    field = spec.inputs["tokens"]
    found = dict(zip(field.names, field.counts, strict=True))
    assert found["john"] == found["wins"] == 2 and found["york"] == 1 and found[SPECIALS[UNK]] == 0


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("bioes", ["B-PER", "E-PER", "O", "O", "B-LOC", "E-LOC", "O"]),
        ("iob1", ["I-PER", "I-PER", "O", "O", "I-LOC", "I-LOC", "O"]),
        (None, ROWS["tags"][0]),
    ],
)
def test_tags_are_brought_to_the_scheme_asked_for(scheme, tags):
    form, spec = both(scheme=scheme)
    examples = form.encode(ROWS, spec)
    assert [spec.labels[tag] for tag in examples.target[0]] == tags
    changed = {"bioes": 4, "iob1": 4, None: 0}[scheme]  # two ends and two singles; each first word
    assert examples.notes == {"scheme": "iob2", "illegal_tags": 0, "converted_tags": changed}
    assert spec.target.options == {"scheme": scheme or "iob2"}


def test_a_part_in_another_scheme_is_brought_to_the_one_of_training():
    form, spec = both()
    other = form.encode({"words": [["a", "b", "c"]], "tags": [["I-PER", "B-PER", "O"]]}, spec)
    assert [spec.labels[tag] for tag in other.target[0]] == ["B-PER", "B-PER", "O"]
    assert other.notes["scheme"] == "iob1"


def test_a_tag_that_is_no_spans_among_those_that_are_is_warned_of(caplog):
    with caplog.at_level("WARNING"):
        spec = TaggedText().fit({"words": [["a", "b", "c"]], "tags": [["B-X", "b-X", "O"]]})
    assert spec.labels == ("B-X", "O", "b-X") and not spec.target.options
    assert "tags such as 'B-X' look like parts of spans, but 'b-X' is no tag of a span" in caplog.text


def test_tags_of_another_notation_are_spans_in_every_part_and_that_is_said(caplog):
    form = TaggedText(scheme="bilou")
    train = {"words": [["a", "b", "c", "d"]], "tags": [["B-PER", "L-PER", "O", "U-LOC"]]}
    spec = form.fit(train)
    assert spec.target.options["scheme"] == "bioes" and "read as spans, written in BILOU, as in B-PER" in caplog.text
    dev = form.encode({"words": [["a", "b"]], "tags": [["U-LOC", "O"]]}, spec)
    assert [spec.labels[tag] for tag in dev.target[0]] == ["S-LOC", "O"]


@pytest.mark.parametrize(("scheme", "letters"), [("iob1", "IB"), ("iob2", "IB"), ("bioes", "IEBS")])
def test_each_letter_of_a_scheme_is_one_label_and_neighbours_of_a_type_stay_apart(scheme, letters):
    form = TaggedText(scheme=scheme)
    rows = {"words": [["a", "b", "c", "d"]], "tags": [["B-X", "B-X", "I-X", "B-Y"]]}
    spec = form.fit(rows)
    assert spec.labels == ("O", *(f"{letter}-{kind}" for kind in "XY" for letter in letters))
    target = [spec.labels[tag] for tag in form.encode(rows, spec).target[0]]
    assert spans.read(target) == [("X", 0, 1), ("X", 1, 3), ("Y", 3, 4)]


def test_a_type_may_have_spans_of_any_length_whatever_lengths_training_has():
    form, spec = both(scheme="bioes")
    form.encode({"words": [["a"] * 3], "tags": [["B-PER", "I-PER", "I-PER"]]}, spec)


def test_tags_that_break_the_rules_are_read_as_conlleval_reads_them_counted_and_warned_of(caplog):
    form, spec = both()
    with caplog.at_level("WARNING"):
        examples = form.encode({"words": [["a", "b"], ["c"]], "tags": [["O", "I-PER"], ["B-LOC"]]}, spec)
    assert [spec.labels[tag] for tag in examples.target[0]] == ["O", "B-PER"]
    assert examples.notes == {"scheme": "iob2", "illegal_tags": 1, "converted_tags": 1}
    assert "1 tags break the rules of their scheme, iob2" in caplog.text


def test_a_scheme_for_tags_that_are_no_spans_is_refused():
    with pytest.raises(DataError, match="scheme is bioes, and 'NOUN' is no tag of a span"):
        TaggedText(scheme="bioes").fit({"words": [["a", "b"]], "tags": [["NOUN", "VERB"]]})


def test_a_type_that_training_has_not_is_refused_with_its_row():
    form, spec = both()
    with pytest.raises(DataError, match=r"column 'tags', row 2: the training split has no label 'B-ORG'"):
        form.encode({"words": [["a"], ["b"]], "tags": [["O"], ["B-ORG"]]}, spec)


def test_a_single_tag_is_refused():
    with pytest.raises(DataError, match="one label only, 'O'"):
        TaggedText().fit({"words": [["a", "b"]], "tags": [["O", "O"]]})


def test_an_empty_sentence_is_one_unknown_word_without_letters_or_a_tag():
    form, spec = both(characters=True, case=True)
    batch = form.encode({"words": [[]], "tags": [[]]}, spec).collate([0])
    assert batch.inputs["tokens"].tolist() == [[UNK]] and batch.target.tolist() == [[IGNORE]]
    assert batch.inputs["characters"].tolist() == [[[PAD]]] and batch.inputs["case"].tolist() == [[PAD]]


def test_a_sentence_beyond_the_limit_is_cut_with_all_that_belongs_to_it():
    form, spec = both(max_length=3, characters=True, case=True)
    examples = form.encode(ROWS, spec)
    batch = examples.collate([0])
    assert examples.truncated == 1 and batch.lengths.tolist() == [3]
    assert {tensor.shape[1] for tensor in batch.inputs.values()} == {3} == {batch.target.shape[1]}


def test_typed_words_lose_the_punctuation_that_makes_them_unknown_and_no_other():
    form, spec = both(lowercase=True, characters=True, case=True)
    examples = form.ask(["(John lives in the U.S.!)", "", "..."], spec)
    assert examples.echoed(0) == {"words": ["(", "John", "lives", "in", "the", "U.S.", "!", ")"]}
    assert examples.echoed(1) == {"words": [], "tags": [], "spans": []}
    assert examples.echoed(2)["words"] == [".", ".", "."]
    assert form.ask(["!" * 10**6], spec).echoed(0) == {"words": ["!" * 10**6]}


def test_examples_of_equal_rows_are_equal_and_show_what_else_they_hold():
    plain, looked = (both(characters=wanted)[0] for wanted in (False, True))
    count = [len(form.encode(ROWS, form.fit(ROWS)).arrays()) for form in (plain, looked)]
    assert count[0] < count[1]
    once, again = (looked.encode(ROWS, looked.fit(ROWS)).arrays() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_every_row_of_looks_is_gathered_from_its_word():
    form, spec = both(characters=True)
    examples = form.encode(ROWS, spec)
    together = examples.collate([0, 1, 2]).inputs["characters"]
    alone = examples.collate([1]).inputs["characters"]
    assert torch.equal(together[1, :2, : alone.shape[2]], alone[0])
    assert re.fullmatch(r"int64", str(together.dtype).split(".")[1])
