"""Architectures against torch's own layers, and against themselves one sequence at a time."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnzoo.architectures.base import LayerStack, make_architecture
from rnnzoo.architectures.bidirectional import Bidirectional
from rnnzoo.architectures.encoder_decoder import EncoderDecoder
from rnnzoo.architectures.recurrent import GRU, LSTM, Recurrent, Vanilla
from rnnzoo.architectures.stacked import Stacked
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.cells.vanilla import VanillaCell

LENGTHS = torch.tensor([3, 8, 1, 5])
TORCH = {"lstm": nn.LSTM, "gru": nn.GRU, "vanilla": nn.RNN}


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", TORCH)
def test_a_stack_with_torchs_weights_gives_torchs_outputs_and_states(cell, bidirectional):
    torch.manual_seed(0)
    oracle = TORCH[cell](5, 7, num_layers=3, bidirectional=bidirectional, batch_first=True)
    ours = Stacked(5, cell, 7, num_layers=3, bidirectional=bidirectional)
    ours.load_torch(oracle)
    x = torch.randn(4, 8, 5)
    packed, last = oracle(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
    wanted, _ = pad_packed_sequence(packed, batch_first=True)
    encoded = ours(x, LENGTHS)
    torch.testing.assert_close(encoded.outputs, wanted)
    last = last if isinstance(last, tuple) else (last,)
    for k, state in enumerate(encoded.state):
        torch.testing.assert_close(state, tuple(s[k] for s in last))
    top = last[0][-2:] if bidirectional else last[0][-1:]
    torch.testing.assert_close(encoded.last, torch.cat(list(top), -1))


def test_a_given_state_is_where_every_layer_begins():
    torch.manual_seed(0)
    oracle, ours = nn.LSTM(5, 7, num_layers=2, bidirectional=True, batch_first=True), Bidirectional(5, "lstm", 7, 2)
    ours.load_torch(oracle)
    h, c = torch.randn(4, 4, 7), torch.randn(4, 4, 7)
    x = torch.randn(4, 8, 5)
    packed, _ = oracle(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False), (h, c))
    found = ours(x, LENGTHS, state=list(zip(h, c, strict=True)))
    torch.testing.assert_close(found.outputs, pad_packed_sequence(packed, batch_first=True)[0])


def test_without_lengths_every_step_counts():
    ours, x = Recurrent(5, "gru", 7), torch.randn(2, 6, 5)
    torch.testing.assert_close(ours(x).outputs, ours(x, torch.tensor([6, 6])).outputs)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Recurrent(5, "gru", 7),
        lambda: Bidirectional(5, "lstm", 7, num_layers=2, merge="product"),
        lambda: Bidirectional(5, "vanilla", 7, merge="mean"),
        lambda: Stacked(5, "gru", 7, num_layers=3, residual=True),
        lambda: Stacked(5, "lstm", 7, num_layers=2, bidirectional=True, residual=True),
        lambda: EncoderDecoder(5, "gru", 7, encoder="stacked"),
    ],
)
def test_a_batch_equals_its_sequences_one_by_one_in_outputs_last_and_state(build):
    torch.manual_seed(0)
    ours, x = build(), torch.randn(4, 8, 5)
    together = ours(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = ours(x[row : row + 1, :length])
        torch.testing.assert_close(together.outputs[row, :length], alone.outputs[0])
        torch.testing.assert_close(together.last[row], alone.last[0])
        for a, b in zip(together.state, alone.state, strict=True):
            torch.testing.assert_close(tuple(s[row] for s in a), tuple(s[0] for s in b))


@pytest.mark.parametrize(
    ("merge", "combine"),
    [
        ("sum", torch.add),
        ("mean", lambda a, b: (a + b) / 2),
        ("product", torch.mul),
        ("concat", lambda a, b: torch.cat([a, b], -1)),
    ],
)
def test_both_directions_are_merged_as_named(merge, combine):
    ours = Bidirectional(5, "gru", 7, merge=merge)
    x = torch.randn(2, 6, 5)
    concat = Bidirectional(5, "gru", 7)
    concat.load_state_dict(ours.state_dict())
    forward, backward = concat(x).outputs.chunk(2, -1)
    torch.testing.assert_close(ours(x).outputs, combine(forward, backward))
    torch.testing.assert_close(ours(x).last, combine(forward[:, -1], backward[:, 0]))
    assert ours.output_size == ours(x).outputs.shape[-1]


def test_a_residual_stack_adds_a_layers_input_from_the_second_layer_on():
    plain, residual = Stacked(5, "gru", 7, 2), Stacked(5, "gru", 7, 2, residual=True)
    residual.load_state_dict(plain.state_dict())
    first = Recurrent(5, "gru", 7)
    first.load_state_dict({k: v for k, v in plain.state_dict().items() if k.startswith("layers.0")})
    x = torch.randn(3, 6, 5)
    lengths = torch.tensor([6, 2, 4])
    wanted = plain(x, lengths).outputs + first(x, lengths).outputs
    torch.testing.assert_close(residual(x, lengths).outputs, wanted)
    torch.testing.assert_close(residual(x, lengths).last, plain(x, lengths).last + first(x, lengths).last)


def test_dropout_between_layers_acts_in_training_only():
    ours, x = Stacked(5, "gru", 7, 2, dropout=0.5), torch.randn(2, 6, 5)
    assert not torch.equal(ours(x).outputs, ours(x).outputs)
    torch.testing.assert_close(ours.eval()(x).outputs, ours(x).outputs)


def test_the_presets_are_recurrent_with_their_cell():
    found = [type(preset(3, hidden_size=4).layers[0].cell) for preset in (Vanilla, LSTM, GRU)]
    assert found == [VanillaCell, LSTMCell, GRUCell]
    assert isinstance(LSTM(3, cell="gru").layers[0].cell, GRUCell)


def test_only_architectures_without_a_backward_direction_are_causal():
    assert "causal" in Stacked.answers(num_layers=2) and "causal" in Recurrent.answers()
    assert "causal" not in Stacked.answers(bidirectional=True) and "causal" not in Bidirectional.answers()
    assert EncoderDecoder.answers() == {"sequence_to_sequence"}


def test_what_an_architecture_calls_causal_does_not_see_the_future():
    x = torch.randn(1, 8, 5)
    later = x.clone()
    later[:, 5:] += 1
    for causal in (Recurrent(5, "lstm", 7), Stacked(5, "gru", 7)):
        torch.testing.assert_close(causal(x).outputs[:, :5], causal(later).outputs[:, :5])
    both = Bidirectional(5, "lstm", 7)
    assert not torch.allclose(both(x).outputs[:, :5], both(later).outputs[:, :5])


def test_features_that_do_not_fit_are_refused_with_both_sides():
    with pytest.raises(ValueError, match="Recurrent expected x with input_size=5 features, got 4"):
        Recurrent(5, "gru", 7)(torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match=r"expected \(batch, time, features\), got \(2, 3\)"):
        Recurrent(5, "gru", 7)(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="num_layers must be"):
        Stacked(5, "gru", 7, num_layers=0)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (Bidirectional(5, "lstm", 7), nn.LSTM(5, 7), "expected num_layers=1, bidirectional=True"),
        (Stacked(5, "lstm", 7, num_layers=2), nn.LSTM(5, 7, bidirectional=True), "bidirectional=False"),
        (Recurrent(5, "lstm", 7), nn.LSTM(5, 7, bias=False), "with biases"),
        (Recurrent(5, "lstm", 7), nn.LSTM(5, 7, proj_size=3), "without a projection"),
        (Recurrent(5, "vanilla", 7), nn.RNN(5, 7, nonlinearity="relu"), "VanillaCell does not compute what RNN_RELU"),
        (Recurrent(5, "vanilla_relu", 7), nn.RNN(5, 7), "VanillaReluCell does not compute what RNN_TANH does"),
        (Recurrent(5, "gru", 7), nn.LSTM(5, 7), "GRUCell does not compute what LSTM does"),
        (Recurrent(5, "gru", 7), nn.GRU(5, 8), r"weight_ih_l0 of shape \(21, 5\), got \(24, 5\)"),
    ],
)
def test_weights_of_another_network_are_refused_and_nothing_is_copied(ours, theirs, words):
    before = [p.clone() for p in ours.parameters()]
    with pytest.raises(ValueError, match=words):
        ours.load_torch(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), before, strict=True))


def test_an_architecture_is_made_from_a_name_a_mapping_or_a_class():
    assert isinstance(make_architecture("gru", 3), GRU)
    made = make_architecture({"name": "stacked", "num_layers": 4}, 3, cell="gru", hidden_size=6)
    assert len(made.layers) == 4 and made.output_size == 6
    with pytest.raises(TypeError, match="an architecture must be given as a class or a name"):
        make_architecture(nn.LSTM, 3)


def decoder(cell="lstm", **parameters):
    torch.manual_seed(0)
    ours = EncoderDecoder(5, cell, 7, **parameters).eval()
    return ours, ours.start(ours(torch.randn(4, 8, 5), LENGTHS))


@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize("settings", [{"attention": "additive"}, {"attention": "none"}, {"input_feeding": True}])
def test_decoding_step_by_step_equals_decoding_at_once(cell, settings):
    ours, state = decoder(cell, num_layers=2, **settings)
    y = torch.randn(4, 6, 5)
    whole, last, _ = ours.decode(y, state)
    steps = []
    for t in range(6):
        features, state, _ = ours.decode(y[:, t : t + 1], state)
        steps.append(features)
    torch.testing.assert_close(torch.cat(steps, 1), whole)
    for a, b in zip(state.hidden, last.hidden, strict=True):
        torch.testing.assert_close(a, b)


def test_the_bridge_is_the_tanh_of_a_linear_map_of_the_encoders_last_output():
    ours, x = EncoderDecoder(5, "lstm", 7), torch.randn(4, 8, 5)
    wanted = torch.tanh(ours.bridge(ours.encoder(x, LENGTHS).last))
    torch.testing.assert_close(torch.cat(ours.start(ours(x, LENGTHS)).hidden[0], -1), wanted)
    bare = EncoderDecoder(5, "lstm", 7, bridge="none")
    assert not any(s.any() for s in bare.start(bare(x, LENGTHS)).hidden[0])


def test_an_encoder_takes_the_decoders_cell_unless_it_names_its_own():
    same = EncoderDecoder(5, "gru", 7, encoder="stacked")
    assert isinstance(same.encoder, LayerStack) and isinstance(same.encoder.layers[0].cell, GRUCell)
    other = EncoderDecoder(5, "gru", 7, encoder={"name": "bidirectional", "cell": "vanilla", "hidden_size": 3})
    assert isinstance(other.encoder.layers[0].cell, VanillaCell) and other.encoder.output_size == 6


def test_attention_looks_only_at_valid_steps_and_sums_to_one():
    ours, state = decoder()
    _, _, weights = ours.decode(torch.randn(4, 3, 5), state)
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 3))
    for row, length in enumerate(LENGTHS.tolist()):
        assert not weights[row, :, length:].any()
