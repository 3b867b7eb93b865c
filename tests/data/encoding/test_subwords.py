"""Subwords against the algorithm of the paper, done by hand."""

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.batch import SPECIALS, UNK, DataSpec
from rnnzoo.data.encoding.subwords import Subwords, joined, train
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.data.forms.pairs import TextPairs
from rnnzoo.errors import DataError

TEXTS = ["low low low low low", "lower lower", "newest newest newest newest newest newest", "widest widest widest"]
PAIRS = {"source": ["a red house.", "the houses, red!"], "target": ["ein rotes Haus.", "die Häuser, rot!"]}


def test_each_merge_joins_one_of_the_most_frequent_pairs():
    _, merges = train(TEXTS, 40, 1)
    words = Counter(tuple("▁" + word) for text in TEXTS for word in text.split())
    for merge in merges:
        pairs = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        chosen = tuple(merge.split(" "))
        assert pairs[chosen] == max(pairs.values())
        after = Counter()
        for word, count in words.items():
            pieces = list(word)
            place = 0
            while place < len(pieces) - 1:
                if (pieces[place], pieces[place + 1]) == chosen:
                    pieces[place : place + 2] = ["".join(chosen)]
                place += 1
            after[tuple(pieces)] += count
        words = after


def test_the_same_texts_give_the_same_vocabulary_with_the_special_tokens_first():
    names, merges = train(TEXTS, 20, 1)
    assert (names, merges) == train(list(TEXTS), 20, 1)
    assert names[: len(SPECIALS)] == SPECIALS and len(names) == len(set(names)) == 20


def test_a_pair_rarer_than_min_freq_is_not_merged():
    _, merges = train(TEXTS, 1000, 4)
    assert "e s" in merges and "d est" not in merges  # 9 times and 3 times


@given(st.text(alphabet="lowernstid ", max_size=40))
def test_pieces_put_together_are_the_text_without_blanks_at_its_ends(text):
    names, merges = train([*TEXTS, "l o w e r n s t i d"], 30, 1)
    assert joined(Subwords(names, merges).pieces(text)) == text.strip()


def test_a_tab_is_a_character_that_the_training_text_did_not_have():
    names, merges = train(TEXTS, 40, 1)
    assert Subwords(names, merges).pieces("low\tlow")[:2] == ["▁low", SPECIALS[UNK]]


def test_a_text_of_unknown_characters_is_unknown_tokens_and_not_an_error():
    encoder = Encoder.fit(TEXTS, 20, 1, unit="subword")
    ids, _ = encoder.encode(["漢字"])
    assert set(ids[0].tolist()) - {encoder.ids["▁"]} == {UNK}


def test_the_specification_alone_encodes_a_text_and_writes_it_again():
    form = TextPairs(vocab_size=60, unit="subword", joint_vocabulary=True)
    spec = form.fit(PAIRS)
    kept = DataSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert kept.inputs["tokens"].names == kept.target.names
    batch = TextPairs.from_spec(kept).encode(PAIRS, kept)[[0, 1]]
    wanted = form.encode(PAIRS, spec)[[0, 1]]
    assert batch.inputs["tokens"].equal(wanted.inputs["tokens"]) and batch.target.equal(wanted.target)
    written = [Encoder.from_field(kept.target).decode(row) for row in batch.target.tolist()]
    assert written == [text.lower() for text in batch.references]


def test_merges_that_do_not_fit_the_vocabulary_are_refused():
    with pytest.raises(ValueError, match="the merges do not fit the vocabulary"):
        Subwords([*SPECIALS, "a"], ["a b"])


def test_texts_without_a_character_have_no_subwords():
    with pytest.raises(DataError, match="none of the 2 training rows has a character"):
        Encoder.fit(["", ""], 20, 1, unit="subword")


def test_all_characters_are_kept_however_small_the_vocabulary():
    names, merges = train(["abcdef"], 5, 1)
    assert not merges and set("abcdef") < set(names)
