import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rnnzoo.batch import IGNORE
from rnnzoo.layers.heads import AdaptiveSoftmax, Softmax

FEATURES, WORDS, CUTOFFS = 64, 50, [7, 20, 31]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def targets():
    """Words of each cluster, its first and last among them, and two places where nothing is asked."""
    return torch.tensor([[0, 6, 7, 19, IGNORE, 20], [30, 31, 49, 12, 25, IGNORE]])


def as_in_torch():
    """The head, and `nn.AdaptiveLogSoftmaxWithLoss` with its weights; torch's last layers have no biases."""
    head = AdaptiveSoftmax(FEATURES, WORDS, CUTOFFS)
    torchs = nn.AdaptiveLogSoftmaxWithLoss(FEATURES, WORDS, CUTOFFS, div_value=4.0, head_bias=True)
    torchs.head.load_state_dict(head.head.state_dict())
    for tail, own in zip(torchs.tail, head.tails, strict=True):
        tail.load_state_dict({name: value for name, value in own.state_dict().items() if name != "1.bias"})
        nn.init.zeros_(own[1].bias)
    return head, torchs


def test_the_adaptive_softmax_is_torchs():
    """The log-probability of each word, the loss, and the gradient of every weight that both have."""
    head, torchs = as_in_torch()
    x, target = torch.randn(2, 6, FEATURES, requires_grad=True), targets()
    asked = target != IGNORE
    torch.testing.assert_close(head(x).flatten(0, 1), torchs.log_prob(x.flatten(0, 1)), atol=1e-6, rtol=1e-6)
    found, expected = head.nll(x, target), -torchs(x[asked], target[asked]).output.sum()
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    weights = [head.head.weight, head.head.bias, *(layer.weight for tail in head.tails for layer in tail)]
    theirs = [torchs.head.weight, torchs.head.bias, *(layer.weight for tail in torchs.tail for layer in tail)]
    gradients, wanted = (torch.autograd.grad(nll, [x, *of]) for nll, of in ((found, weights), (expected, theirs)))
    for gradient, other in zip(gradients, wanted, strict=True):
        assert other.any()
        torch.testing.assert_close(gradient, other, atol=1e-6, rtol=1e-6)


def test_the_probabilities_of_all_words_add_up_to_one():
    total = AdaptiveSoftmax(FEATURES, WORDS, CUTOFFS)(torch.randn(3, 4, FEATURES)).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones(3, 4))


@pytest.mark.parametrize("make", [Softmax, lambda *sizes: AdaptiveSoftmax(*sizes, CUTOFFS)])
@pytest.mark.parametrize("autocast", [False, True])
def test_the_likelihood_of_targets_is_what_the_probabilities_of_all_words_say(make, autocast):
    head = make(FEATURES, WORDS)
    x, target = torch.randn(2, 6, FEATURES), targets()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        told, found = head(x).log_softmax(-1, dtype=torch.float32), head.nll(x, target)
    asked = target != IGNORE
    wanted = F.nll_loss(told[asked], target[asked], reduction="sum")
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, atol=1e-3 if autocast else 1e-5, rtol=1e-4)


def test_a_cluster_that_no_target_is_in_has_a_gradient_of_zeros():
    head = AdaptiveSoftmax(FEATURES, WORDS, CUTOFFS)
    head.nll(torch.randn(1, 2, FEATURES), torch.tensor([[0, 8]])).backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    assert not any(parameter.grad.any() for tail in head.tails[1:] for parameter in tail.parameters())


def test_rare_words_take_a_quarter_of_the_features_and_then_a_sixteenth():
    head = AdaptiveSoftmax(256, 40_000, [4000, 16_000])
    assert [tail[0].out_features for tail in head.tails] == [64, 16]
    assert sum(p.numel() for p in head.parameters()) < sum(p.numel() for p in Softmax(256, 40_000).parameters()) / 4


@pytest.mark.parametrize("cutoffs", [[], [0], [5, 5], [9, 3], [50], [60]])
def test_cutoffs_that_cut_nothing_off_are_refused(cutoffs):
    with pytest.raises(ValueError, match="cutoffs must rise, from 1 at least to below the 50 words"):
        AdaptiveSoftmax(FEATURES, WORDS, cutoffs)


def test_before_training_a_softmax_of_zero_weights_knows_nothing():
    head = Softmax(FEATURES, WORDS)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    assert head.nll(torch.randn(2, 6, FEATURES), targets()).item() == pytest.approx(10 * math.log(WORDS), rel=1e-5)
