"""A decoder that is no `EncoderDecoder`: translation, captioning, beam search and pictures take it by its interface."""

import itertools
from typing import NamedTuple

import pytest
import torch
from torch import nn

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.architectures.base import SEQUENCE, Architecture
from rnnzoo.architectures.decoder import Decoded
from rnnzoo.architectures.encoded import Encoded
from rnnzoo.batch import BOS, EOS, SPECIALS, Batch, DataSpec, Field
from rnnzoo.engine.sequences import Sequences
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.limits import Size, checked
from rnnzoo.model import build_model
from rnnzoo.tasks.captioning import Captioning
from rnnzoo.tasks.translation import Translation
from rnnzoo.testing import architecture_tests


class Walking(NamedTuple):
    """sources: (hypotheses, steps, features). mask: (hypotheses, steps). h: (hypotheses, hidden_size)."""

    sources: torch.Tensor
    mask: torch.Tensor
    h: torch.Tensor

    def select(self, rows):
        return Walking(*(part[rows] for part in self))


class Writer(nn.Module):
    """A GRU cell of torch that reads 3 features, and looks at all steps of the source with equal weights."""

    input_size, attends = 3, True

    def __init__(self, hidden_size, source_size):
        super().__init__()
        self.cell = nn.GRUCell(3, hidden_size)
        self.bridge = nn.Linear(source_size, hidden_size)
        self.output_size = hidden_size + source_size

    def start(self, encoded):
        return Walking(encoded.outputs, encoded.sequences.layout.mask, torch.tanh(self.bridge(encoded.last)))

    def decode(self, y, state, lengths=None):
        weights = state.mask / state.mask.sum(1, keepdim=True).clamp(min=1)
        seen = (weights.unsqueeze(-1) * state.sources).sum(1)
        h, features = state.h, []
        for step in y.unbind(1):
            h = self.cell(step, h)
            features.append(torch.cat([h, seen], -1))
        return Decoded(torch.stack(features, 1), state._replace(h=h), weights.unsqueeze(1).expand(-1, y.shape[1], -1))


class OwnWriter(Architecture):
    """A linear encoder, and a `Writer` that is a part of it."""

    @checked
    def __init__(self, input_size: Size, hidden_size: Size = 6):
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        self.encoder = nn.Linear(input_size, hidden_size)
        self.writer = Writer(hidden_size, hidden_size)

    @classmethod
    def answers(cls, **parameters):
        return frozenset({SEQUENCE})

    def target_decoder(self):
        return self.writer

    def encode(self, x, state, need_state):
        mask = x.layout.mask.unsqueeze(-1)
        outputs = torch.tanh(self.encoder(x.padded)) * mask
        last = outputs.sum(1)
        return Encoded(Sequences.of(outputs, x.layout.lengths), last, [(last,)] if need_state else None)


test_own_writer_keeps_the_contract = architecture_tests(OwnWriter)


@pytest.fixture
def registered():
    registry.register("architectures", "own_writer", OwnWriter)
    yield
    registry.unregister("architectures", "own_writer")


def test_it_trains_translates_by_beam_search_and_has_its_attention_drawn(registered, tmp_path):
    recipe = recipes.read(
        "toy_reverse",
        [
            '--model.architecture={"name": "own_writer"}',
            "--model.inputs.tokens.size=5",
            "--data.examples=60",
            "--task.beam=2",
            "--task.max_steps=8",
            "--callbacks.attention.sentences=1",
            "--trainer.max_epochs=1",
            "--trainer.enable_progress_bar=false",
            "--tracking.mode=disabled",
        ],
    )
    summary, run = fit(resolve(recipe), tmp_path / "run")
    assert summary["status"] == "finished" and "test/bleu" in summary["metrics"]
    assert len(list((run.path / "pictures").glob("attention_1-*.svg"))) == 1


def log_likelihood(model, batch, tokens):
    """ln p of the tokens written for a batch of one sequence."""
    previous = torch.tensor([[BOS, *tokens[:-1]]])
    logits, _ = model.decoder_logits(previous, model.start_decoder(batch))
    return logits[0].log_softmax(-1).gather(1, torch.tensor(tokens)[:, None]).sum().item()


@torch.no_grad()
def test_a_wide_beam_finds_its_likeliest_captions():
    words = Field("tokens", (*SPECIALS, "a", "b"))
    task = Captioning(DataSpec("described_series", {"values": Field("values", size=3)}, words), beam=50, max_steps=4)
    task.length_penalty = 0.0
    torch.manual_seed(0)
    model = build_model(task.spec, task, OwnWriter).eval()
    model.head.weight.mul_(4)  # far from equal probabilities
    x, lengths = torch.randn(3, 5, 3), torch.tensor([5, 1, 3])
    texts = [[*text, EOS] for n in range(4) for text in itertools.product((4, 5), repeat=n)]
    for row, written in enumerate(task.generate(model, Batch({"values": x}, lengths))):
        alone = Batch({"values": x[row : row + 1, : lengths[row]]}, lengths[row : row + 1])
        assert written == max(texts, key=lambda text: log_likelihood(model, alone, text))


def test_an_architecture_without_a_decoder_is_named():
    words = Field("tokens", (*SPECIALS, "a", "b"))
    task = Translation(DataSpec("text_pairs", {"tokens": words}, words))
    with pytest.raises(ValueError, match="the architecture Recurrent has no decoder"):
        build_model(task.spec, task, "recurrent")
