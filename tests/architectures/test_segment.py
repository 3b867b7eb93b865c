"""A network that reads by segments, against the paper's arithmetic on torch.nn's own GRU."""

import pytest
import torch
from torch import nn

from rnnzoo.architectures.segment import Segment, SegmentHead
from rnnzoo.testing import architecture_tests

test_contract = architecture_tests("segment")
test_contract_of_short_segments = architecture_tests({"name": "segment", "segment": 3, "num_layers": 2})


def seg_rnn(network, head, x, series):
    """Lin et al., arXiv:2308.11200, section 3: (rows, steps, 1) of `series` series in turn to (rows, horizon)."""
    gru = nn.GRU(network.layers.output_size, network.layers.output_size, batch_first=True)
    gru.load_state_dict({f"{name}_l0": weight for name, weight in network.layers.cells[0].state_dict().items()})
    w = network.segment
    embedded = torch.relu(network.embed(x.squeeze(-1).reshape(len(x), -1, w)))
    _, h = gru(embedded)
    told = []
    for row in range(len(x)):
        answers = []
        for position in head.positions:
            query = torch.cat([position, head.series[row % series]])
            answers.append(head.out(gru(query[None, None], h[:, row : row + 1])[0][0, 0]))
        told.append(torch.cat(answers))
    return torch.stack(told)


@torch.no_grad()
def test_it_is_the_published_network():
    torch.manual_seed(0)
    network, series = Segment(1, "gru", hidden_size=6, segment=4), 3
    head = SegmentHead(network, horizon=8, series=series)
    x = torch.randn(2 * series, 12, 1)
    encoded = network(x)
    told = head(network.ahead(head.queries(len(x)), encoded.state))
    torch.testing.assert_close(told, seg_rnn(network, head, x, series))


@torch.no_grad()
def test_a_horizon_that_is_no_multiple_of_a_segment_is_the_beginning_of_one_that_is():
    torch.manual_seed(0)
    network = Segment(2, hidden_size=6, segment=4)
    longer, head = SegmentHead(network, 8, 1), SegmentHead(network, 7, 1)
    head.load_state_dict(longer.state_dict())
    x = torch.randn(3, 8, 2)
    state = network(x).state
    wanted = longer(network.ahead(longer.queries(3), state))
    assert wanted.shape == (3, 16)
    torch.testing.assert_close(head(network.ahead(head.queries(3), state)), wanted[:, :14])


def test_each_step_has_the_output_of_its_segment():
    network = Segment(2, hidden_size=6, segment=4)
    x = torch.randn(1, 10, 2)
    outputs = network(x).outputs
    assert outputs.shape == (1, 10, 6)
    for begin, end in ((0, 4), (4, 8), (8, 10)):
        torch.testing.assert_close(outputs[:, begin:end], network(x[:, :end]).last[:, None].expand(1, end - begin, 6))


def test_a_segment_has_at_least_one_step():
    with pytest.raises(ValueError, match="segment must be a whole number >= 1, got 0"):
        Segment(2, segment=0)
