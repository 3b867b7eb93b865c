"""Linear recurrences and whole-sequence forms equal the plain loop; layers run side by side give what they give alone."""

import pytest
import torch
from torch import nn

from rnnzoo.cells.base import Cell, LinearCell, StateSpec
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.engine import linear
from rnnzoo.engine.choose import forced
from rnnzoo.engine.layout import Layout, Sequences
from rnnzoo.engine.recurrence import Recurrence, together

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


class Sum(Cell):
    """h' = h + x, and the same for all steps at once."""

    def project(self, x):
        return x[..., : self.hidden_size]

    def step(self, gx, state):
        return (state[0] + gx,)

    def scan(self, gx, layout, state):
        sums = layout.grid(gx).cumsum(1) + state[0].unsqueeze(1)
        last = torch.cat([state[0].unsqueeze(1), sums], 1)
        return layout.rows_of(sums), (last[torch.arange(layout.batch), layout.sorted_lengths],)


def everything(layer, x, state):
    outputs, last = layer(Sequences.of(x, LENGTHS), state)
    made = [outputs.padded, *last]
    weights = [torch.linspace(-1, 1, t.numel()).view_as(t) for t in made]
    total = sum(((t.real + t.imag if t.is_complex() else t) * w).sum() for t, w in zip(made, weights, strict=True))
    return [*made, *torch.autograd.grad(total, [x, *(state or ()), *layer.parameters()])]


@pytest.mark.parametrize("given", [True, False], ids=["h0", "zeros"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize(
    ("cell_class", "path", "scan"),
    [
        (Decay, "linear", "SequentialScan"),
        (Decay, "linear", "ParallelScan"),
        (Rotation, "linear", "SequentialScan"),
        (Rotation, "linear", "ParallelScan"),
        (Sum, "scan", "SequentialScan"),
    ],
)
def test_a_pass_over_all_steps_equals_the_plain_loop(cell_class, path, scan, reverse, given, monkeypatch):
    torch.manual_seed(0)
    layer = Recurrence(cell_class(5, 4), reverse)
    x = torch.randn(6, 9, 5, requires_grad=True)
    state = tuple(torch.randn_like(s).requires_grad_() for s in layer.cell.initial_state(6, x)) if given else None
    with forced("reference"):
        wanted = everything(layer, x, state)
    monkeypatch.setattr(linear, "SequentialScan", getattr(linear, scan))
    with forced(path):
        found = everything(layer, x, state)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_a_grid_holds_each_sequence_longest_first_and_gives_its_rows_back():
    layout = Layout(LENGTHS, 9, torch.device("cpu"))
    rows = torch.randn(int(LENGTHS.sum()), 2)
    grid = layout.grid(rows)
    assert torch.equal(layout.rows_of(grid), rows)
    assert torch.equal(grid, Sequences(layout, rows=rows).padded[layout.order])


@pytest.mark.parametrize("threads", [1, 2])
def test_layers_side_by_side_give_what_they_give_alone(threads):
    torch.manual_seed(0)
    layers = [Recurrence(LSTMCell(5, 6)), Recurrence(GRUCell(5, 6), reverse=True)]
    x = torch.randn(6, 9, 5, requires_grad=True)
    parameters = [parameter for layer in layers for parameter in layer.parameters()]

    def gradients(results):
        total = sum((outputs.padded * state[0].sum()).sum() for outputs, state in results)
        return torch.autograd.grad(total, [x, *parameters])

    alone = gradients([layer(Sequences.of(x, LENGTHS)) for layer in layers])
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        beside = gradients(together(layers, Sequences.of(x, LENGTHS), [None, None]))
    finally:
        torch.set_num_threads(before)
    for a, b in zip(beside, alone, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
