"""Many texts at once are answered as each of them alone."""

import random

import pytest
import torch
from untrained import untrained

from rnnzoo.batch import Field
from rnnzoo.engine.sequences import Sequences
from rnnzoo.inputs.tokens import FEW, TokenEmbedding

WORDS = ["the", "food", "film", "was", "not", "bad", "good", "at", "all", "and", "story", "we", "did", "like", "zzz"]


def texts(count=240):
    drawn = random.Random(0)
    return [" ".join(drawn.choices(WORDS, k=drawn.randrange(30))) for _ in range(count)]


def model_of(architecture, *changes):
    return untrained("quickstart", "--data.examples=60", f"--model.architecture={architecture}", *changes)


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("{name: bidirectional, cell: lstm, hidden_size: 6}", ["--model.pooling=max_mean"]),
        ("{name: stacked, cell: gru, hidden_size: 6, num_layers: 2}", ["--model.pooling=mean"]),
        ("{name: recurrent, cell: {name: zoneout, cell: lstm}, hidden_size: 6}", ["--model.pooling=attention"]),
        ("{name: bidirectional, cell: vanilla, hidden_size: 6, merge: sum}", ["--model.inputs.tokens.dropout=0.5"]),
    ],
)
def test_the_answers_are_those_of_one_text_at_a_time(architecture, changes, monkeypatch):
    model, given = model_of(architecture, *changes), []
    encode = model.model.architecture.encode
    monkeypatch.setattr(model.model.architecture, "encode", lambda x, *rest: given.append(x) or encode(x, *rest))
    asked = texts()
    together = [answer for _, answer in model.answers(asked)]
    assert any(x.distinct is not None for x in given)
    for text, answer in zip(asked, together, strict=True):
        (alone,) = model.predict([text])
        assert answer["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-5)
        assert answer["unknown_share"] == alone["unknown_share"]


class Shifted(TokenEmbedding):
    """Features that depend on the place of a step."""

    def forward(self, x):
        return super().forward(x) + torch.arange(x.shape[1])[:, None]


def asked_for(part):
    x = torch.randint(1, 9, (FEW, 2))
    with torch.inference_mode():
        return part.distinct(x), part(x)


def test_an_input_knows_its_distinct_features_in_inference_alone():
    part = TokenEmbedding(Field("tokens", tuple("abcdefghi"), 9), 4).eval()
    distinct, features = asked_for(part)
    assert torch.equal(distinct.features[distinct.number], features)
    assert part.distinct(torch.ones(FEW, 2, dtype=torch.int64)) is None  # gradients may be taken
    assert asked_for(part.train())[0] is None
    part.eval().dropout.train()
    assert asked_for(part)[0] is None


def test_an_input_whose_features_depend_on_more_than_the_symbol_has_none():
    assert asked_for(Shifted(Field("tokens", tuple("abcdefghi"), 9), 4).eval())[0] is None


def test_pooling_without_padding_is_pooling_of_the_real_steps():
    from rnnzoo.architectures.encoded import Encoded
    from rnnzoo.architectures.pooling import maximum, mean

    x, lengths = torch.randn(6, 9, 3), torch.tensor([4, 0, 9, 4, 1, 7])
    packed = Sequences(Sequences.of(x, lengths).layout, rows=Sequences.of(x, lengths).rows)
    wanted = Encoded(Sequences.of(x, lengths), x[:, 0], None)
    with torch.inference_mode():
        got = Encoded(packed, x[:, 0], None)
        torch.testing.assert_close(mean(got), mean(wanted))
        torch.testing.assert_close(maximum(got), maximum(wanted))
