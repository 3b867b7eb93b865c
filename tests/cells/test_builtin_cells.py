"""Each built-in cell against its published equations, in plain arithmetic, and against torch's own."""

import math

import pytest
import torch
from torch import nn

from rnnzoo.cells.base import Cell, LinearCell, NoiseSpec, PointwiseCell, StateSpec, make_cell
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.cells.vanilla import VanillaCell, VanillaReluCell
from rnnzoo.testing import update_once


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def test_a_vanilla_step_is_the_tanh_of_both_products():
    (h,) = update_once(VanillaCell(1, 1), [0.3], [-0.8], [0.5])
    assert h.item() == pytest.approx(math.tanh(0.3 - 0.8))


def test_a_rectified_step_is_zero_below_zero():
    cell = VanillaReluCell(1, 1)
    assert update_once(cell, [0.3], [-0.8], [0.5]).h.item() == 0
    assert update_once(cell, [0.9], [-0.8], [0.5]).h.item() == pytest.approx(0.1)


def test_an_lstm_step_follows_the_published_equations():
    gx, gh, h, c = (0.3, -0.7, 0.2, 1.1), (0.1, 0.5, -0.4, -0.6), 0.25, -0.5
    i, f, o = sigmoid(0.3 + 0.1), sigmoid(-0.7 + 0.5), sigmoid(1.1 - 0.6)
    new_c = f * c + i * math.tanh(0.2 - 0.4)
    new = update_once(LSTMCell(1, 1), gx, gh, (h, c))
    assert new.c.item() == pytest.approx(new_c)
    assert new.h.item() == pytest.approx(o * math.tanh(new_c))


def test_a_gru_step_follows_the_published_equations():
    gx, gh, h = (0.3, -0.7, 0.2), (0.1, 0.5, -0.4), -0.5
    r, z = sigmoid(gx[0] + gh[0]), sigmoid(gx[1] + gh[1])
    n = math.tanh(gx[2] + r * gh[2])
    (new_h,) = update_once(GRUCell(1, 1), gx, gh, (h,))
    assert new_h.item() == pytest.approx((1 - z) * n + z * h)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LSTMCell, nn.LSTMCell),
        (GRUCell, nn.GRUCell),
        (VanillaCell, nn.RNNCell),
        (VanillaReluCell, lambda i, h: nn.RNNCell(i, h, nonlinearity="relu")),
    ],
)
def test_a_step_with_torchs_weights_gives_torchs_state(ours, theirs):
    cell, oracle = ours(5, 7), theirs(5, 7)
    cell.load_state_dict(oracle.state_dict())  # the names and order of torch.nn
    assert list(cell.state_dict()) == list(oracle.state_dict())
    x, state = torch.randn(3, 5), tuple(torch.randn(3, 7) for _ in cell.states)
    wanted = oracle(x, state if len(state) > 1 else state[0])
    _, found = cell(x, state)
    torch.testing.assert_close(found, wanted if isinstance(wanted, tuple) else (wanted,))


@pytest.mark.parametrize("size", [0, -3, 2.5, True, "8"])
def test_a_size_that_is_no_positive_whole_number_is_refused(size):
    with pytest.raises(ValueError, match="hidden_size must be a whole number in"):
        LSTMCell(4, size)
    with pytest.raises(ValueError, match="input_size"):
        GRUCell(size, 4)


def test_x_of_another_width_is_refused_with_both_sides():
    with pytest.raises(ValueError, match=r"GRUCell expected x with input_size=128 features, got 100 in \(32, 100\)"):
        GRUCell(128, 64)(torch.zeros(32, 100))


def test_orthogonal_initialisation_makes_each_gates_recurrent_weights_orthogonal_and_opens_the_forget_gate():
    cell = LSTMCell(6, 8, init="orthogonal")
    for gate in cell.weight_hh.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)
    i, f, g, o = cell.bias_ih.chunk(4)
    assert torch.equal(f, torch.ones(8)) and not any(b.any() for b in (i, g, o, cell.bias_hh))


