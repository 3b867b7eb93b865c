import math
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn

from rnnzoo.data.forms import FORMS
from rnnzoo.data.sources import embedded
from rnnzoo.data.sources.embedded import ToyPairs, ToyReviews, ToyTags, ToyText

SOURCES = (ToyReviews, ToyTags, ToyText, ToyPairs)


def rows(columns):
    return list(zip(*columns.values(), strict=True))


@pytest.fixture(scope="module")
def reviews():
    return ToyReviews().read()


@pytest.fixture(scope="module")
def tagged():
    return ToyTags().read()


@pytest.fixture(scope="module")
def lines():
    return {part: columns["text"] for part, columns in ToyText().read().items()}


# ---- all four


@pytest.mark.parametrize("source", SOURCES)
def test_the_seed_decides_the_examples(source):
    made = source(examples=40, seed=3)
    assert made.read() == made.read() == source(examples=40, seed=3).read()
    other = source(examples=40, seed=4)
    assert made.read() != other.read()
    assert made.identity() == source(examples=40, seed=3).identity() != other.identity()


def test_another_process_makes_the_same_examples():
    names = ", ".join(source.__name__ for source in SOURCES)
    code = f"from rnnzoo.data.sources.embedded import {names}\nfor source in ({names}): print(source(40).identity())"
    other = {**os.environ, "PYTHONHASHSEED": "7"}
    made = subprocess.run([sys.executable, "-c", code], env=other, capture_output=True, text=True)
    assert made.stdout.splitlines() == [str(source(40).identity()) for source in SOURCES], made.stderr


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("examples", "dev", "test"), [(80, 10, 20), (16, 2, 4)])
def test_dev_is_an_eighth_and_test_a_quarter_of_the_training_part(source, examples, dev, test):
    parts = source(examples).read()
    assert [(part, len(rows(parts[part]))) for part in parts] == [("train", examples), ("dev", dev), ("test", test)]


@pytest.mark.parametrize("source", SOURCES)
def test_the_form_knows_every_word_and_label_of_the_test_part_from_training(source):
    parts, form = source().read(), FORMS[source.form]()
    spec = form.fit(parts["train"])
    assert form.encode(parts["test"], spec).unknown_share == 0


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("wrong", [{"examples": 0}, {"examples": True}, {"seed": -1}, {"seed": 0.5}])
def test_sizes_and_seeds_out_of_range_are_refused(source, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a whole number"):
        source(**wrong)


# ---- reviews

POLARITY = {word: 1 for polar in (embedded.ADJECTIVES, embedded.VERBS, embedded.PAST) for word in polar.positive}
POLARITY |= {word: -1 for polar in (embedded.ADJECTIVES, embedded.VERBS, embedded.PAST) for word in polar.negative}
NEGATION = re.compile(r"\b(not|\w+n't|never|nobody|no one)\b")


REMARKS = {
    " ".join(text.format(switch=said, group=group).split())
    for switch, texts in embedded.NEUTRAL.items()
    for text in texts
    for pair in embedded.SWITCHES[switch]
    for said in pair
    for group in embedded.GROUPS
}


def body(review):
    """A review without what is said before and after, and judges nothing."""
    text = review.removesuffix(" .")
    judging = sum(word in POLARITY for word in text.split())
    remarks = REMARKS if judging == 2 else ()  # with one judging word, a remark is what the review is about
    before = [text for text in embedded.OPENINGS] + [f"{remark} ." for remark in remarks]
    after = [f". {text}" for text in (*embedded.CLOSINGS, *remarks)]
    text = text.removeprefix(next((said for said in before if text.startswith(f"{said} ")), ""))
    return text.removesuffix(next((said for said in after if text.endswith(f" {said}")), "")).strip()


def understood(review):
    """The label that a reader of English gives: which claims there are, which of them are denied, which counts."""
    text = body(review).replace(", to our surprise ,", "").replace("by and large", "")
    claims = []
    for piece in re.split(r" [.,;] | but | and | ?\beven | ?\balthough ", text):
        for polarity in [POLARITY[word] for word in piece.split() if word in POLARITY]:
            claims.append(polarity * (-1) ** len(NEGATION.findall(piece)))
    assert len(claims) in (1, 2)
    first_counts = re.search(r"\w.* although | even (if|though) | \. true , ", text)
    return "positive" if claims[0 if first_counts else -1] > 0 else "negative"


def template(review):
    """A review without what fills its slots, and without negations and what is said before and after."""
    text = body(review).replace("n't", "").replace("no one", "nobody")
    for words, slot in (
        ([*embedded.TAILS, "at all", *embedded.GROUPS[1:], *embedded.ADJECTIVES.very, "not", "never"], ""),
        ([f"the {noun}" for noun in embedded.FOODS + embedded.PLACES] + ["it(?! is)"], "THING"),
        (embedded.FOODS + embedded.PLACES, "NOUN"),
        (POLARITY, "POLAR"),
        (("i", "we"), "WE"),
        (("everybody", "everyone", "nobody"), "BODY"),
    ):
        text = re.sub(rf"\b({'|'.join(words)})(?!\S)", slot, text)
    return " ".join(text.split())


def accuracy(parts, ngrams):
    counts = CountVectorizer(ngram_range=ngrams, token_pattern=r"\S+")
    model = LogisticRegression(max_iter=1000).fit(counts.fit_transform(parts["train"]["text"]), parts["train"]["label"])
    return model.score(counts.transform(parts["test"]["text"]), parts["test"]["label"])


def test_every_review_has_a_twin_of_the_same_words_and_the_other_label(reviews):
    for columns in reviews.values():
        pairs = rows(columns)
        for (one, good), (other, bad) in zip(pairs[::2], pairs[1::2], strict=True):
            assert (good, bad) == ("positive", "negative")
            assert one != other and Counter(one.split()) == Counter(other.split())


def test_the_label_is_what_a_reader_of_the_review_concludes(reviews):
    for columns in reviews.values():
        for text, label in rows(columns):
            assert understood(text) == label, text


@pytest.mark.parametrize("seed", range(3))
def test_single_words_tell_nothing_and_pairs_of_neighbours_little(seed):
    parts = ToyReviews(seed=seed).read()
    assert 0.495 <= accuracy(parts, (1, 1)) <= 0.505
    assert accuracy(parts, (1, 2)) < 0.6


def test_no_two_parts_share_a_template(reviews):
    train, dev, test = ({template(text) for text in columns["text"]} for columns in reviews.values())
    assert not train & dev and not train & test and not dev & test
    assert len(test) > 50


def test_reviews_are_short_and_their_vocabulary_small(reviews):
    lengths = [len(text.split()) for columns in reviews.values() for text in columns["text"]]
    assert min(lengths) >= 5 and max(lengths) <= 40
    assert 150 <= len({word for text in reviews["train"]["text"] for word in text.split()}) <= 250


def test_an_odd_number_of_reviews_is_rounded_up_to_whole_twins():
    assert {part: len(columns["text"]) for part, columns in ToyReviews(5).read().items()} == {
        "train": 6,
        "dev": 2,
        "test": 2,
    }


class BidirectionalLSTM(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 64)
        self.rnn = nn.LSTM(64, 64, batch_first=True, bidirectional=True)
        self.head = nn.Linear(128, 2)

    def forward(self, batch):
        x = self.embedding(batch.inputs["tokens"])
        packed = nn.utils.rnn.pack_padded_sequence(x, batch.lengths, batch_first=True)  # rows come longest first
        states, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True, padding_value=-1.0)
        return self.head(states.amax(1))


