import numpy as np
import pytest
import torch
from rnnzoo_xlstm import CHUNK, EPS, MLSTMCell, SLSTMCell

from rnnzoo import create_model
from rnnzoo.testing import cell_tests

test_slstm_keeps_the_contract = cell_tests("slstm")
test_mlstm_keeps_the_contract = cell_tests("mlstm")


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def network(cell, hidden_size, **options):
    made = create_model("recurrent", 3, cell={"name": cell, **options}, hidden_size=hidden_size).double()
    return made, {name: value.detach().numpy() for name, value in made.cells[0].named_parameters()}


def test_slstm_is_the_papers_without_a_stabiliser():
    model, p = network("slstm", 6, num_heads=2)
    x = 3 * torch.randn(1, 30, 3, dtype=torch.float64)
    h = c = n = np.zeros(6)
    for step, found in zip(x[0].numpy(), model(x).outputs[0].detach().numpy(), strict=True):
        own = p["weight_ih"] @ step + p["bias_ih"] + p["bias_hh"]
        mixed = [np.concatenate([R[0] @ h[:3], R[1] @ h[3:]]) for R in p["weight_hh"]]  # a block per head
        i, f, z, o = np.split(own + np.concatenate(mixed), 4)
        c = sigmoid(f) * c + np.exp(i) * np.tanh(z)
        n = sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        np.testing.assert_allclose(found, h)


def test_mlstm_is_the_papers_without_a_stabiliser():
    model, p = network("mlstm", 6, num_heads=2)
    torch.nn.init.normal_(model.cells[0].scale)
    x = 3 * torch.randn(1, 2 * CHUNK + 5, 3, dtype=torch.float64)
    inputs = x[0].numpy()
    C, n = np.zeros((2, 3, 3)), np.zeros((2, 3))
    for t, found in enumerate(model(x).outputs[0].detach().numpy()):
        s = sum(p["conv"][3 - back] * inputs[t - back] for back in range(min(4, t + 1)))
        q, k = np.split(p["query_key.weight"] @ (s * sigmoid(s)) + p["query_key.bias"], 2)
        v, o, i, f = np.split(p["linear.weight"] @ inputs[t] + p["linear.bias"], [6, 12, 14])
        heads = []
        for head, (q_, k_, v_) in enumerate(zip(*(part.reshape(2, 3) for part in (q, k, v)), strict=True)):
            k_ = k_ / np.sqrt(3)
            C[head] = sigmoid(f[head]) * C[head] + np.exp(i[head]) * np.outer(v_, k_)
            n[head] = sigmoid(f[head]) * n[head] + np.exp(i[head]) * k_
            read = C[head] @ q_ / max(abs(n[head] @ q_), 1)
            heads.append(read / np.sqrt((read**2).mean() + EPS) * p["scale"][head])
        np.testing.assert_allclose(found, sigmoid(o) * np.concatenate(heads))


@pytest.mark.parametrize("cell", ["slstm", "mlstm"])
@pytest.mark.parametrize("gate", [-1e3, 1e3])
def test_input_gates_beyond_the_range_of_exp_stay_finite(cell, gate):
    model = create_model("recurrent", 3, cell=cell, hidden_size=4)
    (made,) = model.cells
    with torch.no_grad():
        bias = made.bias_ih[:4] if cell == "slstm" else made.linear.bias[-8:-4]
        bias.fill_(gate)
    outputs = model(torch.randn(2, 2 * CHUNK, 3)).outputs
    outputs.sum().backward()
    assert outputs.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_the_memory_of_slstm_is_a_mean():
    (cell,) = create_model("recurrent", 3, cell="slstm", hidden_size=4).cells
    state = None
    for _ in range(50):
        _, state = cell(5 * torch.randn(8, 3), state)
        _, c, n, _ = state
        assert (c.abs() <= n * (1 + 1e-6)).all() and (n >= 1 - 1e-6).all()


@pytest.mark.parametrize(("hidden_size", "heads"), [(8, 4), (6, 2), (7, 1), (1, 1)])
def test_the_default_number_of_heads_divides_hidden_size(hidden_size, heads):
    assert SLSTMCell(2, hidden_size).blocks == MLSTMCell(2, hidden_size).num_heads == heads


@pytest.mark.parametrize("cell", [SLSTMCell, MLSTMCell])
def test_heads_that_do_not_divide_hidden_size_are_refused(cell):
    with pytest.raises(ValueError, match="num_heads=3, hidden_size=8"):
        cell(2, 8, num_heads=3)
    with pytest.raises(ValueError, match="num_heads must be a whole number"):
        cell(2, 8, num_heads=0)
