import pytest
import torch

from rnnzoo.architectures.encoder_decoder import EncoderDecoder


@pytest.mark.parametrize("cell", ["lstm", "gru", "vanilla", {"name": "zoneout", "cell": "lstm", "rate": 0.3}])
@pytest.mark.parametrize("more", [{}, {"attention": "none"}, {"input_feeding": True}])
def test_a_decoder_that_writes_token_by_token_gives_what_it_gives_for_all_at_once(cell, more):
    torch.manual_seed(0)
    model = EncoderDecoder(6, cell, 8, num_layers=2, dropout=0.5, **more).eval()
    source, target = torch.randn(3, 5, 6), torch.randn(3, 7, 6)
    with torch.no_grad():
        first = model.start(model(source, torch.tensor([5, 2, 4])))
    wanted, end, _ = model.decode(target, first, torch.full((3,), 7))
    state, steps = first, []
    with torch.no_grad():
        for t in range(7):
            features, state, _ = model.decode(target[:, t : t + 1], state)
            steps.append(features)
    torch.testing.assert_close(torch.cat(steps, 1), wanted, atol=1e-5, rtol=1e-4)
    for one, other in zip(state.hidden, end.hidden, strict=True):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
