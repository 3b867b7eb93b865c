"""Toy tags."""

from collections import Counter, defaultdict

import pytest

from rnnzoo.data.sources.toy_tags import ToyTags


def rows(columns):
    return list(zip(*columns.values(), strict=True))


@pytest.fixture(scope="module")
def tagged():
    return ToyTags().read()


def test_every_word_has_one_of_nine_tags(tagged):
    tags = {tag for columns in tagged.values() for _, tags in rows(columns) for tag in tags}
    assert tags == {"DET", "PRON", "NOUN", "VERB", "AUX", "ADJ", "ADV", "ADP", "PART"}
    assert all(len(words) == len(tags) for columns in tagged.values() for words, tags in rows(columns))


def test_the_words_up_to_a_word_settle_its_tag(tagged):
    tags, often = defaultdict(set), Counter()
    for columns in tagged.values():
        for words, own in rows(columns):
            for end, tag in enumerate(own, start=1):
                tags[tuple(words[:end])].add(tag)
                often[tuple(words[:end])] += 1
    assert all(len(found) == 1 for found in tags.values())
    assert sum(count > 1 for count in often.values()) > 1000  # so that this says something


def test_the_most_frequent_tag_of_each_word_is_often_wrong(tagged):
    counts = defaultdict(Counter)
    for words, tags in rows(tagged["train"]):
        for word, tag in zip(words, tags, strict=True):
            counts[word][tag] += 1
    asked = [pair for words, tags in rows(tagged["test"]) for pair in zip(words, tags, strict=True)]
    assert sum(counts[word].most_common(1)[0][0] == tag for word, tag in asked) / len(asked) < 0.85
    assert set(counts["can"]) == {"AUX", "NOUN", "VERB"}


def test_sentences_have_4_to_15_words_and_occur_once(tagged):
    sentences = [tuple(words) for columns in tagged.values() for words in columns["words"]]
    assert {len(words) for words in sentences} == set(range(4, 16))
    assert len(set(sentences)) == len(sentences)
