import json
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.batch import EOS, PAD, SPECIALS, UNK, Field
from rnnzoo.data.encoding.text import WORD, Encoder, Ragged, numbered, splitter
from rnnzoo.errors import DataError

ROWS = st.lists(st.lists(st.integers(4, 99), max_size=12), min_size=1, max_size=8)


def ragged(rows):
    return Ragged.of(np.array([token for row in rows for token in row]), [len(row) for row in rows])


def listed(rows):
    return [rows[place].tolist() for place in range(len(rows))]


def encoder(*texts, vocab_size=100, min_freq=1, **options):
    return Encoder.fit(list(texts), vocab_size, min_freq, **options)


def ids(encoder, *texts):
    return listed(encoder.encode(list(texts))[0])


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's fine, isn't it?!", ["it's", "fine", ",", "isn't", "it", "?", "!"]),
        ("don''t 'quoted'", ["don", "'", "'", "t", "'", "quoted", "'"]),
        ("3.5 stars", ["3", ".", "5", "stars"]),
        ("", []),
        (" \t\n\u2028 ", []),
        ("a\0b", ["a", "\0", "b"]),
        ("ÉTÉ 映画 😀", ["été", "映画", "😀"]),
        ("\ud800", ["\ud800"]),
    ],
)
def test_a_word_keeps_its_inner_apostrophe_and_marks_stand_alone(text, tokens):
    assert list(splitter("word", lowercase=True)(text)) == tokens


def test_space_keeps_what_was_tokenised_already_and_character_keeps_blanks():
    assert list(splitter("space", lowercase=True)("It\u2019s")) == ["it\u2019s"]
    assert list(splitter("word", lowercase=True)("It\u2019s")) == ["it's"]
    assert list(splitter("space", lowercase=False)("the <unk> u.s. N")) == ["the", "<unk>", "u.s.", "N"]
    assert list(splitter("character", lowercase=False)("a b")) == ["a", " ", "b"]


def test_composed_and_decomposed_letters_are_one_token():
    assert list(splitter("word", True)("cafe\u0301")) == list(splitter("word", True)("caf\u00e9")) == ["caf\u00e9"]


def test_numbers_are_given_in_order_of_first_appearance():
    rows, tokens = numbered([["b", "a", "b"], [], ["c", "a"]])
    assert listed(rows) == [[0, 1, 0], [], [2, 1]]
    assert tokens == ["b", "a", "c"]


def test_the_vocabulary_is_ordered_by_frequency_then_by_alphabet():
    assert encoder("c c c b a", "b a z").names == (*SPECIALS, "c", "a", "b", "z")


def test_vocab_size_counts_the_special_tokens():
    assert encoder("c c c b b a", vocab_size=6).names == (*SPECIALS, "c", "b")


def test_min_freq_drops_what_is_rarer():
    assert encoder("c c c b b a", min_freq=2).names == (*SPECIALS, "c", "b")


def test_a_vocabulary_that_would_be_empty_is_refused():
    with pytest.raises(DataError, match="occurs 3 times or more") as error:
        encoder("a a b", min_freq=3)
    assert "occurs 2 times" in str(error.value)
    with pytest.raises(DataError, match="no token of the 2 training rows"):
        encoder("", "  ")


def test_a_word_outside_the_vocabulary_is_unknown():
    assert ids(encoder("a b"), "a x b") == [[4, UNK, 5]]


def test_a_blank_text_is_one_unknown_token():
    assert ids(encoder("a"), "", "a", " \n", "a a", "") == [[UNK], [4], [UNK], [4, 4], [UNK]]


def test_written_specials_are_those_tokens_and_padding_cannot_be_written():
    made = encoder("a <unk> <eos> <pad> a <unk>", unit="space")
    assert made.names == (*SPECIALS, "a")
    assert ids(made, "a <unk> <eos> <pad> <bos>") == [[4, UNK, EOS, UNK, UNK]]


def test_words_that_are_given_stay_whole():
    made = Encoder.fit([["New York", "U.S."]], 100, 1, lowercase=True)
    assert made.names[4:] == ("new york", "u.s.")
    assert ids(made, ["u.s.", "NEW YORK", "U"]) == [[5, 4, UNK]]


def test_the_settings_survive_json():
    made = encoder("A b", lowercase=False, max_length=3, truncate="tail")
    field = made.field()
    stored = json.loads(json.dumps({"names": field.names, "options": field.options}))
    again = Encoder.from_field(Field("tokens", tuple(stored["names"]), options=stored["options"]))
    assert again == made


def test_decoding_stops_at_the_end_token():
    made = encoder("the cat sat")
    assert made.decode([*ids(made, "the cat")[0], EOS, 4]) == "the cat"
    letters = encoder("abc", unit="character")
    assert letters.decode(ids(letters, "cab")[0]) == "cab"


