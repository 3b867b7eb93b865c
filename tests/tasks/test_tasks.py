"""What each task asks and counts, by hand arithmetic."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.model import build_model
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.classification import Classification
from rnnzoo.tasks.next_word import NextWord
from rnnzoo.tasks.regression import Regression
from rnnzoo.tasks.sentiment import Sentiment

WORDS = Field("tokens", ("<pad>", "<unk>", "<bos>", "<eos>", *"abcdef"))
LABELLED = DataSpec("labelled_text", {"tokens": WORDS}, Field("label", ("bad", "good")))
STREAM = DataSpec("text_stream", {"tokens": WORDS}, WORDS)
SERIES = {"values": Field("values", size=2)}
MEASURED = DataSpec("measured_series", SERIES, Field("values", size=2))

NOT_TRAINING = nn.Identity().eval()  # all that the loss of labels asks of a model


def model_of(task, architecture="gru"):
    torch.manual_seed(0)
    inputs = {"tokens": {"size": 5}} if "tokens" in task.spec.inputs else {}
    return build_model(task.spec, task, {"name": architecture, "hidden_size": 6}, inputs).eval()


def measured(task, *pairs):
    metrics = task.metrics()
    for output, batch in pairs:
        task.update(metrics, output, batch, task.loss(NOT_TRAINING, output, batch), None)
    return {name: float(value) for name, value in metrics.compute().items()}


@pytest.mark.parametrize("form", [Sentiment, Classification])
def test_the_metrics_of_labels_are_those_of_the_whole_set_not_means_of_batches(form):
    task = form(LABELLED)
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [1.0, 0.0], [0.0, 0.5]])
    target = torch.tensor([0, 1, 0, 0, 1])

    def part(rows):
        output = Output(logits[rows])
        return output, Batch({}, torch.ones(len(logits[rows]), dtype=torch.int64), target[rows])

    found = measured(task, part(slice(0, 1)), part(slice(1, 5)))
    assert found["accuracy"] == pytest.approx(4 / 5)
    assert found["f1"] == pytest.approx((2 * 2 / 5 + 2 * 2 / 5) / 2, abs=1e-6)  # 2tp / (2tp + fp + fn): 4/5 for both
    positive = torch.sigmoid(logits[:, 1] - logits[:, 0])
    pairs = [(a, b) for a in positive[target == 1] for b in positive[target == 0]]
    assert found["auroc"] == pytest.approx(sum(a > b for a, b in pairs) / len(pairs))


def test_label_smoothing_is_a_matter_of_training_and_never_of_a_reported_loss():
    task = Sentiment(LABELLED, label_smoothing=0.2)
    model = model_of(task)
    batch = Batch({"tokens": torch.tensor([[4, 5]])}, torch.tensor([2]), torch.tensor([1]))
    logits = model.sequence_logits(batch)
    assert task.loss(model, task.forward(model, batch), batch).item() == pytest.approx(
        F.cross_entropy(logits, batch.target).item()
    )
    nll = -logits.log_softmax(-1)[0]
    smoothed = 0.9 * nll[1] + 0.1 * nll[0]
    assert task.loss(model, task.forward(model.train(), batch), batch).item() == pytest.approx(
        smoothed.item(), rel=1e-5
    )


def test_a_sentiment_prediction_is_the_likeliest_label_and_its_probability():
    task = Sentiment(LABELLED)
    model = model_of(task)
    (row,) = task.predictions(model, Batch({"tokens": torch.tensor([[4, 5]])}, torch.tensor([2])))
    assert sum(row["probabilities"].values()) == pytest.approx(1)
    assert row["confidence"] == row["probabilities"][row["label"]] == max(row["probabilities"].values())


def test_a_label_of_a_series_is_predicted_from_its_own_steps_alone():
    task = Classification(DataSpec("labelled_series", SERIES, Field("label", ("0", "1", "2"))))
    model, values = model_of(task), torch.randn(2, 4, 2)
    together = task.predictions(model, Batch({"values": values}, torch.tensor([4, 3])))
    (alone,) = task.predictions(model, Batch({"values": values[1:, :3]}, torch.tensor([3])))
    assert together[1]["probabilities"] == pytest.approx(alone["probabilities"])
    assert together[1]["label"] == alone["label"]


def test_errors_of_numbers_are_means_over_the_whole_set_not_of_batches():
    task = Regression(MEASURED)
    told = torch.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, 1.0]])
    target = torch.tensor([[1.0, 0.0], [1.0, 0.0], [3.0, 5.0]])
    parts = [(Output(told[rows]), Batch({}, torch.ones(1), target[rows])) for rows in (slice(0, 1), slice(1, 3))]
    assert measured(task, *parts) == pytest.approx({"mse": (4 + 1 + 16) / 6, "mae": (2 + 1 + 4) / 6})
    assert task.loss(None, *parts[1]).item() == pytest.approx((1 + 16) / 4)
    assert task.count(Batch({}, torch.ones(3), target)) == 3


def test_the_numbers_told_of_a_series_are_the_heads():
    task = Regression(MEASURED)
    model = model_of(task)
    batch = Batch({"values": torch.randn(1, 3, 2)}, torch.tensor([3]))
    (row,) = task.predictions(model, batch)
    assert row["values"] == pytest.approx(model.sequence_logits(batch)[0].tolist())


def test_the_next_word_is_told_with_its_probability_and_the_text_with_its_perplexity():
    task = NextWord(STREAM)
    model = model_of(task)
    tokens = torch.tensor([[4, 5, 6, 7], [8, 0, 0, 0]])
    first, second = task.predictions(model, Batch({"tokens": tokens}, torch.tensor([4, 1])))
    logits, _ = model.step_logits(Batch({"tokens": tokens[:1]}, torch.tensor([4])))
    nll = F.cross_entropy(logits[0, :3], tokens[0, 1:])
    assert first["perplexity"] == pytest.approx(nll.exp().item(), rel=1e-5)
    assert max(first["next"].values()) == pytest.approx(logits[0, 3].softmax(-1).max().item(), rel=1e-5)
    assert second["perplexity"] is None and len(second["next"]) == 5
