import torch
from rnnzoo_elman import ElmanCell

from rnnzoo import create_model
from rnnzoo.testing import cell_tests

test_elman_keeps_the_contract = cell_tests("elman")


def test_the_outputs_are_those_of_the_three_matrices():
    network = create_model("recurrent", 3, cell=ElmanCell, hidden_size=4)
    cell = network.cells[0]
    x, h = torch.randn(2, 9, 3), torch.zeros(2, 4)
    found = network(x)
    for t in range(9):
        h = torch.tanh(x[:, t] @ cell.W_xh.T + h @ cell.W_hh.T + cell.b_h)
        torch.testing.assert_close(found.outputs[:, t], h @ cell.W_hy.T + cell.b_y)
    torch.testing.assert_close(found.state[0][0], h)


def test_it_is_the_network_of_torch_with_a_linear_map_on_top():
    network = create_model("recurrent", 3, cell=ElmanCell, hidden_size=4)
    cell, rnn = network.cells[0], torch.nn.RNN(3, 4, batch_first=True)
    with torch.no_grad():
        for theirs, ours in {"weight_ih": cell.W_xh, "weight_hh": cell.W_hh, "bias_ih": cell.b_h}.items():
            getattr(rnn, f"{theirs}_l0").copy_(ours)
        rnn.bias_hh_l0.zero_()
    x = torch.randn(2, 7, 3)
    torch.testing.assert_close(network(x).outputs, torch.nn.functional.linear(rnn(x)[0], cell.W_hy, cell.b_y))