def test_a_million_tokens_are_cut_to_max_length():
    text = "word " * 999_999 + "end"
    rows, cut = encoder("word end", max_length=400, truncate="head_tail").encode([text, "word"])
    assert rows.lengths.tolist() == [400, 1]
    assert cut == 1
    assert rows[0][-1] == 4  # "end" comes before "word" in the alphabet


@pytest.mark.parametrize(("how", "kept"), [("head", [1, 2, 3]), ("tail", [3, 4, 5]), ("head_tail", [1, 2, 5])])
def test_truncation_keeps_the_named_end(how, kept):
    assert listed(ragged([[1, 2, 3, 4, 5], [], [6, 7], [8, 9, 10]]).truncated(3, how)) == [kept, [], [6, 7], [8, 9, 10]]


@given(ROWS, st.integers(1, 6))
def test_truncation_is_slicing(rows, most):
    head = (most + 1) // 2
    for how, sliced in {
        "head": lambda row: row[:most],
        "tail": lambda row: row[-most:],
        "head_tail": lambda row: row if len(row) <= most else row[:head] + row[len(row) - (most - head) :],
    }.items():
        assert listed(ragged(rows).truncated(most, how)) == [sliced(row) for row in rows]


@given(ROWS)
def test_filling_and_ending_rows_is_list_arithmetic(rows):
    assert listed(ragged(rows).filled(UNK)) == [row or [UNK] for row in rows]
    assert listed(ragged(rows).with_last(EOS)) == [[*row, EOS] for row in rows]


@given(ROWS)
def test_padding_only_adds_padding_after_the_end(rows):
    padded = ragged(rows).padded(range(len(rows)))
    longest = max(map(len, rows))
    assert padded.dtype == np.int64
    assert padded.tolist() == [row + [PAD] * (longest - len(row)) for row in rows]


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_any_text_gets_a_row_of_ids_inside_the_vocabulary(texts):
    made = encoder("some words", "a")
    rows, _ = made.encode(texts)
    assert len(rows) == len(texts)
    assert rows.lengths.min() >= 1
    assert rows.flat.min() >= UNK and rows.flat.max() < len(made.names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("मुझे यह फिल्म", ["मुझे", "यह", "फिल्म"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("x\u0331y e\u0301", ["x\u0331y", "é"]),
        ("I don’t, it\u02bcs", ["I", "don't", ",", "it's"]),
        ("3.14 can_t a'b'c", ["3", ".", "14", "can_t", "a'b", "'", "c"]),
    ],
)
def test_words_keep_their_vowel_signs_accents_and_apostrophes(text, words):
    assert splitter("word", lowercase=False)(text) == words


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_text_is_cut_as_by_pythons_own_words(text):
    assert splitter("word", lowercase=False)(text) == re.findall(r"\w+(?:'\w+)?|[^\w\s]", text)


def test_a_script_without_blanks_is_reported_before_training(caplog):
    Encoder.fit(["我爱这部电影", "这部电影不好"], 100, 1)
    assert "100 % of the training tokens are phrases" in caplog.text and "unit: character" in caplog.text


NASTY = [
    "It\u2019s  fine, isn't it?!\u00a0\u2028yes\u0085no\x1cup",
    "\u092f\u0939 \u092b\u093f\u0932\u094d\u092e \u092c\u0939\u0941\u0924",
    "\U0001f469\u200d\U0001f680 e\u0301 \u0301x ...a--b_c",
    "",
    "   ",
    "\u8fd9\u90e8\u7535\u5f71 ok",
]


@pytest.mark.parametrize("quotes", ["straight", "keep"])
def test_words_are_the_same_whether_texts_are_cut_whole_or_piece_by_piece(quotes):
    encoder = Encoder.fit([*NASTY, "a"], 1000, 1, quotes=quotes)
    ragged, tokens = encoder.numbered(NASTY)
    found = [[tokens[number] for number in ragged[row]] for row in range(len(NASTY))]
    assert found == [list(row) for row in encoder.tokens(NASTY)]
    assert not any(WORD.findall(chr(code)) for code in range(sys.maxunicode + 1) if chr(code).isspace())


CHINESE = ["\u8fd9\u90e8\u7535\u5f71\u5f88\u597d", "\u670d\u52a1\u5f88\u5dee"]


def test_a_script_without_blanks_is_read_by_characters_where_the_unit_is_left_to_the_text(caplog):
    encoder = Encoder.fit(CHINESE, 1000, 1, unit="auto")
    assert encoder.unit == "character" and set(encoder.names[4:]) == set("".join(CHINESE))
    assert "read by characters (unit: auto)" in caplog.text
    assert (encoder.encode(["\u7535\u5f71\u597d"])[0].flat >= 4).all()  # a new sentence of known characters


def test_a_script_with_blanks_is_read_by_words_where_the_unit_is_left_to_the_text(caplog):
    texts = ["the soup was fine", "\u092f\u0939 \u092b\u093f\u0932\u094d\u092e"]
    assert Encoder.fit(texts, 1000, 1, unit="auto") == Encoder.fit(texts, 1000, 1, unit="word")
    assert not caplog.text
