import numpy as np
import pytest
import torch
from rnnzoo_sru import SRUCell

from rnnzoo import create_model
from rnnzoo.testing import cell_tests

test_sru_keeps_the_contract = cell_tests("sru")


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


@pytest.mark.parametrize("input_size", [4, 3])
def test_the_outputs_are_those_of_the_papers_equations(input_size):
    network = create_model("recurrent", input_size, cell=SRUCell, hidden_size=4)
    x = torch.randn(2, 20, input_size)
    p = {name: parameter.detach().numpy() for name, parameter in network.cells[0].named_parameters()}
    (W, W_f, W_r), (b, b_f, b_r) = np.split(p["weight_ih"], 3), np.split(p["bias_ih"], 3)
    W_h = p.get("skip.weight", np.eye(4))
    assert ("skip.weight" in p) == (input_size != 4)
    c, wanted = np.zeros((2, 4)), []
    for t in range(20):
        u = x[:, t].numpy()
        f = sigmoid(u @ W_f.T + p["v_f"] * c + b_f)
        r = sigmoid(u @ W_r.T + p["v_r"] * c + b_r)
        c = f * c + (1 - f) * (u @ W.T + b)
        wanted.append(r * c + (1 - r) * np.sqrt(3) * (u @ W_h.T))
    found = network(x).outputs.detach().numpy()
    np.testing.assert_allclose(found, np.stack(wanted, 1), rtol=1e-5, atol=1e-6)


def test_input_weights_start_with_a_variance_of_one_over_the_input_size():
    cell = SRUCell(50, 400)
    for weight in (cell.weight_ih, cell.skip.weight):
        assert weight.var().item() == pytest.approx(1 / 50, rel=0.05)


def test_the_forget_gate_takes_the_named_biases():
    biases = SRUCell(3, 4, init="orthogonal", forget_bias=2).bias_ih.unflatten(0, (3, 4))
    assert biases[:, 0].tolist() == [0, 2, 0]
