"""Toy reviews."""

import re
from collections import Counter

import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn

from rnnzoo.data.forms import FORMS
from rnnzoo.data.sources import toy_reviews
from rnnzoo.data.sources.toy_reviews import ToyReviews


def rows(columns):
    return list(zip(*columns.values(), strict=True))


@pytest.fixture(scope="module")
def reviews():
    return ToyReviews().read()


POLARITY = {
    word: 1 for polar in (toy_reviews.ADJECTIVES, toy_reviews.VERBS, toy_reviews.PAST) for word in polar.positive
}
POLARITY |= {
    word: -1 for polar in (toy_reviews.ADJECTIVES, toy_reviews.VERBS, toy_reviews.PAST) for word in polar.negative
}
NEGATION = re.compile(r"\b(not|\w+n't|never|nobody|no one)\b")


REMARKS = {
    " ".join(text.format(switch=said, group=group).split())
    for switch, texts in toy_reviews.NEUTRAL.items()
    for text in texts
    for pair in toy_reviews.SWITCHES[switch]
    for said in pair
    for group in toy_reviews.GROUPS
}


def body(review):
    """A review without what is said before and after, and judges nothing."""
    text = review.removesuffix(" .")
    judging = sum(word in POLARITY for word in text.split())
    remarks = REMARKS if judging == 2 else ()  # with one judging word, a remark is what the review is about
    before = [text for text in toy_reviews.OPENINGS] + [f"{remark} ." for remark in remarks]
    after = [f". {text}" for text in (*toy_reviews.CLOSINGS, *remarks)]
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
        ([*toy_reviews.TAILS, "at all", *toy_reviews.GROUPS[1:], *toy_reviews.ADJECTIVES.very, "not", "never"], ""),
        ([f"the {noun}" for noun in toy_reviews.FOODS + toy_reviews.PLACES] + ["it(?! is)"], "THING"),
        (toy_reviews.FOODS + toy_reviews.PLACES, "NOUN"),
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
