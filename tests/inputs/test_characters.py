"""Features of words from their letters."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from rnnzoo.batch import Field
from rnnzoo.inputs.characters import CharacterFeatures, distinct

LETTERS = Field("characters", ("<pad>", "<unk>", "<bos>", "<eos>", *"abcdef"))
ENCODERS = [None, {"name": "bidirectional", "cell": "lstm", "hidden_size": 5}, {"name": "gru", "hidden_size": 4}]
BATCH = torch.tensor(
    [[[4, 5, 6, 0], [4, 0, 0, 0], [9, 8, 7, 6]], [[4, 5, 6, 0], [0, 0, 0, 0], [0, 0, 0, 0]]]
)  # (batch, time, letters)


def part(encoder=None, **settings):
    torch.manual_seed(0)
    return CharacterFeatures(LETTERS, 6, 3, encoder, **settings)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_word_has_the_same_features_wherever_it_stands(encoder):
    features = part(encoder).eval()
    found = features(BATCH)
    assert found.shape == (2, 3, features.output_size)
    assert torch.equal(found[0, 0], found[1, 0])
    assert_close(features(BATCH[:1, 1:2, :1])[0, 0], found[0, 1])  # alone, without the padding of longer words


@pytest.mark.parametrize("encoder", ENCODERS)
def test_padding_has_no_features(encoder):
    assert not part(encoder)(BATCH)[1, 1:].any()


def test_equal_words_are_one_and_others_are_not():
    torch.manual_seed(0)
    words = torch.randint(0, 3, (500, 6))
    found, place = distinct(words)
    assert torch.equal(found[place], words)
    assert len(found) == len(torch.unique(words, dim=0)) < 500


def test_the_convolution_takes_of_each_filter_the_largest_answer_to_a_window():
    features = part()
    word = BATCH[0, 0, :3]
    x = F.pad(features.embedding(word), (0, 0, 2, 2))  # (letters + 4, size), zeros around
    wanted = []
    for convolution, width in zip(features.encoder.windows, (3, 5), strict=True):
        first = 2 - width // 2
        windows = [x[first + t : first + t + width] for t in range(3)]
        answers = [torch.einsum("fcw,wc->f", convolution.weight, window) + convolution.bias for window in windows]
        wanted.append(torch.stack(answers).relu().amax(0))
    assert_close(features(BATCH)[0, 0], torch.cat(wanted))


def test_the_convolution_and_its_gradients_are_those_of_torch():
    features = part()
    parameters = dict(features.named_parameters())
    found = features(BATCH)
    x = features.embedding(BATCH.flatten(0, 1)).mT
    real = (BATCH.flatten(0, 1) != 0)[:, None]
    wanted = torch.cat([window(x).relu() * real for window in features.encoder.windows], 1).amax(2).unflatten(0, (2, 3))
    assert_close(found, wanted)
    weights = torch.randn_like(found)
    assert_close(
        torch.autograd.grad((found * weights).sum(), [*parameters.values()]),
        torch.autograd.grad((wanted * weights).sum(), [*parameters.values()]),
    )


def test_the_convolution_is_computed_under_autocast():
    features = part()
    with torch.autocast("cpu", torch.bfloat16):
        found = features(BATCH)
        found.sum().backward()
    assert_close(found.float(), features(BATCH), atol=2e-2, rtol=2e-2)
    assert all(p.grad.isfinite().all() for p in features.parameters())


def test_the_recurrent_encoder_is_the_last_state_of_each_direction():
    features = part(ENCODERS[1])
    lstm = torch.nn.LSTM(6, 5, bidirectional=True, batch_first=True)
    features.encoder.architecture.load_torch(lstm)
    _, (h, _) = lstm(features.embedding(BATCH[0, 0, :3])[None])
    assert_close(features(BATCH)[0, 0], torch.cat([h[0, 0], h[1, 0]]))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_each_of_a_words_places_adds_to_its_gradient(encoder):
    features = part(encoder)
    once = torch.autograd.grad(features(BATCH[:1, :1]).sum(), features.embedding.weight)[0]
    twice = torch.autograd.grad(features(BATCH[:, :1]).sum(), features.embedding.weight)[0]
    assert once.any()
    assert_close(twice, 2 * once)


def test_dropout_holds_its_mask_through_a_sentence():
    features = part(dropout=0.5).train()
    torch.manual_seed(3)
    with torch.no_grad():
        features.encoder.windows[0].bias.fill_(10)
    dropped = features(BATCH[:, :1].expand(2, 4, 4))[..., :3] == 0
    assert dropped.any() and not dropped.all()
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
