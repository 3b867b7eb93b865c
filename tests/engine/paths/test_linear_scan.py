"""Passes over all steps at once equal the plain loop; layers side by side give what they give alone."""

import itertools
from functools import partial

import pytest
import torch
from torch import nn

from rnnzoo.cells.base import Cell, LinearCell, NoiseSpec, StateSpec
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.cells.wrappers import Highway, OutputNorm, Wrapper, Zoneout
from rnnzoo.engine.cpp import path as native
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.paths import linear_scan as linear
from rnnzoo.engine.recurrence import Recurrence, run_together, using_path
from rnnzoo.engine.sequences import Sequences

LENGTHS = torch.tensor([3, 9, 0, 1, 9, 5])


class Decay(LinearCell):
    gates = ("z", "v")

    def coefficients(self, gx):
        z = torch.sigmoid(gx[0])
        return 1 - z, z * gx[1]


class Rotation(LinearCell):
    """A complex state with constant coefficients, and an output of another size."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.states = (StateSpec("h", (hidden_size,), torch.complex64),)
        self.angle, self.real = nn.Parameter(torch.randn(hidden_size)), nn.Linear(input_size, hidden_size)
        self.out = nn.Linear(hidden_size, 3)

    @property
    def output_size(self):
        return 3

    def project(self, x):
        return self.real(x)

    def coefficients(self, gx):
        return torch.polar(torch.full_like(self.angle, 0.9), self.angle), torch.complex(gx, gx * 0.5)

    def readout(self, gx, state):
        return self.out(state[0].real) + gx[..., :3]


class Halved(Wrapper):
    def after(self, new, old):
        return (new[0] / 2,)


class Sum(Cell):
    """h' = h + x, and the same for all steps at once."""

    def project(self, x):
        return x[..., : self.hidden_size]

    def step(self, gx, state):
        return (state[0] + gx,)

    def scan(self, gx, layout, state):
        sums = layout.to_grid(gx).cumsum(1) + state[0].unsqueeze(1)
        last = torch.cat([state[0].unsqueeze(1), sums], 1)
        return layout.from_grid(sums), (last[torch.arange(layout.batch), layout.sorted_lengths],)


def everything(layer, x, state):
    outputs, last = layer(Sequences.of(x, LENGTHS), state)
    made = [outputs.padded, *last]
    weights = [torch.linspace(-1, 1, t.numel()).view_as(t) for t in made]
    total = sum(((t.real + t.imag if t.is_complex() else t) * w).sum() for t, w in zip(made, weights, strict=True))
    return [*made, *torch.autograd.grad(total, [x, *(state or ()), *layer.parameters()])]


@pytest.mark.parametrize("given", [True, False], ids=["h0", "zeros"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize(
    ("cell_class", "path", "solve"),
    [
        (Decay, "linear", "scan_sequential"),
        (Decay, "linear", "scan_parallel"),
        (Rotation, "linear", "scan_sequential"),
        (Rotation, "linear", "scan_parallel"),
        (partial(OutputNorm, cell=Decay), "linear", "scan_sequential"),
        (partial(Highway, cell=partial(OutputNorm, cell=Rotation)), "linear", "scan_sequential"),
        (Sum, "scan", "scan_sequential"),
    ],
)
def test_a_pass_over_all_steps_equals_the_plain_loop(cell_class, path, solve, reverse, given, monkeypatch):
    torch.manual_seed(0)
    layer = Recurrence(cell_class(5, 4), reverse)
    x = torch.randn(6, 9, 5, requires_grad=True)
    state = tuple(torch.randn_like(s).requires_grad_() for s in layer.cell.initial_state(6, x)) if given else None
    with using_path(layer, "reference"):
        wanted = everything(layer, x, state)
    monkeypatch.setattr(linear, "scan_sequential", getattr(linear, solve))
    with using_path(layer, path):
        found = everything(layer, x, state)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_a_wrapper_that_changes_the_step_is_not_linear():
    for wrapper in (Zoneout, Halved):
        cell = wrapper(5, 4, cell=Decay)
        assert "more than h' = a * h + b" in linear.LinearScan().refuses(cell, Sequences.of(torch.zeros(1, 1, 5), None))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("solve", ["scan_sequential", "scan_parallel"])
def test_a_linear_pass_has_gradients_of_gradients(solve, reverse, monkeypatch):
    monkeypatch.setattr(linear, "scan_sequential", getattr(linear, solve))
    torch.manual_seed(0)
    layout = Layout(torch.tensor([3, 0, 1, 2]), 3, torch.device("cpu"))
    a, b = (torch.randn(6, 2, dtype=torch.complex128, requires_grad=True) for _ in range(2))
    first = torch.randn(4, 2, dtype=torch.complex128, requires_grad=True)

    def scan(*inputs):
        return linear.Scan.apply(*inputs, layout, reverse)

    assert torch.autograd.gradcheck(scan, (a, b, first))
    assert torch.autograd.gradgradcheck(scan, (a, b, first))


def test_a_grid_holds_each_sequence_longest_first_and_gives_its_rows_back():
    layout = Layout(LENGTHS, 9, torch.device("cpu"))
    rows = torch.randn(int(LENGTHS.sum()), 2)
    grid = layout.to_grid(rows)
    assert torch.equal(layout.from_grid(grid), rows)
    assert torch.equal(grid, Sequences(layout, rows=rows).padded[layout.sorted_indices])


class Masked(GRUCell):
    """Masks of both kinds, a projection and a readout of its own."""

    noise = (NoiseSpec((6,), 0.5), NoiseSpec((6,), 0.2, per="sequence"))

    def project(self, x):
        return super().project(x * 2)

    def update(self, gx, gh, state, fresh, locked):
        return (super().update(gx, gh, state)[0] * fresh + state[0] * locked,)

    def readout(self, gx, state):
        return state[0] * torch.tanh(gx[..., :6])


@pytest.mark.parametrize("threads", [1, 2, 6])
def test_layers_side_by_side_and_parts_of_a_batch_give_what_they_give_alone(threads, monkeypatch):
    monkeypatch.setattr(native, "SMALLEST", 1)
    monkeypatch.setattr(native, "ROWS", 1)
    torch.manual_seed(0)
    layers = [Recurrence(LSTMCell(5, 6)), Recurrence(Masked(5, 6), reverse=True)]
    x = torch.randn(6, 9, 5, requires_grad=True)
    states = [tuple(torch.randn(6, 6, requires_grad=True) for _ in layer.cell.states) for layer in layers]
    inputs = [x, *itertools.chain(*states), *(parameter for layer in layers for parameter in layer.parameters())]

    def gradients(results):
        total = sum(o.padded.square().mean() + last.square().mean() for o, state in results for last in state)
        return torch.autograd.grad(total, inputs)

    torch.manual_seed(1)
    with using_path(nn.ModuleList(layers), "reference"):
        alone = gradients([layer(Sequences.of(x, LENGTHS), state) for layer, state in zip(layers, states, strict=True)])
    torch.manual_seed(1)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        beside = gradients(run_together(layers, Sequences.of(x, LENGTHS), states))
    finally:
        torch.set_num_threads(before)
    for a, b in zip(beside, alone, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
