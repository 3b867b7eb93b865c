import numpy as np
import pytest
import torch
from rnnzoo_mogrifier import Mogrifier

from rnnzoo import Cell, StateSpec, create_model
from rnnzoo.testing import cell_tests

test_contract = cell_tests("mogrifier")
test_contract_around_a_cell_with_a_readout_and_masks = cell_tests(
    {"name": "mogrifier", "rank": 2, "cell": {"name": "residual", "cell": {"name": "zoneout", "cell": "gru"}}}
)


class Rotated(Cell):
    """A complex memory, as linear recurrent units have it, read out as real numbers."""

    states = (StateSpec("s", (4,), dtype=torch.complex64),)
    gates = ("x",)

    def step(self, gx, state):
        return (0.9j * state[0] + gx,)

    def readout(self, gx, state):
        return state[0].real + state[0].imag


def network(**cell):
    return create_model("recurrent", 3, cell={"name": "mogrifier", **cell}, hidden_size=4)


@pytest.mark.parametrize("cell", ["lstm", "gru", "residual", "lstm_projected", Rotated])
def test_no_rounds_leave_the_cell_as_it_is(cell):
    mogrified, plain = network(cell=cell, rounds=0), create_model("recurrent", 3, cell=cell, hidden_size=4)
    mogrified.cells[0].cell.load_state_dict(plain.cells[0].state_dict())
    x, lengths = torch.randn(3, 7, 3), torch.tensor([7, 2, 5])
    torch.testing.assert_close(mogrified(x, lengths).outputs, plain(x, lengths).outputs)


@pytest.mark.parametrize("rounds", [1, 2, 3, 5, 6])
def test_input_and_state_gate_each_other_as_in_the_paper(rounds):
    (cell,) = network(rounds=rounds).double().cells
    x, h, c = torch.randn(1, 3).double(), torch.randn(1, 4).double(), torch.randn(1, 4).double()
    xs, hs = {-1: x[0].numpy()}, {0: h[0].numpy()}  # by the paper's upper index
    for i, matrix in enumerate((m.weight.detach().numpy() for m in cell.rounds), 1):
        if i % 2:
            xs[i] = 2 / (1 + np.exp(-matrix @ hs[i - 1])) * xs[i - 2]
        else:
            hs[i] = 2 / (1 + np.exp(-matrix @ xs[i - 1])) * hs[i - 2]
    last_x, last_h = (torch.tensor(seen[max(seen)])[None] for seen in (xs, hs))
    torch.testing.assert_close(cell(x, (h, c)), cell.cell(last_x, (last_h, c)))


def test_a_cell_that_reads_its_input_again_reads_the_modulated_one():
    (cell,) = network(cell="residual", rounds=1).cells
    x, y, h, c = torch.randn(2, 3), torch.zeros(2, 4), torch.randn(2, 4), torch.randn(2, 4)
    wanted, _ = cell.cell(2 * torch.sigmoid(cell.rounds[0](h)) * x, (h, c))
    torch.testing.assert_close(cell(x, (y, h, c))[0], wanted)


def test_a_complex_state_is_seen_in_both_parts_and_scaled_without_turning():
    (cell,) = network(cell=Rotated, rounds=2).cells
    x, s = torch.randn(2, 3), torch.randn(2, 4, dtype=torch.complex64)
    numbers = torch.stack([s.real, s.imag], -1).flatten(1)
    new_x = 2 * torch.sigmoid(cell.rounds[0](numbers)) * x
    wanted = cell.cell(new_x, (2 * torch.sigmoid(cell.rounds[1](new_x)) * s,))
    y, state = cell(x, (torch.zeros(2, 4), s))
    torch.testing.assert_close((y, state[1:]), wanted)


def test_a_rank_makes_every_matrix_a_product_of_two_smaller_ones():
    (cell,) = network(rank=2).cells
    shapes = [[tuple(p.shape) for p in matrix.parameters()] for matrix in cell.rounds]
    assert shapes == [[(2, 4), (3, 2)], [(2, 3), (4, 2)]] * 2 + [[(2, 4), (3, 2)]]


@pytest.mark.parametrize("wrong", [{"rounds": -1}, {"rounds": 2.0}, {"rounds": True}, {"rank": 0}, {"rank": "2"}])
def test_a_wrong_number_is_refused_with_its_name(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        Mogrifier(3, 4, **wrong)
