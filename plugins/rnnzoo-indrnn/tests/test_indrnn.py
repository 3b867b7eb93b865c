import numpy as np
import pytest
import torch
from rnnzoo_indrnn import IndRNNCell

from rnnzoo import create_model
from rnnzoo.testing import cell_tests

test_indrnn_keeps_the_contract = cell_tests("indrnn")


def test_the_outputs_are_those_of_the_papers_equation():
    network = create_model("recurrent", 3, cell=IndRNNCell, hidden_size=4)
    x = torch.randn(2, 20, 3)
    W, u, b, c = (parameter.detach().numpy() for parameter in network.cells[0].parameters())
    h, wanted = np.zeros((2, 4)), []
    for t in range(20):
        h = np.maximum(0, x[:, t].numpy() @ W.T + u[0] * h + b + c)
        wanted.append(h)
    found = network(x).outputs.detach().numpy()
    np.testing.assert_allclose(found, np.stack(wanted, 1), rtol=1e-5, atol=1e-6)


def test_no_channel_sees_another():
    cell = IndRNNCell(2, 5)
    across = torch.func.jacrev(lambda h: cell(torch.ones(1, 2), (h[None],))[0][0])(torch.rand(5))
    assert across.any() and torch.equal(across, across.diagonal().diag())


def test_with_a_memory_of_t_steps_t_steps_neither_double_nor_halve_a_state():
    u = IndRNNCell(2, 500, memory_steps=40).weight_hh
    assert (u**40 >= 0.5 - 1e-5).all() and (u**40 <= 2 + 1e-5).all()


def test_recurrent_weights_are_clipped_in_training_and_left_alone_in_evaluation():
    network = create_model("recurrent", 2, cell={"name": "indrnn", "memory_steps": 1}, hidden_size=3)
    u = network.cells[0].weight_hh
    with torch.no_grad():
        u.copy_(torch.tensor([[3.0, -3.0, 0.5]]))
    x = torch.ones(1, 4, 2)
    network.eval()(x)
    assert u.tolist() == [[3.0, -3.0, 0.5]]
    network.train()(x)
    assert u.tolist() == [[2.0, -2.0, 0.5]]


def test_two_passes_before_one_backward_pass_are_allowed():
    network = create_model("recurrent", 2, cell={"name": "indrnn", "memory_steps": 1}, hidden_size=3)
    with torch.no_grad():
        network.cells[0].weight_hh.fill_(3)
    x = torch.ones(1, 4, 2)
    (network(x).outputs.sum() + network(x).outputs.sum()).backward()


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "9"])
def test_a_memory_that_is_no_positive_whole_number_is_refused(steps):
    with pytest.raises(ValueError, match="memory_steps must be a whole number >= 1"):
        IndRNNCell(2, 3, memory_steps=steps)
