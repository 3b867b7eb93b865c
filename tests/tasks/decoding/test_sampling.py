"""Sampling against arithmetic, and the frequencies it must have."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_beam import Table

from rnnzoo.batch import EOS, PAD
from rnnzoo.tasks.decoding.sampling import restricted, sample


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 10_000))
def test_top_k_leaves_the_k_likeliest(k, seed):
    logits = torch.randn(3, 30, generator=torch.Generator().manual_seed(seed))
    left = restricted(logits, top_k=k)
    for row, rest in zip(logits, left, strict=True):
        assert set(rest.isfinite().nonzero().squeeze(1).tolist()) == set(row.topk(min(k, 30)).indices.tolist())
    torch.testing.assert_close(left[left.isfinite()], logits[left.isfinite()])


@settings(deadline=None)
@given(st.floats(0.01, 1.0), st.floats(0.3, 3.0), st.integers(0, 10_000))
def test_top_p_leaves_the_fewest_likeliest_that_have_that_probability(p, temperature, seed):
    logits = torch.randn(3, 30, generator=torch.Generator().manual_seed(seed))
    left = restricted(logits, temperature, top_p=p)
    for row, rest in zip(logits, left, strict=True):
        shares = (row / temperature).softmax(-1)
        order = sorted(range(30), key=lambda i: -shares[i])
        kept = rest.isfinite().nonzero().squeeze(1).tolist()
        assert set(kept) == set(order[: len(kept)])
        total, last = sum(shares[i].item() for i in kept), shares[order[len(kept) - 1]].item()
        assert total >= p - 1e-5 and total - last < p + 1e-5  # to rounding


def test_top_p_of_one_and_top_k_of_all_change_nothing():
    logits = torch.randn(4, 9)
    torch.testing.assert_close(restricted(logits, top_k=9, top_p=1.0), logits)


def test_the_smallest_temperature_draws_the_likeliest():
    table = Table(6)
    first, tokens = table.start(range(3)), torch.full((3,), 2)
    greedy = sample(table.step, first, tokens, 10, temperature=0)
    assert torch.equal(sample(table.step, first, tokens, 10, temperature=1e-40), greedy)


def test_top_k_of_one_and_a_temperature_of_nought_are_greedy():
    table = Table(4, seed=2)
    first, tokens = table.start(range(4)), torch.full((4,), 2)
    greedy = sample(table.step, first, tokens, 10, temperature=0)
    assert torch.equal(greedy, sample(table.step, first, tokens, 10, top_k=1, seed=9))
    state, likeliest = first, tokens
    for step in range(10):
        logits, state = table.step(likeliest, state)
        likeliest = logits.argmax(-1)
        assert torch.equal(greedy[:, step], likeliest)


def test_samples_are_as_frequent_as_their_probabilities_say():
    logits = torch.tensor([1.0, 0.2, -0.5, 0.0, 0.7, -1.0])
    rows = 20_000

    def step(tokens, state):
        return logits.expand(len(tokens), -1), state

    for options, left in (({}, 6), ({"temperature": 0.5}, 6), ({"top_k": 3}, 3), ({"top_p": 0.55}, 2)):
        drawn = sample(step, None, torch.zeros(rows, dtype=torch.int64), 1, seed=5, **options)
        counts = drawn.flatten().bincount(minlength=6).double()
        shares = (logits.double() / options.get("temperature", 1)).softmax(-1)
        kept = shares.argsort(descending=True)[:left]
        expected = rows * shares[kept] / shares[kept].sum()
        assert counts[kept].sum() == rows
        chi_square = ((counts[kept] - expected) ** 2 / expected).sum()
        assert chi_square < {5: 20.5, 2: 13.8, 1: 10.8}[left - 1]  # exceeded once in a thousand by chance


def test_the_same_seed_writes_the_same_and_leaves_other_random_numbers_alone():
    table = Table(2)

    def write(seed):
        return sample(table.step, table.start([0, 1]), torch.tensor([2, 2]), 30, seed=seed)

    before = torch.get_rng_state()
    first = write(1)
    assert torch.equal(first, write(1)) and not torch.equal(first, write(2))
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_forbidden_is_never_written_and_an_ended_row_is_padded():
    table = Table(50, sharpness=0.5)
    written = sample(table.step, table.start(range(50)), torch.full((50,), 2), 40, forbid=[PAD, 1, 2], end=EOS, seed=4)
    for row in written.tolist():
        body = row[: row.index(EOS)] if EOS in row else row
        assert not {0, 1, 2, 3} & set(body)
        assert set(row[len(body) + 1 :]) <= {PAD}


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", -0.1), ("temperature", math.nan), ("top_k", 0), ("top_p", 0.0), ("top_p", 1.2), ("length", 0)],
)
def test_settings_of_sampling_out_of_range_are_refused(name, value):
    table = Table(1)
    arguments = {"length": 3} | {name: value}
    with pytest.raises(ValueError, match=f"{name} must be"):
        sample(table.step, table.start([0]), torch.tensor([2]), **arguments)
