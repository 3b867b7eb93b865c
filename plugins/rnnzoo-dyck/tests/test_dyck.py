"""The contract of every data set, and the tags by another way: striking out pairs."""

import re

from rnnzoo_dyck import PAIRS, Dyck

from rnnzoo.testing import dataset_tests

test_dyck_keeps_the_contract = dataset_tests("dyck")
PAIR = re.compile("|".join(re.escape("".join(pair)) for pair in PAIRS))
CLOSING = dict(PAIRS)


def struck(text: str) -> str:
    """What is left when neighbours that are a pair are struck out for as long as there are any."""
    while PAIR.search(text):
        text = PAIR.sub("", text)
    return text


def test_every_string_is_well_nested_and_each_tag_closes_what_is_still_open():
    for columns in Dyck(40, kinds=4).read().values():
        for words, tags in zip(columns["words"], columns["tags"], strict=True):
            assert not struck("".join(words)) and len(words) % 2 == 0
            for place, tag in enumerate(tags, start=1):
                left = struck("".join(words[:place]))
                assert len(left) <= 4 and (CLOSING[left[-1]] if left else "none") == tag


def test_the_same_bracket_has_each_tag_so_that_a_word_alone_does_not_tell_it():
    train = Dyck(100).read()["train"]
    told = {pair for words, tags in zip(*train.values(), strict=True) for pair in zip(words, tags, strict=True)}
    assert {tag for word, tag in told if word == ")"} == {")", "]", "}", "none"}
