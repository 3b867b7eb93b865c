"""Gradients that are put off are the gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rnnzoo.cells.base import Cell
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.cells.projected import ProjectedLSTMCell
from rnnzoo.engine import choose
from rnnzoo.engine.recurrence import Recurrence, using_path
from rnnzoo.engine.sequences import Sequences


class Twice(Cell):
    """A weight that a step uses twice, and not in F.linear alone."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.inner, self.input = nn.Linear(hidden_size, hidden_size), nn.Linear(input_size, hidden_size)

    def project(self, x):
        return self.input(x)

    def step(self, gx, state):
        h = self.inner(torch.tanh(self.inner(state[0])))
        return (torch.tanh(gx + h) + 0.1 * torch.mm(state[0], self.inner.weight),)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("cell_class", [LSTMCell, GRUCell, ProjectedLSTMCell, Twice])
def test_deferred_products_give_the_plain_loops_gradients_once_twice_and_of_gradients(cell_class, reverse):
    torch.manual_seed(0)
    layer = Recurrence(cell_class(5, 6), reverse)
    x, lengths = torch.randn(4, 9, 5, requires_grad=True), torch.tensor([3, 9, 0, 5])
    h0 = tuple(torch.randn_like(s).requires_grad_() for s in layer.cell.initial_state(4, x))
    found = {}
    for path in ("reference", "deferred"):
        with using_path(layer, path):
            outputs, last = layer(Sequences.of(x, lengths), h0)
        total = outputs.padded.sin().sum() + sum(s.square().sum() for s in last)
        inputs = [x, *h0, *layer.parameters()]
        first = torch.autograd.grad(total, inputs, retain_graph=True)
        again = torch.autograd.grad(total, inputs, retain_graph=True)
        once = torch.autograd.grad(total, inputs, create_graph=True)
        twice = torch.autograd.grad(sum(g.square().sum() for g in once), inputs, allow_unused=True)
        found[path] = [outputs.padded, *first, *again, *once, *(torch.zeros(()) if g is None else g for g in twice)]
    for a, b in zip(found["deferred"], found["reference"], strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_gradients_asked_one_after_another_of_a_retained_graph_are_those_asked_at_once():
    layer, x = Recurrence(ProjectedLSTMCell(5, 6, proj_size=3)), torch.randn(3, 7, 5, requires_grad=True)
    with using_path(layer, "deferred"):
        outputs = layer(Sequences.of(x))[0].padded
    inputs = [x, *layer.parameters()]
    for total in (outputs.sin().sum(), outputs[:, :3].square().sum()):  # the second one does not reach every step
        wanted = torch.autograd.grad(total, inputs, retain_graph=True)
        found = [torch.autograd.grad(total, one, retain_graph=True)[0] for one in inputs]
        torch.testing.assert_close(found, list(wanted), rtol=0, atol=0)


def test_a_weight_has_one_product_on_the_way_back_however_many_steps_there_are():
    layer = Recurrence(Twice(5, 6))
    with using_path(layer, "deferred"):
        outputs, _ = layer(Sequences.of(torch.randn(3, 20, 5)))
    shapes = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function is torch.ops.aten.mm.default:
                shapes.append(tuple(args[0].shape))
            return function(*args, **(kwargs or {}))

    with Watch():
        outputs.padded.sum().backward()
    assert shapes.count((6, 2 * 20 * 3)) == 1


def test_only_wide_layers_put_their_products_off():
    class Narrow(Twice):
        def step(self, gx, state):
            return (torch.tanh(gx + F.linear(torch.tanh(state[0]), self.inner.weight)),)

    x = Sequences.of(torch.zeros(1, 2, 5))
    assert choose.choose(Narrow(5, 6), x)[0].name == "reference"
    assert choose.choose(Narrow(5, choose.WIDE), x)[0].name == "deferred"
