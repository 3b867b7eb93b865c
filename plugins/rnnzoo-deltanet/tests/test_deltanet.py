import numpy as np
import pytest
import torch
from rnnzoo_deltanet import CHUNK, EPS, GatedDeltaNetCell

from rnnzoo import create_model
from rnnzoo.testing import cell_tests

test_contract = cell_tests("gated_deltanet")


def silu(v):
    return v / (1 + np.exp(-v))


def unit(v):
    return v / np.sqrt(v @ v + EPS)


def test_every_step_follows_the_papers_equations():
    model = create_model("recurrent", 3, cell={"name": "gated_deltanet", "num_heads": 2}, hidden_size=6).double()
    (cell,) = model.cells
    torch.nn.init.normal_(cell.scale)
    p = {name: value.detach().numpy() for name, value in cell.named_parameters()}
    x = 3 * torch.randn(1, 2 * CHUNK + 5, 3, dtype=torch.float64)
    projected = x[0].numpy() @ p["linear.weight"].T + p["linear.bias"]
    found = model(x).outputs[0].detach().numpy()
    S = np.zeros((2, 3, 3))
    for t in range(len(projected)):
        y = sum(p["conv"][3 - back] * projected[t - back, :18] for back in range(min(4, t + 1)))
        q, k, v = silu(y).reshape(3, 2, 3)
        g, beta, dt = np.split(projected[t, 18:], [6, 8])
        g, beta = silu(g).reshape(2, 3), 1 / (1 + np.exp(-beta))
        alpha = np.exp(-np.exp(p["log_A"]) * np.log1p(np.exp(dt)))
        for head in range(2):
            key = unit(k[head])
            S[head] = S[head] @ (alpha[head] * (np.eye(3) - beta[head] * np.outer(key, key)))
            S[head] += beta[head] * np.outer(v[head], key)
            read = S[head] @ unit(q[head])
            wanted = read / np.sqrt((read**2).mean() + EPS) * p["scale"] * g[head]
            np.testing.assert_allclose(found[t, 3 * head :][:3], wanted, rtol=1e-6)


def test_a_value_written_with_full_strength_replaces_its_keys_last_and_leaves_other_keys_alone():
    cell = GatedDeltaNetCell(2, 3, num_heads=1)
    cell.conv.data = torch.tensor([0.0, 0, 0, 1])[:, None].expand(4, 9).clone()  # the present step alone
    ones, keys, values = torch.ones(1, 1), 50 * torch.eye(3), torch.randn(4, 3)
    state = cell.as_state(cell.initial_state(1, ones))
    for key, value in zip(keys[[0, 1, 2, 1]], values, strict=True):
        y = torch.cat([key, key, value])[None]
        state = cell.as_state(cell.step((y, torch.ones(1, 3), ones, 0 * ones), state))  # beta = alpha = 1
    torch.testing.assert_close(state.S[0, 0].T, torch.nn.functional.silu(values[[0, 3, 2]]))


@pytest.mark.parametrize(("hidden_size", "heads"), [(8, 4), (6, 2), (7, 1), (1, 1)])
def test_the_default_number_of_heads_divides_hidden_size(hidden_size, heads):
    assert GatedDeltaNetCell(2, hidden_size).num_heads == heads


def test_heads_that_do_not_divide_hidden_size_are_refused():
    with pytest.raises(ValueError, match="num_heads=3, hidden_size=8"):
        GatedDeltaNetCell(2, 8, num_heads=3)
    with pytest.raises(ValueError, match="num_heads must be a whole number"):
        GatedDeltaNetCell(2, 8, num_heads=0)
