"""The contracts of a task and of a data set; loss and metrics by hand."""

import math

import pytest
import torch
from rnnzoo_complaints import BAD, THINGS, ToyComplaints
from rnnzoo_multilabel import Multilabel
from sklearn.metrics import f1_score

from rnnzoo import Batch, DataSpec, Field, Output
from rnnzoo.testing import dataset_tests, task_tests

test_multilabel_keeps_the_contract = task_tests("joined_labels")
test_toy_complaints_keeps_the_contract = dataset_tests("toy_complaints")

SETS = DataSpec("labelled_text", {}, Field("label", ("", "a", "a|b", "c")))
TARGET = torch.tensor([2, 0, 3, 1])
LOGITS = torch.tensor([[2.0, -1.0, -1.0], [-2.0, 1.0, -3.0], [-1.0, -1.0, 4.0], [-1.0, -2.0, -1.0]])
TRUTH = [[1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]]
SAID = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]


def batch(rows: slice) -> tuple[Output, Batch]:
    return Output(LOGITS[rows]), Batch({}, torch.ones(len(LOGITS[rows]), dtype=torch.int64), TARGET[rows])


def test_the_labels_are_what_stands_between_the_separators():
    task = Multilabel(SETS)
    assert task.labels == ["a", "b", "c"] and task.truth(batch(slice(4))[1]).tolist() == TRUTH
    assert Multilabel(DataSpec("labelled_text", {}, Field("label", ("x, y", "z"))), separator=",").labels == [
        "x",
        "y",
        "z",
    ]


def test_the_loss_is_the_mean_cross_entropy_of_all_decisions():
    p = [[1 / (1 + math.exp(-v)) for v in row] for row in LOGITS.tolist()]
    told = [math.log(q if y else 1 - q) for row, ys in zip(p, TRUTH, strict=True) for q, y in zip(row, ys, strict=True)]
    assert Multilabel(SETS).loss(None, *batch(slice(4))).item() == pytest.approx(-sum(told) / 12)


def test_metrics_are_counted_over_all_batches():
    task = Multilabel(SETS)
    metrics = task.metrics()
    for rows in (slice(0, 1), slice(1, 4)):
        task.update(metrics, *batch(rows), None, None)
    found = {name: value.item() for name, value in metrics.compute().items()}
    pairs = [(y, s) for ys, ss in zip(TRUTH, SAID, strict=True) for y, s in zip(ys, ss, strict=True)]
    right, wrong = pairs.count((1, 1)), pairs.count((0, 1)) + pairs.count((1, 0))
    assert found["f1_micro"] == pytest.approx(2 * right / (2 * right + wrong))  # 4/7
    assert found["f1_macro"] == pytest.approx((2 / 3 + 0 + 1) / 3)  # of a: one of two found; b: none; c: all
    assert found["exact_match"] == pytest.approx(1 / 4)


def test_a_label_that_no_text_has_and_none_is_said_to_have_counts_nowhere():
    task = Multilabel(SETS)
    metrics, rows = task.metrics(), [1, 3]  # neither has c, nor is said to
    found = Output(LOGITS[rows]), Batch({}, torch.ones(2, dtype=torch.int64), TARGET[rows])
    task.update(metrics, *found, None, None)
    truth, said = (torch.tensor(sets)[rows] for sets in (TRUTH, SAID))
    wanted = f1_score(truth, said, average="macro", zero_division=math.nan)
    assert metrics.compute()["f1_macro"].item() == pytest.approx(wanted) == 0

    metrics.reset()
    task.update(metrics, Output(-torch.ones(1, 3)), Batch({}, torch.ones(1), torch.tensor([0])), None, None)
    assert metrics["f1_macro"].compute().isnan() and metrics["f1_micro"].compute().isnan()


def test_a_task_of_one_label_is_refused():
    with pytest.raises(ValueError, match="needs two labels or more, got spam"):
        Multilabel(DataSpec("labelled_text", {}, Field("label", ("", "spam"))))


def test_a_clause_complains_if_it_says_bad_or_not_good():
    for columns in ToyComplaints(100).read().values():
        for text, label in zip(columns["text"], columns["label"], strict=True):
            clauses = [clause.split(" was ") for clause in text.removeprefix("the ").split(" the ")]
            aspects = {word: aspect for aspect, names in THINGS.items() for word in names}
            found = set()
            for thing, rest in clauses:
                said = rest.split()
                if (said[0] != "not") == (said[said[0] == "not"] in BAD):
                    found.add(aspects[thing])
            assert label == "|".join(sorted(found))


def test_an_answer_is_described_by_the_labels_that_the_text_has():
    probabilities = {"a": 0.75, "b": 0.25, "c": 0.625}
    assert Multilabel(SETS).describe({"labels": ["a", "c"], "probabilities": probabilities}) == ["a 75.0 %  c 62.5 %"]
    assert Multilabel(SETS).describe({"labels": [], "probabilities": probabilities}) == ["no label"]
