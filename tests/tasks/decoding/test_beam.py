"""Beam search against enumeration, on models small enough for it."""

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnzoo.batch import EOS, PAD
from rnnzoo.tasks.decoding.beam import beam, penalty
from rnnzoo.tasks.decoding.sampling import sample

VOCABULARY = 6  # <eos> is 3


class Table:
    """A model that looks back two tokens: log-probabilities (rows of data, vocabulary, vocabulary, vocabulary).

    Its state is which row of data each row of the batch is from, and the token before last.
    """

    def __init__(self, rows, seed=0, sharpness=2.0):
        torch.manual_seed(seed)
        self.logits = sharpness * torch.randn(rows, VOCABULARY, VOCABULARY, VOCABULARY, dtype=torch.float64)
        self.calls = []

    def step(self, tokens, state):
        row, before = state
        self.calls.append(len(tokens))
        return self.logits[row, before, tokens], (row, tokens)

    @staticmethod
    def select(state, rows):
        return tuple(part[rows] for part in state)

    def start(self, rows):
        return torch.tensor(rows), torch.full((len(rows),), 2)

    def score(self, row, sequence, alpha):
        """Log-probability of a sequence after <bos> <bos>, over its length penalty."""
        log_probs = self.logits[row].log_softmax(-1)
        context = [2, 2, *sequence]
        total = sum(log_probs[a, b, c].item() for a, b, c in zip(context, context[1:], context[2:], strict=False))
        return total / ((5 + len(sequence)) / 6) ** alpha


def decode(table, rows, **options):
    return beam(table.step, table.select, table.start(rows), torch.full((len(rows),), 2), **options)


def every_ended(longest, forbid=(PAD,)):
    """All sequences of up to so many tokens that end in <eos> and have none before."""
    words = [w for w in range(VOCABULARY) if w not in (EOS, *forbid)]
    for length in range(longest):
        for body in itertools.product(words, repeat=length):
            yield [*body, EOS]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_beam_wide_enough_finds_the_best_of_all_sequences(alpha, seed):
    table = Table(1, seed)
    (found,) = decode(table, [0], size=4**4, max_steps=4, length_penalty=alpha)
    best = max(every_ended(4), key=lambda sequence: table.score(0, sequence, alpha))
    assert found.tokens == best
    assert found.score == pytest.approx(table.score(0, best, alpha), rel=1e-5)


def by_hand(table, row, size, longest, alpha):
    """Beam search as the textbook has it: one list of hypotheses, and no early stop."""
    log_probs = table.logits[row].log_softmax(-1)
    live, finished = [((), 0.0)], []
    for length in range(1, longest + 1):
        extended = []
        for body, total in live:
            context = (2, 2, *body)[-2:]
            extended += [((*body, w), total + log_probs[context][w].item()) for w in range(VOCABULARY) if w != PAD]
        extended.sort(key=lambda pair: -pair[1])
        finished += [(list(b), s / ((5 + length) / 6) ** alpha) for b, s in extended[:size] if b[-1] == EOS]
        live = [pair for pair in extended if pair[0][-1] != EOS][:size]
    if not finished:
        return list(live[0][0]), live[0][1] / ((5 + longest) / 6) ** alpha
    return max(finished, key=lambda pair: pair[1])


@settings(max_examples=60, deadline=None)
@example(size=2, longest=5, alpha=0.0, seed=179, sharpness=3.0)
@given(
    size=st.integers(1, 7),
    longest=st.integers(1, 9),
    alpha=st.sampled_from([0.0, 0.6, 1.0, 2.0]),
    seed=st.integers(0, 1000),
    sharpness=st.sampled_from([0.3, 1.0, 3.0]),
)
def test_stopping_early_and_in_batches_gives_what_the_textbook_gives_without(size, longest, alpha, seed, sharpness):
    table = Table(5, seed, sharpness)
    together = decode(table, range(5), size=size, max_steps=longest, length_penalty=alpha)
    for row, found in enumerate(together):
        assert decode(table, [row], size=size, max_steps=longest, length_penalty=alpha) == [found]
        tokens, score = by_hand(table, row, size, longest, alpha)
        assert found.tokens == tokens
        assert found.score == pytest.approx(score, rel=1e-4, abs=1e-6)  # float32, where the search is sure


def test_a_beam_of_one_is_greedy():
    table = Table(4, seed=3)
    found = decode(table, range(4), size=1, max_steps=12)
    greedy = sample(table.step, table.start(range(4)), torch.full((4,), 2), 12, temperature=0, forbid=[PAD], end=EOS)
    assert [[w for w in row if w != PAD] for row in greedy.tolist()] == [one.tokens for one in found]


def test_each_row_stops_at_its_own_limit_and_leaves_the_batch():
    table = Table(3, seed=1)
    table.logits[..., EOS] = -50  # nothing ends
    found = decode(table, range(3), size=2, max_steps=torch.tensor([2, 7, 4]))
    assert [len(one.tokens) for one in found] == [2, 7, 4]
    assert table.calls == [3, 6, 4, 4, 2, 2, 2]
    for row, one in enumerate(found):
        assert one.score == pytest.approx(table.score(row, one.tokens, 0.6), rel=1e-5)


def test_a_row_is_done_as_soon_as_nothing_unfinished_can_win():
    table = Table(1)
    table.logits[..., EOS] = 50
    assert decode(table, [0], size=3, max_steps=1000, length_penalty=0)[0].tokens == [EOS]
    assert table.calls == [1]


@pytest.mark.parametrize("size", [2, 5**3])
def test_without_an_end_all_sequences_have_all_the_steps(size):
    table = Table(2, seed=4)
    for row, found in enumerate(decode(table, [0, 1], size=size, max_steps=4, end=None)):
        words = [w for w in range(VOCABULARY) if w != PAD]
        best = max(itertools.product(words, repeat=4), key=lambda sequence: table.score(row, sequence, 0.6))
        assert len(found.tokens) == 4
        assert found.score <= table.score(row, best, 0.6) + 1e-5
        assert size == 2 or found.tokens == list(best)


def test_no_rows_are_no_sequences():
    assert decode(Table(1), []) == []


def test_the_penalty_of_length_is_the_papers():
    assert penalty(7, 0) == 1
    assert penalty(7, 1) == 2
    assert penalty(1, 0.3) == 1


@pytest.mark.parametrize(("name", "value"), [("size", 0), ("length_penalty", -1.0)])
def test_settings_of_a_beam_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match="must be"):
        decode(Table(1), [0], **{name: value})
