import pytest
import torch
import torch.nn.functional as F
from rnnzoo_mingru import MinGRUCell, MinLSTMCell

from rnnzoo import create_model
from rnnzoo.testing import cell_tests

test_mingru_keeps_the_contract = cell_tests("mingru")
test_minlstm_keeps_the_contract = cell_tests("minlstm")


def log_space_scan(log_a, log_b, log_h0):
    """The paper's parallel form: h_t = exp(A_t + logsumexp_{s<=t}(log b_s - A_s)), A the running sum of log a."""
    total = F.pad(log_a.cumsum(1), (0, 0, 1, 0))
    return (total + (torch.cat([log_h0, log_b], 1) - total).logcumsumexp(1)).exp()[:, 1:]


def signed_scan(log_a, log_write, candidate, h0):
    """The same for numbers of either sign: the recurrence is linear, so that positive and negative parts add."""
    positive, negative = (
        log_space_scan(log_a, log_write + (sign * candidate).clamp(min=0).log(), (sign * h0).clamp(min=0).log())
        for sign in (1, -1)
    )
    return positive - negative


def mingru_logs(gates):
    z, candidate = gates.chunk(2, -1)
    return -F.softplus(z), -F.softplus(-z), candidate  # log(1 - z), log z


def minlstm_logs(gates):
    f, i, candidate = gates.chunk(3, -1)
    difference = F.softplus(-f) - F.softplus(-i)
    return -F.softplus(difference), -F.softplus(-difference), candidate  # log f', log i'


@pytest.mark.parametrize(("cell", "logs"), [(MinGRUCell, mingru_logs), (MinLSTMCell, minlstm_logs)])
def test_the_outputs_are_those_of_the_papers_parallel_scan_in_log_space(cell, logs):
    network = create_model("recurrent", 3, cell=cell, hidden_size=4).double()
    x, h0 = torch.randn(2, 50, 3, dtype=torch.float64), torch.randn(2, 1, 4, dtype=torch.float64)
    (layer,) = network.cells
    wanted = signed_scan(*logs(layer.project(x)), h0)
    torch.testing.assert_close(network(x, state=[(h0[:, 0],)]).outputs, wanted)


def test_a_minlstm_mixes_memory_and_candidate_in_the_proportion_of_its_gates():
    cell = MinLSTMCell(2, 3)
    x, h = torch.randn(4, 2), torch.randn(4, 3)
    f, i, candidate = cell.project(x).chunk(3, -1)
    f, i = torch.sigmoid(f), torch.sigmoid(i)
    torch.testing.assert_close(cell(x, (h,))[0], f / (f + i) * h + i / (f + i) * candidate)


def test_a_minlstm_with_both_gates_shut_stays_finite():
    gates = torch.full((1, 9), -1e4, requires_grad=True)
    (h,) = MinLSTMCell(2, 3).step(gates, (torch.ones(1, 3),))
    (gradient,) = torch.autograd.grad(h.sum(), gates)
    assert h.isfinite().all() and gradient.isfinite().all()


@pytest.mark.parametrize("cell", [MinGRUCell, MinLSTMCell])
def test_with_chrono_steps_channels_begin_to_forget_after_one_to_t_steps(cell):
    layer = cell(2, 2000, chrono_steps=50)
    a, _ = layer.coefficients(layer.as_gates(layer.bias_ih.detach().chunk(len(layer.gates))))
    steps = 1 / (1 - a)  # of memory: one more than U(1, T - 1)
    assert steps.min() >= 2 - 1e-3 and steps.max() <= 50 + 1e-1
    assert steps.mean().item() == pytest.approx(1 + 50 / 2, rel=0.05)