class Peephole(PointwiseCell):
    gates, states, params = ("i", "f"), ("h", "c"), ("p",)
    recurrent = "diagonal"

    def update(self, gx, gh, state):
        i, f = (torch.sigmoid(a + b + self.p * state[1]) for a, b in zip(gx, gh, strict=True))
        return torch.tanh(i + f), i * f


def test_declared_per_channel_parameters_and_a_diagonal_product_are_the_cells_own():
    cell = Peephole(2, 3)
    shapes = {name: tuple(p.shape) for name, p in cell.named_parameters()}
    assert shapes == {"weight_ih": (6, 2), "weight_hh": (2, 3), "bias_ih": (6,), "bias_hh": (6,), "p": (3,)}
    h = torch.randn(4, 3)
    wanted = torch.cat([h * u for u in cell.weight_hh], -1) + cell.bias_hh
    torch.testing.assert_close(torch.cat(cell.recur(h), -1), wanted)


def test_a_block_product_is_a_dense_one_with_zeros_off_the_blocks():
    class Blocks(GRUCell):
        recurrent, blocks = "block", 2

    cell, h = Blocks(3, 6), torch.randn(5, 6)
    dense = torch.stack([torch.block_diag(*gate) for gate in cell.weight_hh]).flatten(0, 1)
    torch.testing.assert_close(torch.cat(cell.recur(h), -1), nn.functional.linear(h, dense, cell.bias_hh))
    with pytest.raises(ValueError, match="hidden_size that 2 divides, got 5"):
        Blocks(3, 5)


def test_a_linear_cell_is_its_coefficients():
    class Decay(LinearCell):
        gates = ("z", "v")

        def coefficients(self, gx):
            z = torch.sigmoid(gx.z)
            return 1 - z, z * gx.v

    cell, x, h = Decay(2, 3), torch.randn(4, 2), torch.randn(4, 3)
    z, v = cell.project(x).chunk(2, -1)
    z = torch.sigmoid(z)
    torch.testing.assert_close(cell(x, (h,))[0], (1 - z) * h + z * v)


def test_a_state_starts_as_its_spec_says():
    class Matrix(Cell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.states = (StateSpec("S", (2, 3), torch.complex64), StateSpec("m", (1,), initial=-1.5))

    first = Matrix(4, 5).initial_state(7, torch.zeros(1, dtype=torch.float64))
    assert [(tuple(s.shape), s.dtype) for s in first] == [((7, 2, 3), torch.complex128), ((7, 1), torch.float64)]
    assert (first[1] == -1.5).all()


def test_a_single_step_outside_the_engine_uses_the_mean_of_the_masks():
    class Dropped(VanillaCell):
        noise = (NoiseSpec((3,), rate=0.25),)

        def update(self, gx, gh, state, mask):
            return (mask * torch.tanh(gx[0] + gh[0]),)

    cell, x = Dropped(2, 3), torch.randn(4, 2)
    plain = torch.tanh(cell.project(x) + cell.bias_hh)
    torch.testing.assert_close(cell(x)[0], 0.75 * plain)


def test_a_cell_is_made_from_a_name_a_mapping_or_a_class():
    assert isinstance(make_cell("gru", 2, 3), GRUCell)
    assert make_cell({"name": "lstm", "init": "orthogonal"}, 2, 3).init == "orthogonal"
    assert isinstance(make_cell(LSTMCell, 2, 3), LSTMCell)
    with pytest.raises(TypeError, match="as a class or a name, got an instance of LSTMCell"):
        make_cell(LSTMCell(2, 3), 2, 3)
    with pytest.raises(TypeError, match=r"not a rnnzoo\.Cell"):
        make_cell(nn.Linear, 2, 3)


@pytest.mark.parametrize("wrapper", ["zoneout", "locked_dropout", "weight_drop", "output_norm", "residual", "highway"])
def test_a_wrapper_builds_what_it_wraps_once_however_deep(wrapper):
    built = []

    def counted(input_size, hidden_size):
        built.append(hidden_size)
        return LSTMCell(input_size, hidden_size)

    cell = counted
    for _ in range(5):
        cell = {"name": wrapper, "cell": cell}
    make_cell(cell, 3, 4)
    assert built == [4]
