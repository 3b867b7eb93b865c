"""Steps with few different features are projected once each, and answered as any others."""

import pytest
import torch
import torch.nn.functional as F
from conftest import no_compiler

from rnnzoo import registry
from rnnzoo.cells.base import NoiseSpec, PointwiseCell, make_cell
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.engine.sequences import Distinct, Sequences

BATCH, TIME, SIZE = 203, 7, 5  # sequences of more than two tiles


class Other(LSTMCell):
    """A projection and an output of its own."""

    def project(self, x):
        return torch.tanh(super().project(x))

    def readout(self, gx, state):
        return state.h * gx[..., : self.hidden_size]


class Squashed(GRUCell):
    """A projection of its own alone, and noise."""

    noise = (NoiseSpec((6,), 0.5),)

    def project(self, x):
        return torch.tanh(super().project(x))

    def update(self, gx, gh, state, kept):
        (h,) = super().update(gx, gh, state)
        return (kept * h,)


class Normal(PointwiseCell):
    """Sums over channels, and a memory beside the output."""

    gates, states, recurrent = ("a", "b"), ("h", "c", "d"), "diagonal"

    def update(self, gx, gh, state):
        c = F.layer_norm(torch.tanh(gx.a + gh.a) + state.c, (6,))
        return torch.tanh(c + state.d), c, torch.sigmoid(gx.b + gh.b) * state.d + 0.1 * c


def both(seed=0):
    """The same sequences, with their distinct features and without; some have no step."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(0, 9, (BATCH, TIME), generator=generator)
    features = torch.randn(9, SIZE, generator=generator)
    lengths = torch.randint(0, TIME + 1, (BATCH,), generator=generator)
    given = Sequences(Layout(lengths, TIME, torch.device("cpu")), distinct=Distinct(features, numbers))
    return given, Sequences.of(features[numbers], lengths)


def check(cell, path="auto", started=False):
    given, usual = both()
    for reverse in (False, True):
        layer = Recurrence(cell, reverse, path).eval()
        state = None
        if started:
            state = tuple(torch.randn(BATCH, *spec.shape).clamp(-0.9, 0.9) for spec in cell.state_specs())
        with torch.inference_mode():
            outputs, last = layer(given, state)
            wanted, wanted_last = layer(usual, state)
        torch.testing.assert_close(outputs.padded, wanted.padded, atol=1e-5, rtol=1e-5)
        for one, other in zip(last, wanted_last, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(no_compiler(), reason="no C++ compiler")
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("cell", [LSTMCell, GRUCell, Other, Squashed, Normal])
def test_a_cell_in_native_code_gives_the_same(cell, started):
    check(cell(SIZE, 6), "native", started)


@pytest.mark.parametrize("path", ["reference", "fused"])
def test_other_paths_give_the_same(path):
    check(LSTMCell(SIZE, 6), path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [entry.name for entry in registry.entries("cells")])
def test_every_cell_gives_the_same(name):
    check(make_cell(name, SIZE, 8))


def test_the_forms_and_the_single_steps_are_those_of_the_features():
    given, usual = both()
    assert given.features == SIZE and given.dtype == torch.float32
    assert torch.equal(given.first_steps(), usual.first_steps())
    assert torch.equal(given.at_ends(), usual.at_ends())
    assert torch.equal(given.rows, usual.rows)
    assert torch.equal(both()[0].map(torch.neg).padded, -usual.padded)
