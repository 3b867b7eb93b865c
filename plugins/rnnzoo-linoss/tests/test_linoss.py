import numpy as np
import pytest
import torch
from rnnzoo_linoss import LinOSSCell, LinOSSIMEXCell

from rnnzoo import create_model
from rnnzoo.testing import cell_tests, update_once

test_linoss_keeps_the_contract = cell_tests("linoss")
test_linoss_imex_keeps_the_contract = cell_tests("linoss_imex")


def im(A, dt):
    """The paper's matrices of one oscillator: [z', y'] = M [z, y] + F (B u + b)."""
    S = 1 / (1 + dt**2 * A)
    return np.array([[S, -dt * A * S], [dt * S, 1 - dt**2 * A * S]]), np.array([dt * S, dt**2 * S])


def imex(A, dt):
    return np.array([[1, -dt * A], [dt, 1 - dt**2 * A]]), np.array([dt, dt**2])


def matrices(cell, kind):
    A, dt = cell.A_hat.relu().tolist(), cell.dt_hat.sigmoid().tolist()
    return [kind(*pair) for pair in zip(A, dt, strict=True)]


@pytest.mark.parametrize(("cell", "kind"), [(LinOSSCell, im), (LinOSSIMEXCell, imex)])
def test_the_outputs_are_those_of_the_papers_matrices(cell, kind):
    network = create_model("recurrent", 3, cell=cell, hidden_size=4).double()
    u = torch.randn(20, 3, dtype=torch.float64)
    (layer,) = network.cells
    force = layer.project(u)[0].detach().numpy()
    state, y = np.zeros((4, 2)), []
    steps = matrices(layer, kind)
    for t in range(20):
        state = np.stack([M @ state[j] + F * force[t, j] for j, (M, F) in enumerate(steps)])
        y.append(state[:, 1])
    wanted = torch.tensor(np.stack(y)) @ layer.C.T + u @ layer.D.T
    torch.testing.assert_close(network(u[None]).outputs[0], wanted)


def test_an_implicit_step_solves_the_implicit_equations():
    cell = LinOSSCell(3, 4).double()
    force, y, z = torch.randn(3, 5, 4, dtype=torch.float64)
    new_y, new_z = update_once(cell, (force,), (), (y, z))
    A, dt = cell.A_hat.relu(), cell.dt_hat.sigmoid()
    torch.testing.assert_close(new_z, z + dt * (force - A * new_y))
    torch.testing.assert_close(new_y, y + dt * new_z)


def test_the_implicit_method_damps_and_the_other_keeps_the_area():
    cell = LinOSSCell(3, 50)
    assert all(abs(np.linalg.eigvals(M)).max() < 1 for M, _ in matrices(cell, im))
    assert all(np.linalg.det(M) == pytest.approx(1) for M, _ in matrices(cell, imex))
    assert all(abs(np.linalg.eigvals(M)).max() == pytest.approx(1) for M, _ in matrices(cell, imex))


def test_a_free_oscillation_runs_backwards_when_its_velocity_is_turned():
    cell = LinOSSIMEXCell(3, 4).double()
    torch.nn.init.zeros_(cell.bias_ih)
    rest = (torch.zeros(1, 4, dtype=torch.float64),)
    dt = cell.dt_hat.sigmoid()
    y0, z0 = torch.randn(2, 1, 4, dtype=torch.float64)
    y, z = y0, z0
    for _ in range(30):
        y, z = update_once(cell, rest, (), (y, z))
    y, z = y - dt * z, -z  # the step is symmetric about the half step between a position and a velocity
    for _ in range(30):
        y, z = update_once(cell, rest, (), (y, z))
    torch.testing.assert_close((y - dt * z, -z), (y0, z0))
