"""Schemes of tags: what each looks like, and that one reading undoes every writing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from rnnzoo.data.encoding.spans import LETTERS, NOTATIONS, Detected, Span, breaks, detect, notation_of, read, write

SCHEMES = sorted(LETTERS)
ANY_TAGS = st.lists(st.sampled_from(["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in ("X", "Y"))]))


@st.composite
def rows_of_spans(draw):
    """Spans in order and apart, and the number of words."""
    spans, place = [], 0
    for gap, length, kind in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from("XY")))):
        spans.append(Span(kind, place + gap, place + gap + length))
        place += gap + length
    return spans, place + draw(st.integers(0, 2))


def illegal(tags, scheme):
    return sum(breaks(scheme, a, b) for a, b in zip(["O", *tags], [*tags, "O"], strict=True))


def test_the_schemes_write_the_same_spans_in_their_own_letters():
    spans = [Span("X", 0, 3), Span("X", 3, 4), Span("Y", 4, 5), Span("X", 6, 8)]
    assert write(spans, 8, "iob1") == ["I-X", "I-X", "I-X", "B-X", "I-Y", "O", "I-X", "I-X"]
    assert write(spans, 8, "iob2") == ["B-X", "I-X", "I-X", "B-X", "B-Y", "O", "B-X", "I-X"]
    assert write(spans, 8, "bioes") == ["B-X", "I-X", "E-X", "S-X", "S-Y", "O", "B-X", "E-X"]


@given(rows_of_spans(), st.sampled_from(SCHEMES))
def test_spans_that_are_written_in_any_scheme_are_read_again(row, scheme):
    spans, length = row
    assert read(write(spans, length, scheme)) == spans


@given(rows_of_spans(), st.sampled_from(SCHEMES))
def test_what_is_written_in_a_scheme_keeps_its_rules(row, scheme):
    assert illegal(write(*row, scheme), scheme) == 0


@given(ANY_TAGS, st.sampled_from(SCHEMES), st.sampled_from(SCHEMES))
def test_tags_mean_the_same_in_whatever_scheme_they_pass_through(tags, first, second):
    once = write(read(tags), len(tags), first)
    assert read(once) == read(tags)
    assert write(read(once), len(tags), second) == write(read(tags), len(tags), second)


@given(ANY_TAGS)
def test_tags_well_formed_or_not_are_read_as_conlleval_reads_them(tags):
    assert read(tags) == [Span(kind, start, last + 1) for kind, start, last in get_entities(tags)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scheme_of_rows_is_told_from_their_tags(scheme):
    rows = [write([Span("X", 0, 2), Span("X", 2, 3)], 4, scheme), ["O"], []]
    assert detect(rows) == Detected(scheme, 0)


def test_tags_that_break_the_rules_are_counted():
    assert detect([["B-X", "I-X", "O", "I-Y"], ["B-X", "B-X"]]) == Detected("iob2", 1)  # the I-Y begins its span
    assert detect([["S-X", "E-X"], ["B-X", "E-X"], ["S-Y", "O"]]) == Detected("bioes", 1)  # E-X ends nothing
    assert detect([["B-X"], ["B-X", "I-X"]]) == Detected("iob2", 0)


def test_a_mixture_has_the_scheme_that_most_of_it_keeps():
    iob1, iob2 = ["I-X", "I-X", "O", "I-Y"], ["B-X", "I-X", "O", "B-Y"]
    assert detect([iob1, iob2, iob2]) == Detected("iob2", 2)
    assert detect([iob1, iob1, iob2]) == Detected("iob1", 2)


@pytest.mark.parametrize("tags", [["NOUN", "VERB"], ["O", "O"], ["B-X", "NOUN"], ["-LRB-", "O"], ["B-", "O"], []])
def test_other_labels_are_no_spans(tags):
    assert detect([tags]) is None


ROW = ["B-PER", "I-PER", "O", "B-LOC", "O"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["b-per", "i-per", "o", "b-loc", "o"], ["B-per", "I-per", "O", "B-loc", "O"]),
        (["B_PER", "I_PER", "O", "B_LOC", "O"], ROW),
        (["PER-B", "PER-I", "O", "LOC-B", "O"], ROW),
        (["PER_B", "PER_I", "O", "LOC_B", "O"], ROW),
        (["B", "I", "O", "B", "O"], ["B-span", "I-span", "O", "B-span", "O"]),
        (["B-PER", "L-PER", "O", "U-LOC", "O"], ["B-PER", "E-PER", "O", "S-LOC", "O"]),
        (["B-PER", "M-PER", "E-PER", "W-LOC", "O"], ["B-PER", "I-PER", "E-PER", "S-LOC", "O"]),
        (ROW, ROW),
    ],
    ids=lambda tags: " ".join(tags),
)
def test_tags_of_every_notation_are_brought_to_one(written, meant):
    notation = notation_of(written)
    assert notation is not None and [NOTATIONS[notation].canonical(tag) for tag in written] == meant


@pytest.mark.parametrize(
    "tags",
    [["NOUN", "VERB"], ["O", "NOUN-B", "ADJ"], ["B", "I"], ["o"], ["O"], ["O", "I"], ["B-X", "b-X", "O"]],
    ids=str,
)
def test_tags_that_may_be_no_spans_are_left_as_they_are(tags):
    assert notation_of(tags) is None
