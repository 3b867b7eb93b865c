"""The contract of every architecture, and the paper's recurrence step by step."""

import pytest
import torch
from rnnzoo_dilated import Dilated

from rnnzoo import create_model
from rnnzoo.testing import architecture_tests

test_dilated_keeps_the_contract = architecture_tests("dilated")


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_projected"])
def test_a_layer_goes_on_from_its_state_of_two_to_the_l_steps_ago(cell):
    network = Dilated(3, cell, 4, num_layers=3)
    x, lengths = torch.randn(3, 11, 3), [11, 6, 1]
    found = network(x, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        below = list(x[row : row + 1, :length].unbind(1))
        for depth, layer in enumerate(network.layers):
            outputs, states = [], [None] * 2**depth  # the states of steps -s, ..., -1, and then of the steps themselves
            for t in range(length):
                output, state = layer.cell(below[t], states[t])
                outputs.append(output)
                states.append(state)
            below = outputs
        torch.testing.assert_close(found.outputs[row, :length], torch.cat(below))
        torch.testing.assert_close(found.last[row], below[-1][0])


def test_the_first_layer_alone_is_the_plain_recurrence():
    plain, dilated = create_model("gru", 3, hidden_size=4), Dilated(3, "gru", 4, num_layers=1)
    dilated.load_state_dict(plain.state_dict())
    x = torch.randn(2, 7, 3)
    torch.testing.assert_close(dilated(x).outputs, plain(x).outputs)
