"""Chunks of steps under torch.compile give what the plain loop gives."""

import pytest
import torch
import torch.nn.functional as F
from conftest import no_compiler
from torch import nn

from rnnzoo.cells.base import Cell, NoiseSpec, StateSpec
from rnnzoo.engine import choose
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.recurrence import Recurrence, using_path
from rnnzoo.engine.sequences import Sequences


class Attending(Cell):
    """States of two sizes, masks of both kinds, a projection that is a tuple, and a readout."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.states = (StateSpec("h", (hidden_size,)), StateSpec("M", (2, 3), initial=0.5))
        self.noise = (NoiseSpec((hidden_size,), 0.5), NoiseSpec((2, 3), 0.2, per="sequence"))
        self.wide, self.narrow = nn.Linear(input_size, hidden_size), nn.Linear(input_size, 3)
        self.inner, self.out = nn.Linear(hidden_size + 6, hidden_size), nn.Linear(hidden_size, 4)

    @property
    def output_size(self):
        return 4

    def project(self, x):
        return self.wide(x), self.narrow(x)

    def step(self, gx, state, fresh, locked):
        h, memory = state
        memory = torch.softmax(memory + gx[1].unsqueeze(1), -1) * locked
        h = torch.tanh(gx[0] + self.inner(torch.cat([h, memory.flatten(1)], -1))) * fresh
        return h, memory

    def readout(self, gx, state):
        return self.out(state[0]) + gx[1].sum(-1, keepdim=True) * state[1].sum((-1, -2)).unsqueeze(-1)


class Plain(Cell):
    gates = ("h",)

    def make_recurrent(self):
        self.weight_hh = nn.Parameter(torch.empty(self.hidden_size, self.hidden_size))

    def step(self, gx, state):
        return (torch.tanh(gx + F.linear(F.normalize(state[0], dim=-1), self.weight_hh)),)


def test_chunks_hold_every_row_once():
    layout = Layout(torch.tensor([3, 9, 0, 1, 9, 5]), 9, torch.device("cpu"))
    parts, places, of_rows = layout.chunks(4)
    assert [(live, tuple(real.shape)) for live, real in parts] == [(5, (4, 5)), (3, (4, 3)), (2, (4, 2))]
    assert torch.equal(places[of_rows], torch.arange(27))
    assert sum(int(real.sum()) for _, real in parts) == 27


@pytest.mark.slow
@pytest.mark.skipif(no_compiler(), reason="no C++ compiler")
@pytest.mark.parametrize("cell_class", [Plain, Attending])
def test_compiled_chunks_equal_the_plain_loop_in_outputs_states_and_gradients(cell_class):
    torch.manual_seed(0)
    for reverse in (False, True):
        layer = Recurrence(cell_class(5, 6), reverse)
        for lengths in ([3, 23, 0, 1, 9, 23], [23] * 6):
            x = torch.randn(6, 23, 5, requires_grad=True)
            h0 = tuple(torch.randn_like(s).requires_grad_() for s in layer.cell.initial_state(6, x))
            found = {}
            for path in ("reference", "compiled"):
                torch.manual_seed(1)
                with using_path(layer, path):
                    outputs, last = layer(Sequences.of(x, torch.tensor(lengths)), h0)
                made = [outputs.padded, *last]
                weights = [torch.linspace(-1, 1, t.numel()).view_as(t) for t in made]
                total = sum((t * w).sum() for t, w in zip(made, weights, strict=True))
                found[path] = [*made, *torch.autograd.grad(total, [x, *h0, *layer.parameters()])]
            for a, b in zip(found["compiled"], found["reference"], strict=True):
                torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
            assert choose.PATHS["compiled"].refuses(layer.cell, Sequences.of(x)) is None


def test_a_cell_that_does_not_compile_runs_step_by_step_and_says_so_once(monkeypatch, caplog):
    def gives_up(*arguments, **options):
        raise RuntimeError("no code for this")

    monkeypatch.setitem(vars(choose.PATHS["compiled"]), "chunk", gives_up)
    layer, x = Recurrence(Plain(5, 6)), torch.randn(2, 4, 5)
    wanted, _ = layer(Sequences.of(x))
    with using_path(layer, "compiled"):
        found, _ = layer(Sequences.of(x))
    assert torch.equal(found.padded, wanted.padded)
    assert caplog.text.count("torch.compile failed: RuntimeError") == 1
    assert "torch.compile failed" in choose.PATHS["compiled"].refuses(layer.cell, Sequences.of(x))


@pytest.mark.skipif(no_compiler(), reason="no C++ compiler")
def test_compiling_waits_until_the_plain_loop_has_trained_as_long_as_it_takes(monkeypatch):
    monkeypatch.setattr(choose, "PATIENCE", 8)
    layer, x = Recurrence(Plain(5, 6)), Sequences.of(torch.randn(2, 4, 5))
    names = []
    for _ in range(3):
        names.append(choose.choose(layer.cell, x, layer.steps)[0].name)
        with using_path(layer, "reference"):
            layer(x)
    assert names == ["reference", "reference", "compiled"]
    layer.eval()
    assert layer.steps == 12
    with using_path(layer, "reference"):
        layer(x)
    assert layer.steps == 12
