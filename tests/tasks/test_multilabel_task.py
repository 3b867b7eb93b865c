"""Several labels for a text: loss, metrics, thresholds and scores by arithmetic, from a file to an answer."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, precision_recall_fscore_support

import rnnzoo
from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.cli import main
from rnnzoo.data.readers.labels import read_label_sets
from rnnzoo.data.splits import held_out, strata
from rnnzoo.errors import DataError
from rnnzoo.runs import per_class
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.calibration import Calibration, best_threshold
from rnnzoo.tasks.decisions import Counts
from rnnzoo.tasks.multilabel import Multilabel
from rnnzoo.tasks.sentiment import Sentiment
from rnnzoo.testing import task_tests

test_multilabel_keeps_the_contract = task_tests("multilabel")

SPEC = DataSpec("multilabelled_text", {}, Field("labels", ("a", "b", "c")))
LOGITS = torch.tensor([[2.0, -1.0, -1.0], [-2.0, 1.0, -3.0], [-1.0, -1.0, 4.0], [-1.0, -2.0, -1.0]])
TRUTH = torch.tensor([[1.0, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]])


def batch(rows=slice(None)):
    return Output(LOGITS[rows]), Batch({}, torch.ones(len(LOGITS[rows]), dtype=torch.int64), TRUTH[rows])


def test_the_loss_is_the_mean_cross_entropy_of_all_decisions():
    p = LOGITS.sigmoid()
    each = -(TRUTH * p.log() + (1 - TRUTH) * (1 - p).log())
    assert Multilabel(SPEC).loss(None, *batch()).item() == pytest.approx(each.mean().item())


def test_metrics_are_counted_over_all_batches():
    task = Multilabel(SPEC)
    metrics = task.metrics()
    for rows in (slice(0, 1), slice(1, 4)):
        task.update(metrics, *batch(rows), None, None)
    found = {name: value.item() for name, value in metrics.compute().items()}
    said = (LOGITS > 0).int()
    for average in ("micro", "macro"):
        assert found[f"f1_{average}"] == pytest.approx(f1_score(TRUTH, said, average=average))
    assert found["exact_match"] == pytest.approx(1 / 4)


def test_the_best_threshold_is_that_of_all_that_there_are():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        p = (10 * torch.rand(40, generator=generator)).round() / 10  # some are equal
        target = torch.bernoulli(p.square(), generator=generator).long()
        found = best_threshold(p, target)
        if not target.any():
            assert found is None
            continue
        scores = {t: f1_score(target, p >= t) for t in np.linspace(0, 1.05, 211)}
        assert f1_score(target, p >= found) == pytest.approx(max(scores.values()))


def test_an_answer_has_the_labels_whose_probability_reaches_their_threshold():
    task = Multilabel(SPEC)
    p = torch.tensor([[0.4, 0.6, 0.5]])
    assert task.chosen(p).tolist() == [[0, 1, 1]]
    task.calibration = Calibration(1.0, {"a": 0.3, "b": 0.7})
    assert task.chosen(p).tolist() == [[1, 0, 1]]
    assert list(task.threshold_labels()) == ["a", "b", "c"] and not Multilabel(SPEC, threshold=0.3).threshold_labels()


def test_of_two_labels_the_rarer_one_is_said_from_its_threshold_on():
    spec = DataSpec("labelled_text", {}, Field("label", ("no", "yes"), counts=(90, 10)))
    task = Sentiment(spec, threshold="f1")
    assert task.threshold_labels() == ("yes",) and not Sentiment(spec).threshold_labels()
    p = torch.tensor([[0.7, 0.3], [0.9, 0.1]])
    assert task.chosen(p).tolist() == [0, 0]
    task.calibration = Calibration(1.0, {"yes": 0.25})
    assert task.chosen(p).tolist() == [1, 0]
    with pytest.raises(ValueError, match="of two labels"):
        Sentiment(DataSpec("labelled_text", {}, Field("label", ("a", "b", "c"))), threshold="f1")


@pytest.mark.parametrize("several", [False, True])
def test_scores_of_classes_are_those_of_scikit_learn(several):
    generator = torch.Generator().manual_seed(0)
    shape, high = ((60, 3), 2) if several else ((60,), 3)
    chosen, target = (torch.randint(high, shape, generator=generator) for _ in range(2))
    parts = [Counts(), Counts()]
    for part, rows in zip(parts, (slice(0, 25), slice(25, 60)), strict=True):
        part.add(chosen[rows], target[rows], 3)
    found = Counts.merged([*parts, Counts()]).scores("abc")
    wanted = precision_recall_fscore_support(target, chosen, labels=[0, 1, 2], zero_division=0)
    for number, own in enumerate(found["classes"].values()):
        assert list(own.values()) == pytest.approx([column[number] for column in wanted])
    for average in ("micro", "macro"):
        assert found[average]["f1"] == pytest.approx(f1_score(target, chosen, average=average))


def test_labels_of_a_table_are_a_list_or_joined_or_none():
    values = ["a|b", " a | a", '["c", "a"]', "", None, math.nan, ["b", 1], "[odd"]
    found = read_label_sets("f.csv", "labels", values, "|")
    assert found == [["a", "b"], ["a"], ["c", "a"], [], [], [], ["b", "1"], ["[odd"]]
    with pytest.raises(DataError, match=r"f.csv, row 2: 'labels' is \[\[1\]\], not a list of labels"):
        read_label_sets("f.csv", "labels", [["a"], [[1]]], "|")


def test_rows_are_held_out_by_the_rarest_of_their_labels():
    sets = [["a"]] * 10 + [["a", "b"]] * 2 + [[]] * 4
    train, dev = held_out(strata({"text": [], "labels": sets}, 16), 0.25)
    assert sorted(train + dev) == list(range(16))
    assert [row for row in dev if sets[row] == ["a", "b"]] and [row for row in dev if not sets[row]]


def test_own_texts_with_several_labels_are_trained_on_and_answered(here, capsys):
    words = {"late": "delayed", "bill": "invoice", "login": "password"}
    sets = [[], ["late"], ["bill"], ["login"], ["late", "bill"], ["bill", "login"]]
    rows = [
        (" ".join(["number", str(n), *(words[label] for label in s)]), "|".join(s)) for n in range(20) for s in sets
    ]
    (here / "t.csv").write_text("text,topics\n" + "".join(f"{text},{labels}\n" for text, labels in rows))
    (here / "r.yaml").write_text(
        "name: tickets\ndata: {name: text_files, train: t.csv, test: t.csv, label_column: topics, batch_size: 8}\n"
        "task: {name: multilabel}\nmodel: {architecture: {name: bidirectional, hidden_size: 4}, pooling: max,\n"
        "  inputs: {tokens: {size: 4}}}\noptimizer: {name: adam, lr: 0.05}\n"
        "trainer: {max_epochs: 6, enable_progress_bar: false}\ntracking: {mode: disabled}\n"
    )
    assert main(["fit", "r.yaml", "--run_dir", "run"]) == 0
    capsys.readouterr()
    model = rnnzoo.load("run")
    assert model.task.calibration.thresholds.keys() == words.keys()
    answers = model.predict([text for text, _ in rows])
    said = [set(answer["labels"]) for answer in answers]
    right = sum(own == set(filter(None, labels.split("|"))) for own, (_, labels) in zip(said, rows, strict=True))
    assert right > 100  # of 120
    scores = per_class.read(here / "run")
    hits = sum("late" in own and "late" in labels for own, (_, labels) in zip(said, rows, strict=True))
    assert (
        scores["classes"]["late"]["recall"] == pytest.approx(hits / 40) and scores["classes"]["late"]["support"] == 40
    )
    assert main(["predict", "run", "--text", "an invoice", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == ["bill"]
    assert "Each class in the test" in (here / "run" / "report.html").read_text()


def test_a_label_that_training_lacks_is_refused_with_its_row(here, capsys):
    (here / "t.csv").write_text("text,label\n" + "x one,a\ny two,b\n" * 10)
    (here / "d.csv").write_text("text,label\nx,a\ny,a|z\n")
    (here / "r.yaml").write_text("data: {name: text_files, train: t.csv, dev: d.csv}\ntask: {name: multilabel}\n")
    assert main(["fit", "r.yaml", "--run_dir", "run"]) == 2
    err = capsys.readouterr().err
    assert "d.csv, row 2: column 'labels': the training split has no label 'z'" in err
