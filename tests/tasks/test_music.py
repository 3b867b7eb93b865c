import pytest
import torch

from rnnzoo.batch import EOS, Batch, DataSpec, Field
from rnnzoo.model import build_model
from rnnzoo.tasks.music import Music

NOTES = Field("tokens", ("<pad>", "<unk>", "<bos>", "<eos>", ".", "60", "64"))
SPEC = DataSpec("text_stream", {"tokens": NOTES}, NOTES)


def test_the_likelihood_of_a_step_counts_all_its_notes_and_its_end():
    task = Music(SPEC, step_end=".")
    torch.manual_seed(0)
    model = build_model(SPEC, task, {"name": "lstm", "hidden_size": 6}, {"tokens": {"size": 5}}).eval()
    piece = torch.tensor([[5, 6, 4, 5, 4, 4, EOS]])  # three steps, one of them silent
    tokens, target = piece[:, :-1], piece[:, 1:]
    logits, _ = model.step_logits(Batch({"tokens": tokens}, torch.tensor([6])))
    nll = -logits.log_softmax(-1).gather(2, target.unsqueeze(-1)).sum().item()
    metrics, state = task.metrics(), None
    for window in (slice(0, 2), slice(2, 6)):
        count = len(range(6)[window])
        batch = Batch({"tokens": tokens[:, window]}, torch.tensor([count]), target[:, window], fresh=state is None)
        output = task.forward(model, batch, state)
        state = output.state
        task.update(metrics, output, batch, task.loss(model, output, batch), model)
    assert metrics.compute()["step_nll"].item() == pytest.approx(nll / 3, rel=1e-5)
    assert metrics.compute()["perplexity"].log().item() == pytest.approx(nll / 6, rel=1e-5)


def test_a_step_end_that_is_no_token_is_refused():
    with pytest.raises(ValueError, match=r"step_end must be one of the data's tokens, got '\|'"):
        Music(SPEC, step_end="|")
