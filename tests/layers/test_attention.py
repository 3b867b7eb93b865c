"""Attention by the papers' equations, and a decoder that is fed what it attended to."""

import pytest
import torch

from rnnzoo.architectures.encoder_decoder import AttentionState, EncoderDecoder
from rnnzoo.layers.attention import ATTENTIONS, DotAttention, masked_softmax

LENGTHS = torch.tensor([3, 8, 1, 5])
SCORES = {
    "dot": lambda own, q, m: q @ m,
    "bilinear": lambda own, q, m: q @ own.key.weight @ m,
    "additive": lambda own, q, m: (
        own.score.weight[0] @ torch.tanh(own.query.weight @ q + own.key.weight @ m + own.key.bias)
    ),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_the_context_is_the_mean_of_memories_weighted_by_the_softmax_of_their_scores(name):
    torch.manual_seed(0)
    attention = ATTENTIONS[name](4, 4)
    query, memory, lengths = torch.randn(2, 5, 4), torch.randn(2, 6, 4), [6, 3]
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    context, weights = attention(query, attention.keys(memory), memory, mask)
    for b, length in enumerate(lengths):
        for t in range(5):
            scores = torch.stack([SCORES[name](attention, query[b, t], memory[b, i]) for i in range(length)])
            wanted = scores.softmax(0)
            torch.testing.assert_close(weights[b, t, :length], wanted)
            torch.testing.assert_close(context[b, t], wanted @ memory[b, :length])
        assert not weights[b, :, length:].any()


def test_a_query_over_nothing_gets_zeros_and_no_nan():
    weights = masked_softmax(torch.randn(1, 2, 3), torch.zeros(1, 1, 3, dtype=torch.bool))
    assert not weights.any()
    scores = torch.randn(2, 4)
    torch.testing.assert_close(masked_softmax(scores, torch.ones(2, 4, dtype=torch.bool)), scores.softmax(-1))


def test_a_dot_of_unequal_sizes_is_refused_with_both():
    with pytest.raises(ValueError, match="encoder's output size 14, got 7"):
        EncoderDecoder(5, "gru", 7, attention="dot")
    assert isinstance(EncoderDecoder(5, "gru", 7, "gru", attention="dot").attention, DotAttention)


def test_a_fed_decoder_reads_each_target_beside_what_it_attended_to_before():
    torch.manual_seed(0)
    ours = EncoderDecoder(5, "gru", 7, input_feeding=True).eval()
    first = ours.start(ours(torch.randn(4, 8, 5), LENGTHS))
    memory, (*hidden, (fed,)) = first
    assert not fed.any()
    y = torch.randn(4, 3, 5)
    wanted = []
    for t in range(3):
        decoded = ours.decoder(torch.cat([y[:, t], fed], -1).unsqueeze(1), state=hidden)
        context, _ = ours.attention(decoded.outputs, memory.keys, memory.outputs, memory.mask)
        fed = torch.tanh(ours.combine(torch.cat([decoded.outputs, context], -1))).squeeze(1)
        hidden = decoded.state
        wanted.append(fed)
    features, state, weights = ours.decode(y, first)
    torch.testing.assert_close(features, torch.stack(wanted, 1))
    torch.testing.assert_close(state.hidden[-1][0], wanted[-1])
    assert weights.shape == (4, 3, 8)


def test_nothing_can_be_fed_that_was_not_attended_to():
    with pytest.raises(ValueError, match="attention is none"):
        EncoderDecoder(5, "gru", 7, attention="none", input_feeding=True)


def test_the_memories_of_chosen_sequences_are_all_their_parts():
    ours = EncoderDecoder(5, "gru", 7)
    memory = ours.start(ours(torch.randn(4, 8, 5), LENGTHS)).memory
    chosen = memory.select(torch.tensor([2, 2, 0]))
    for before, after in zip(memory, chosen, strict=True):
        torch.testing.assert_close(after, before[[2, 2, 0]])


def test_hypotheses_of_a_sequence_share_its_memory():
    ours = EncoderDecoder(5, "gru", 7).eval()
    memory, hidden = ours.start(ours(torch.randn(4, 8, 5), LENGTHS))
    rows = torch.arange(4).repeat_interleave(3)
    hidden = [tuple(torch.randn(12, 7) for _ in layer) for layer in hidden]
    y = torch.randn(12, 2, 5)
    shared, repeated = (ours.decode(y, AttentionState(part, hidden)) for part in (memory, memory.select(rows)))
    torch.testing.assert_close(shared.features, repeated.features)
    torch.testing.assert_close(shared.state.hidden, repeated.state.hidden)
    torch.testing.assert_close(shared.attention, repeated.attention)
