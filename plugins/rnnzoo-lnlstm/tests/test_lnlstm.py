import numpy as np
import pytest
import torch

from rnnzoo import create_model
from rnnzoo.testing import cell_tests

test_contract = cell_tests("lnlstm")


def made():
    """A network of one layer in float64, its gains and shifts away from 1 and 0, and its cell's parameters in numpy."""
    network = create_model("recurrent", 3, cell="lnlstm", hidden_size=4).double()
    (cell,) = network.cells
    with torch.no_grad():
        for norm in (cell.norm_x, cell.norm_h, cell.norm_c):
            for parameter in norm.parameters():
                parameter.normal_()
    return network, {name: value.detach().numpy() for name, value in cell.named_parameters()}


def layer_norm(v, gain, shift=0.0):
    return gain * (v - v.mean()) / np.sqrt(v.var() + 1e-5) + shift


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def test_every_step_follows_the_papers_equations():
    network, p = made()
    x = torch.randn(1, 6, 3, dtype=torch.float64)
    h = c = np.zeros(4)
    for step, found in zip(x[0].numpy(), network(x).outputs[0].detach().numpy(), strict=True):
        gates = layer_norm(p["weight_hh"] @ h, p["norm_h.weight"])
        gates = gates + layer_norm(p["weight_ih"] @ step, p["norm_x.weight"]) + p["bias_ih"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(layer_norm(c, p["norm_c.weight"], p["norm_c.bias"]))
        np.testing.assert_allclose(found, h)


@pytest.mark.parametrize("name", ["weight_ih", "weight_hh"])
def test_scaling_a_weight_matrix_changes_nothing(name):
    network, _ = made()
    (cell,) = network.cells
    with torch.no_grad():
        getattr(cell, name).mul_(1e3)  # beside which the epsilon in the norm is nothing
        x = torch.randn(2, 6, 3, dtype=torch.float64)
        state = [(torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64))]
        before = network(x, state=state).outputs
        getattr(cell, name).mul_(1e3)
        torch.testing.assert_close(network(x, state=state).outputs, before, rtol=1e-6, atol=1e-6)
