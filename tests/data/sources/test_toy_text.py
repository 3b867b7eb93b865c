"""Toy text."""

import math
import re
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from rnnzoo.data.sources.toy_text import ToyText


@pytest.fixture(scope="module")
def lines():
    return {part: columns["text"] for part, columns in ToyText().read().items()}


def test_the_probabilities_of_the_next_word_sum_to_one(lines):
    for line in lines["test"][:100]:
        words = line.split()
        for end in range(len(words) + 1):
            assert sum(ToyText().next_words(" ".join(words[:end])).values()) == pytest.approx(1)


def test_the_ideal_perplexity_is_that_of_the_next_words_probabilities(lines):
    nats = [
        -math.log(ToyText().next_words(" ".join(words[:end]))[word])
        for words in ([*line.split(), "<eos>"] for line in lines["test"][:100])
        for end, word in enumerate(words)
    ]
    assert ToyText().ideal_perplexity(lines["test"][:100]) == pytest.approx(math.exp(sum(nats) / len(nats)))


def test_words_follow_as_often_as_the_grammar_says(lines):
    ended = [f"{line} <eos>" for line in lines["train"]]
    for text in ("", "the ", "a ", "some ", "the dogs ", "the dog near the "):
        followed = [line.removeprefix(text) for line in ended if line.startswith(text)]
        counts = Counter(rest.split()[0] for rest in followed)
        chances = ToyText().next_words(text)
        assert set(counts) <= set(chances)
        for word, p in chances.items():
            assert abs(counts[word] - p * len(followed)) <= 4.5 * math.sqrt(p * (1 - p) * len(followed)) + 1


def test_the_best_model_of_neighbouring_words_is_far_from_ideal(lines):
    """Fitted to the test split itself, no bigram model has a lower perplexity there than its relative frequencies."""
    counts = defaultdict(Counter)
    for line in lines["test"]:
        words = ["<bos>", *line.split(), "<eos>"]
        for before, word in pairwise(words):
            counts[before][word] += 1
    nats = sum(-n * math.log(n / after.total()) for after in counts.values() for n in after.values())
    best_bigram = math.exp(nats / sum(after.total() for after in counts.values()))
    assert best_bigram > 1.2 * ToyText().ideal_perplexity(lines["test"])


def test_the_verb_agrees_with_the_subject_across_other_nouns(lines):
    one = {"sings", "reads", "laughs", "writes", "sleeps", "runs", "eats", "hides", "sees", "likes", "follows"}
    many = {"sing", "read", "laugh", "write", "sleep", "run", "eat", "hide", "see", "like", "follow"}
    for line in lines["train"]:
        first, words = line.split()[0], set(line.split())
        assert bool(words & one) != bool(words & many)
        assert (first, bool(words & many)) not in {("a", True), ("some", False)}
    dogs = [line for line in lines["train"] if re.match(r"the (\w+ )?dogs\b", line)]
    assert any(re.search(r"\b(cat|singer|teachers|sailors)\b.* sleep\b", line) for line in dogs)
    assert not any({"sing", "sleeps"} & set(line.split()) for line in dogs)


def test_the_text_has_few_words(lines):
    assert len({word for part in lines.values() for line in part for word in line.split()}) <= 60


@pytest.mark.parametrize("text", ["dogs", "the dogs sleeps", "the dogs <eos>", "the xyz"])
def test_a_text_that_is_not_of_the_grammar_is_refused(text):
    with pytest.raises(ValueError, match=f"no line of ToyText begins with '{text}"):
        ToyText().next_words(text)
    with pytest.raises(ValueError, match=f"no line of ToyText begins with '{text}"):
        ToyText().ideal_perplexity(["the dogs sleep", text])
