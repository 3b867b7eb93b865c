import math

import pytest
import torch
from rnnzoo_gated_lstm import CoupledLSTMCell, PeepholeLSTMCell
from torch import nn

from rnnzoo import create_model
from rnnzoo.testing import cell_tests, update_once

test_peephole_lstm_keeps_the_contract = cell_tests("peephole_lstm")
test_coupled_lstm_keeps_the_contract = cell_tests("coupled_lstm")


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def test_the_output_gate_sees_the_new_memory_and_the_others_the_old():
    cell = PeepholeLSTMCell(1, 1)
    for name, value in {"p_i": 0.7, "p_f": -0.4, "p_o": 1.3}.items():
        nn.init.constant_(getattr(cell, name), value)
    gx, gh, c = (0.3, -0.7, 0.2, 0.5), (0.1, 0.5, -0.4, -0.9), 0.8
    i = sigmoid(0.3 + 0.1 + 0.7 * c)
    f = sigmoid(-0.7 + 0.5 - 0.4 * c)
    new_c = f * c + i * math.tanh(0.2 - 0.4)
    o = sigmoid(0.5 - 0.9 + 1.3 * new_c)
    new = update_once(cell, gx, gh, (0.0, c))
    assert [new.h.item(), new.c.item()] == pytest.approx([o * math.tanh(new_c), new_c])


def test_without_peepholes_it_is_torchs_lstm():
    network = create_model("recurrent", 3, cell=PeepholeLSTMCell, hidden_size=5)
    (cell,) = network.cells
    for name in cell.params:
        nn.init.zeros_(getattr(cell, name))
    lstm = nn.LSTM(3, 5, batch_first=True)
    lstm.load_state_dict({f"{k}_l0": v for k, v in cell.state_dict().items() if k not in cell.params})
    x = torch.randn(2, 9, 3)
    torch.testing.assert_close(network(x).outputs, lstm(x)[0])


def test_coupled_gates_are_those_of_torchs_lstm_whose_input_weights_are_the_forget_weights_negated():
    network = create_model("recurrent", 3, cell=CoupledLSTMCell, hidden_size=5)
    (cell,) = network.cells
    lstm = nn.LSTM(3, 5, batch_first=True)
    weights = {name: weight.chunk(3) for name, weight in cell.state_dict().items()}  # f, g, o
    lstm.load_state_dict({f"{name}_l0": torch.cat([-w[0], *w]) for name, w in weights.items()})  # i, f, g, o
    x = torch.randn(2, 9, 3)
    torch.testing.assert_close(network(x).outputs, lstm(x)[0])


@pytest.mark.parametrize("cell", [PeepholeLSTMCell, CoupledLSTMCell])
def test_the_forget_gate_begins_at_its_bias(cell):
    made = cell(2, 3, forget_bias=4.0)
    place = made.gates.index("f")
    assert (made.bias_ih.chunk(len(made.gates))[place] == 4).all()
    assert (made.bias_hh.chunk(len(made.gates))[place] == 0).all()
