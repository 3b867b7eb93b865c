import pytest
import torch
import torch.nn.functional as F

from rnnzoo.batch import IGNORE, Batch, DataSpec, Field
from rnnzoo.model import build_model
from rnnzoo.tasks.masked_word import MaskedWord

WORDS = Field("tokens", ("<pad>", "<unk>", "<bos>", "<eos>", *"abcdef", "____"))
SPEC = DataSpec("masked_text", {"tokens": WORDS}, WORDS)
GAP = 10


def built(architecture="bidirectional"):
    torch.manual_seed(0)
    task = MaskedWord(SPEC)
    return task, build_model(SPEC, task, {"name": architecture, "hidden_size": 6}, {"tokens": {"size": 5}}).eval()


def test_words_are_asked_and_counted_at_gaps_only_over_the_whole_set():
    task, model = built()
    tokens = torch.tensor([[4, GAP, 6, GAP], [GAP, 5, 0, 0], [4, 5, 6, 0]])
    target = torch.tensor([[IGNORE, 5, IGNORE, 7], [8, IGNORE, IGNORE, IGNORE], [IGNORE] * 4])
    lengths = torch.tensor([4, 2, 3])
    logits, _ = model.step_logits(Batch({"tokens": tokens}, lengths))
    asked = logits[[0, 0, 1], [1, 3, 0]]
    nll, right = F.cross_entropy(asked, torch.tensor([5, 7, 8])), asked.argmax(-1) == torch.tensor([5, 7, 8])
    metrics = task.metrics()
    for rows in (slice(0, 1), slice(1, 3)):
        batch = Batch({"tokens": tokens[rows]}, lengths[rows], target[rows])
        output = task.forward(model, batch)
        task.update(metrics, output, batch, task.loss(model, output, batch), model)
    found = metrics.compute()
    assert found["perplexity"].item() == pytest.approx(nll.exp().item(), rel=1e-5)
    assert found["accuracy"].item() == pytest.approx(right.float().mean().item())
    silent = Batch({"tokens": tokens[2:]}, lengths[2:], target[2:])
    assert task.count(silent) == 0 and task.loss(model, task.forward(model, silent), silent).item() == 0


def test_each_gap_is_filled_with_its_likeliest_words_and_never_with_a_special_one():
    task, model = built()
    with torch.no_grad():
        model.head.bias[[0, 1, 2, 3, GAP]] = 50
    tokens, lengths = torch.tensor([[4, GAP, 6, GAP], [GAP, 5, 0, 0]]), torch.tensor([4, 2])
    first, second = task.predictions(model, Batch({"tokens": tokens}, lengths))
    logits, _ = model.step_logits(Batch({"tokens": tokens}, lengths))
    assert [len(row["gaps"]) for row in (first, second)] == [2, 1]
    for told, (row, step) in zip([*first["gaps"], *second["gaps"]], [(0, 1), (0, 3), (1, 0)], strict=True):
        shares = logits[row, step, 4:10].softmax(-1)
        wanted = {"abcdef"[i]: shares[i].item() for i in shares.topk(5).indices.tolist()}
        assert list(told) == list(wanted) and told == pytest.approx(wanted)


def test_what_stands_after_a_gap_counts_for_a_bidirectional_model_and_not_for_a_causal_one():
    texts = torch.tensor([[4, GAP, 6], [4, GAP, 7]])
    for architecture, differs in (("bidirectional", True), ("lstm", False)):
        task, model = built(architecture)
        one, other = task.predictions(model, Batch({"tokens": texts}, torch.tensor([3, 3])))
        assert (one["gaps"] != other["gaps"]) == differs


def test_the_words_of_all_gaps_are_described_in_one_line():
    answer = {"gaps": [{"dog": 0.75, "cat": 0.2}, {"the": 0.5}]}
    assert built()[0].describe(answer) == ["dog 75.0 %  cat 20.0 %  |  the 50.0 %"]
