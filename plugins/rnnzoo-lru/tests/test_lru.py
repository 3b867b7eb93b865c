import math

import pytest
import torch
from rnnzoo_lru import LRUCell

from rnnzoo import create_model
from rnnzoo.testing import cell_tests

test_lru_keeps_the_contract = cell_tests("lru")


def parts(network):
    """lambda, the normalised B, C and D of a network's only cell."""
    cell = network.cells[0]
    decay = torch.exp(torch.complex(-cell.nu.exp(), cell.theta.exp()))
    B = torch.complex(*cell.B.chunk(2)) * cell.gamma.exp()[:, None]
    return decay, B, torch.complex(*cell.C.chunk(2, 1)), cell.D


def test_the_outputs_are_a_convolution_with_the_impulse_response():
    network = create_model("recurrent", 3, cell=LRUCell, hidden_size=4).double()
    x, time = torch.randn(2, 30, 3, dtype=torch.float64), 30
    decay, B, C, D = parts(network)
    powers = decay ** torch.arange(time)[:, None]
    response = torch.einsum("on,tn,ni->toi", C, powers, B).real  # C lambda^t B
    spectrum = torch.einsum(
        "fbi,foi->fbo", torch.fft.rfft(x, 2 * time, 1).transpose(0, 1), torch.fft.rfft(response, 2 * time, 0)
    )
    wanted = torch.fft.irfft(spectrum, 2 * time, 0)[:time].transpose(0, 1) + x @ D.T
    torch.testing.assert_close(network(x).outputs, wanted)


def test_it_is_a_dense_recurrence_in_the_basis_of_its_eigenvectors():
    network = create_model("recurrent", 3, cell=LRUCell, hidden_size=4).double()
    x, h0 = torch.randn(2, 10, 3, dtype=torch.float64), torch.randn(2, 4, dtype=torch.complex128)
    decay, B, C, D = parts(network)
    P = torch.randn(4, 4, dtype=torch.complex128)
    A, s, wanted = P @ decay.diag() @ P.inverse(), h0 @ P.T, []
    for u in x.unbind(1):
        s = s @ A.T + u.to(P.dtype) @ (P @ B).T
        wanted.append((s @ (C @ P.inverse()).T).real + u @ D.T)
    torch.testing.assert_close(network(x, state=[(h0,)]).outputs, torch.stack(wanted, 1))


def test_eigenvalues_start_uniform_in_the_ring_and_their_states_at_the_size_of_the_input():
    cell = LRUCell(2, 2000, r_min=0.5, r_max=0.9, max_phase=1.0)
    radius, phase = torch.exp(-cell.nu.exp()), cell.theta.exp()
    assert radius.min() >= 0.5 - 1e-4 and radius.max() <= 0.9 + 1e-4 and phase.min() > 0 and phase.max() <= 1
    assert (radius**2).mean().item() == pytest.approx((0.5**2 + 0.9**2) / 2, abs=0.02)  # uniform over the area
    assert phase.mean().item() == pytest.approx(0.5, abs=0.04)
    torch.testing.assert_close(cell.gamma.exp(), torch.sqrt(1 - radius**2))


def test_no_parameter_can_make_it_unstable():
    cell = LRUCell(2, 3)
    torch.nn.init.normal_(cell.nu, std=5)
    a, _ = cell.coefficients(cell.project(torch.randn(4, 2)))
    assert (a.abs() <= 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_state_is_complex_in_single_precision_where_the_rest_is_in_half(dtype):
    network = create_model("recurrent", 3, cell=LRUCell, hidden_size=4).to(dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.float32):
        encoded = network(torch.randn(2, 5, 3, dtype=dtype))
    ((h,),) = encoded.state
    assert h.dtype == torch.complex64 and encoded.outputs.isfinite().all()


@pytest.mark.parametrize(
    "bad",
    [
        {"r_min": -0.1},
        {"r_max": 1.5},
        {"r_min": 0.9, "r_max": 0.5},
        {"max_phase": 0},
        {"max_phase": 7.0},
        {"r_min": "0.5"},
        {"r_max": math.nan},
    ],
)
def test_a_ring_outside_the_unit_circle_is_refused(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must"):
        LRUCell(2, 3, **bad)