@pytest.mark.slow
def test_a_bidirectional_lstm_understands_reviews_of_templates_it_never_saw(reviews):
    torch.manual_seed(0)
    form = FORMS["labelled_text"]()
    spec = form.fit(reviews["train"])
    train, test = (form.encode(reviews[part], spec) for part in ("train", "test"))
    model, batches, epochs = BidirectionalLSTM(spec.inputs["tokens"].size), form.batches(train, training=True), 8
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=epochs * len(batches), pct_start=0.1)
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        for window in batches:
            batch = train[window]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), batch.target).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        asked = [test[window] for window in form.batches(test, training=False)]
        right = sum(int((model(batch).argmax(-1) == batch.target).sum()) for batch in asked)
        assert right / len(test) >= 0.99
        easy = form.encode({"text": ["the food was not bad at all", "great food but terrible service"]}, spec)
        batch = easy[[0, 1]]
        said = dict(zip(batch.index.tolist(), model(batch).argmax(-1).tolist(), strict=True))
        assert [spec.labels[said[row]] for row in (0, 1)] == ["positive", "negative"]


# ---- tags


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


# ---- text


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
    """Fitted to the test part itself, no bigram model has a lower perplexity there than its relative frequencies."""
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


# ---- pairs


@pytest.mark.parametrize(("operation", "step"), [("copy", 1), ("reverse", -1)])
def test_the_target_is_the_source_read_forwards_or_backwards(operation, step):
    for columns in ToyPairs(operation=operation).read().values():
        assert all(target.split() == source.split()[::step] for source, target in rows(columns))


@pytest.mark.parametrize(("longest", "letters"), [(8, 10), (12, 3), (5, 26)])
def test_strings_have_the_lengths_and_letters_asked_for_and_occur_once(longest, letters):
    parts = ToyPairs(longest=longest, letters=letters).read()
    for columns in parts.values():
        assert {len(source.split()) for source in columns["source"]} == set(range(2, longest + 1))
        assert {letter for source in columns["source"] for letter in source.split()} == set(
            "abcdefghijklmnopqrstuvwxyz"[:letters]
        )
    every = [source for columns in parts.values() for source in columns["source"]]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"longest": 1}, "longest must be a whole number in [2, 1000], got 1"),
        ({"letters": 27}, "letters must be a whole number in [2, 26], got 27"),
        ({"operation": "revers"}, "no operation is named 'revers'.\n  Did you mean 'reverse'?"),
        ({"longest": 3}, "10 letters in strings of up to 3 give too few strings for examples=4000.\n"),
    ],
)
def test_pairs_that_cannot_be_made_are_refused(wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        ToyPairs(**wrong)
    assert len(str(error.value).splitlines()) <= 5
