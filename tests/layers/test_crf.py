"""The conditional random field against an enumeration of all tag sequences."""

from itertools import pairwise, product

import pytest
import torch
from torch.testing import assert_close

from rnnzoo.batch import IGNORE
from rnnzoo.data.encoding.spans import breaks
from rnnzoo.layers.crf import CRF

LENGTHS = torch.tensor([3, 1, 5, 4, 1])  # in no order
TAGS = 3


def crf(tags=TAGS, legal=None, features=4):
    torch.manual_seed(0)
    made = CRF(features, tags, legal)
    for parameter in (made.transitions, made.start, made.end):
        torch.nn.init.normal_(parameter)
    return made


def emissions(tags=TAGS):
    torch.manual_seed(1)
    return torch.randn(len(LENGTHS), int(LENGTHS.max()), tags)


def by_hand(model, e, path):
    """The score of one path, e: (time, tags), from the definition."""
    inner = sum(model.transitions[a, b] for a, b in pairwise(path))
    return model.start[path[0]] + sum(e[t, tag] for t, tag in enumerate(path)) + inner + model.end[path[-1]]


def all_paths(model, e):
    paths = list(product(range(model.transitions.shape[0]), repeat=len(e)))
    return paths, torch.stack([by_hand(model, e, path) for path in paths])


def rows(e):
    return [e[row, :length] for row, length in enumerate(LENGTHS.tolist())]


def test_the_log_partition_is_the_sum_over_all_paths():
    model, e = crf(), emissions()
    wanted = torch.stack([all_paths(model, row)[1].logsumexp(0) for row in rows(e)])
    assert_close(model.log_partition(e, LENGTHS), wanted)


def test_the_decoded_path_is_the_best_of_all():
    model, e = crf(), emissions()
    found = model.decode(e, LENGTHS)
    for row, tags in zip(rows(e), found.tolist(), strict=True):
        paths, scores = all_paths(model, row)
        assert tuple(tags[: len(row)]) == paths[int(scores.argmax())]
        assert not any(tags[len(row) :])


def test_a_paths_score_is_the_sum_of_its_parts():
    model, e = crf(), emissions()
    tags = torch.randint(TAGS, e.shape[:2])
    wanted = [by_hand(model, row, tags[b, : len(row)].tolist()) for b, row in enumerate(rows(e))]
    assert_close(model.score(e, tags, LENGTHS), torch.stack(wanted))


def test_the_loss_of_a_sentence_is_the_surprise_at_its_tags():
    model, e = crf(), emissions()
    tags = torch.randint(TAGS, e.shape[:2])
    target = tags.masked_fill(torch.arange(5) >= LENGTHS[:, None], IGNORE)
    wanted = 0
    for b, row in enumerate(rows(e)):
        paths, scores = all_paths(model, row)
        wanted = wanted - scores.log_softmax(0)[paths.index(tuple(tags[b, : len(row)].tolist()))]
    assert_close(model.nll(e, target, LENGTHS), wanted)


def test_the_gradient_of_the_log_partition_is_each_tags_probability():
    model, e = crf(), emissions().requires_grad_()
    (found,) = torch.autograd.grad(model.log_partition(e, LENGTHS).sum(), e)
    for b, row in enumerate(rows(e)):
        paths, scores = all_paths(model, row.detach())
        chance = scores.softmax(0)
        for t in range(e.shape[1]):
            at = torch.tensor([[t < len(row) and path[t] == tag for path in paths] for tag in range(TAGS)])
            assert_close(found[b, t], (at * chance).sum(1))


def test_a_sentence_has_the_same_answer_alone_and_in_a_batch_bit_for_bit():
    model, e = crf(), emissions()
    together, tags = model.log_partition(e, LENGTHS), model.decode(e, LENGTHS)
    for b, row in enumerate(rows(e)):
        length = LENGTHS[b : b + 1]
        assert torch.equal(model.log_partition(row[None], length)[0], together[b])
        assert torch.equal(model.decode(row[None], length)[0], tags[b, : len(row)])


def test_nothing_past_a_sentences_end_counts():
    model, e = crf(), emissions()
    past = torch.arange(5) >= LENGTHS[:, None]
    noisy = e.masked_fill(past[:, :, None], float("nan"))
    assert_close(model.log_partition(noisy, LENGTHS), model.log_partition(e, LENGTHS))
    assert torch.equal(model.decode(noisy, LENGTHS), model.decode(e, LENGTHS))
    target = torch.zeros(e.shape[:2], dtype=torch.int64).masked_fill(past, IGNORE)
    assert_close(model.nll(noisy, target, LENGTHS), model.nll(e, target, LENGTHS))


def test_a_sentence_without_targets_has_no_loss():
    model, e = crf(), emissions()
    target = torch.zeros(e.shape[:2], dtype=torch.int64).masked_fill(torch.arange(5) >= LENGTHS[:, None], IGNORE)
    target[1] = IGNORE
    others = [0, 2, 3, 4]
    assert_close(model.nll(e, target, LENGTHS), model.nll(e[others], target[others], LENGTHS[others]))


def test_tags_without_transitions_are_those_of_a_softmax():
    model, e = CRF(4, TAGS), emissions()
    target = torch.randint(TAGS, e.shape[:2]).masked_fill(torch.arange(5) >= LENGTHS[:, None], IGNORE)
    wanted = torch.nn.functional.cross_entropy(e.flatten(0, 1), target.flatten(), reduction="sum")
    assert_close(model.nll(e, target, LENGTHS), wanted)


def test_forbidden_transitions_are_never_decoded_and_the_best_of_the_others_is():
    labels = ("O", "B-X", "I-X", "E-X", "S-X")
    around = (*labels, "O")
    legal = torch.tensor([[not breaks("bioes", a, b) for b in around] for a in around])
    model, e = crf(5, legal), emissions(5) * 3
    found = model.decode(e, LENGTHS)
    for row, tags in zip(rows(e), found.tolist(), strict=True):
        paths, scores = all_paths(model, row)
        sound = torch.tensor([all(legal[a, b] for a, b in zip((5, *path), (*path, 5), strict=True)) for path in paths])
        assert tuple(tags[: len(row)]) == paths[int(scores.masked_fill(~sound, -1e9).argmax())]


def test_sums_are_in_single_precision_under_autocast():
    model, e = crf(), emissions()
    target = torch.zeros(e.shape[:2], dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16):
        low = model(torch.randn(2, 3, 4))
        found = model.nll(e, target, LENGTHS)
        decoded = model.decode(e, LENGTHS)
    assert low.dtype == torch.bfloat16 and found.dtype == torch.float32
    assert torch.equal(found, model.nll(e, target, LENGTHS))
    assert torch.equal(decoded, model.decode(e, LENGTHS))
    assert model.nll(e.bfloat16(), target, LENGTHS).dtype == torch.float32


def test_scores_of_thousands_of_nats_neither_overflow_nor_vanish():
    model = crf()
    e = emissions() * 1e4
    assert_close(model.log_partition(e, LENGTHS), torch.stack([all_paths(model, row)[1].max() for row in rows(e)]))


def test_a_single_tag_is_certain():
    model, e = crf(1), emissions(1)
    assert model.nll(e, torch.zeros(5, 5, dtype=torch.int64), LENGTHS).item() == pytest.approx(0, abs=1e-5)
    assert not model.decode(e, LENGTHS).any()
