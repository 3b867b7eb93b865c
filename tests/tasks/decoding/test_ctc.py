"""Connectionist temporal classification against the enumeration of every alignment."""

import itertools
import math
from collections import defaultdict
from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.text import WordErrorRate

from rnnzoo.tasks.decoding.ctc import best_path, collapsed, ctc_loss, prefix_search
from rnnzoo.tasks.metrics.error_rate import TokenErrorRate, edits

rows = st.lists(st.integers(0, 3), max_size=6)


def distribution(log_probs):
    """p(l | x) of every l that some alignment says, by the definition. log_probs: (time, classes)."""
    steps, classes = log_probs.shape
    found = defaultdict(float)
    for alignment in itertools.product(range(classes), repeat=steps):
        found[tuple(collapsed(alignment))] += math.exp(sum(log_probs[t, a].item() for t, a in enumerate(alignment)))
    return found


def drawn(seed, steps=5, classes=3):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(steps, classes, generator=generator, dtype=torch.float64)


def test_an_alignment_says_its_runs_without_the_blanks():
    assert collapsed([0, 1, 1, 0, 1, 2, 2, 0]) == [1, 1, 2]  # the paper's B(-aa-abb-) = aab
    assert collapsed([0, 0]) == [] and collapsed([]) == []


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_the_sum_over_all_alignments(seed):
    logits = torch.stack([drawn(seed), drawn(seed + 10)]).float()
    known = [distribution(row.double().log_softmax(-1)) for row in (logits[0], logits[1, :4])]
    assert sum(known[0].values()) == pytest.approx(1)
    for one, other in itertools.product([(1, 2, 1), (2,), ()], [(1, 1), (2, 1)]):
        target = torch.full((2, 3), -100)
        target[0, : len(one)], target[1, : len(other)] = torch.tensor(one), torch.tensor(other)
        loss = ctc_loss(logits, target, torch.tensor([5, 4]), torch.tensor([len(one), len(other)]))
        assert loss.item() == pytest.approx(-math.log(known[0][one]) - math.log(known[1][other]), rel=1e-5)


def test_a_target_that_no_alignment_says_has_an_infinite_loss():
    loss = ctc_loss(drawn(0)[None, :2], torch.tensor([[1, 1]]), torch.tensor([2]), torch.tensor([2]))
    assert loss.item() == math.inf


def test_the_loss_is_in_fp32_under_autocast():
    logits = drawn(0, steps=50)[None].bfloat16().requires_grad_()
    target, lengths, counts = torch.tensor([[1, 2, 1]]), torch.tensor([50]), torch.tensor([3])
    with torch.autocast("cpu", torch.bfloat16):
        loss = ctc_loss(logits, target, lengths, counts)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(ctc_loss(logits.double(), target, lengths, counts).item(), rel=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_a_search_that_keeps_every_prefix_finds_the_most_probable_tokens_and_their_probability(seed):
    log_probs = drawn(seed).log_softmax(-1)
    known = distribution(log_probs)
    tokens, score = prefix_search(log_probs, beam=1000)
    assert tuple(tokens) == max(known, key=known.get)
    assert math.exp(score) == pytest.approx(max(known.values()))


def test_a_search_finds_what_the_best_path_does_not():
    log_probs = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log()  # both blank 0.36; but 1 in some way 0.64
    assert best_path(log_probs[None], torch.tensor([2])) == [[]]
    tokens, score = prefix_search(log_probs, beam=2)
    assert tokens == [1] and math.exp(score) == pytest.approx(0.64)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_path_is_what_the_most_probable_alignment_says_up_to_the_end(seed):
    logits = torch.stack([drawn(seed), drawn(seed + 10)])
    wanted = []
    for row, steps in zip(logits, (5, 3), strict=True):
        alignments = itertools.product(range(3), repeat=steps)
        best = max(alignments, key=lambda a: sum(row[t, token].item() for t, token in enumerate(a)))
        wanted.append(collapsed(best))
    assert best_path(logits, torch.tensor([5, 3])) == wanted


@given(rows, rows)
def test_edits_are_the_fewest_by_the_recursive_definition(found, wanted):
    @cache
    def fewest(i, j):
        if not i or not j:
            return i + j
        same = found[i - 1] == wanted[j - 1]
        return min(fewest(i - 1, j) + 1, fewest(i, j - 1) + 1, fewest(i - 1, j - 1) + (not same))

    assert edits(found, wanted) == fewest(len(found), len(wanted))


@given(st.lists(st.tuples(rows, rows.filter(len)), min_size=1, max_size=5))
def test_the_error_rate_is_that_of_words_and_the_same_for_any_batches(pairs):
    found, wanted = zip(*pairs, strict=True)
    together, apart, words = TokenErrorRate(), TokenErrorRate(), WordErrorRate()
    together.update(found, wanted)
    for pair in pairs:
        apart.update(*([row] for row in pair))
    words.update(*([" ".join(map(str, row)) for row in side] for side in (found, wanted)))
    assert together.compute() == apart.compute() == words.compute()
