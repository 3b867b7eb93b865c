import math

import pytest
import torch
from rnnzoo_rglru import RGLRUCell

from rnnzoo import create_model
from rnnzoo.testing import cell_tests

test_rglru_keeps_the_contract = cell_tests("rglru")


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def test_the_outputs_are_those_of_the_papers_equations():
    network = create_model("recurrent", 3, cell=RGLRUCell, hidden_size=2).double()
    (cell,) = network.cells
    x = torch.randn(1, 20, 3, dtype=torch.float64)
    h, wanted = [0.0, 0.0], []
    for gates in cell.project(x[0]).tolist():
        for j in range(2):
            r, i, u = sigmoid(gates[j]), sigmoid(gates[2 + j]), gates[4 + j]
            a = sigmoid(cell.Lambda[j].item()) ** (8 * r)
            h[j] = a * h[j] + math.sqrt(1 - a**2) * i * u
        wanted.append(list(h))
    torch.testing.assert_close(network(x).outputs[0], torch.tensor(wanted, dtype=torch.float64))


def test_the_slowest_decay_starts_uniform_between_0_9_and_0_999():
    decay = torch.sigmoid(RGLRUCell(2, 20_000).Lambda.double()) ** 8
    assert decay.min() >= 0.9 - 1e-4 and decay.max() <= 0.999 + 1e-4
    assert decay.mean().item() == pytest.approx((0.9 + 0.999) / 2, abs=1e-3)


@pytest.mark.parametrize("gate", [-1e4, 1e4])
def test_a_saturated_recurrence_gate_stays_finite(gate):
    gates = torch.tensor([[gate, 0.5, 1.0]], requires_grad=True)
    cell = RGLRUCell(1, 1)
    (h,) = cell.step(gates, (torch.ones(1, 1),))
    gradients = torch.autograd.grad(h.sum(), [gates, cell.Lambda])
    assert h.isfinite().all() and all(g.isfinite().all() for g in gradients)
    if gate < 0:
        assert h.item() == 1  # nothing is forgotten, nothing written
