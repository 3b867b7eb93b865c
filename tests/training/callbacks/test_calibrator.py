"""The best checkpoint has the temperature that its dev logits ask for, for any batches and any number of processes."""

import json

import pytest
import ranks
import torch
from ranks import Case
from torchmetrics.functional.classification import multiclass_calibration_error

import rnnzoo
from rnnzoo.cli import main
from rnnzoo.runs import calibration, checkpoint
from rnnzoo.tasks.calibration import BINS, KEY, Calibration, fit_temperature
from rnnzoo.tasks.sentiment import Sentiment
from rnnzoo.training.callbacks.calibrator import Calibrator

CHOOSING = ("sentiment", "classification", "tagging", "masked_word")
OTHERS = ("next_word", "regression", "crf")


def measured(variant, rows, batch_size, temperature=2.0):
    """What the calibrator has found on a part of the data, in the first process."""
    module, data = ranks.build(variant, dev=rows, batch_size=batch_size)
    module.task.calibration = Calibration(temperature)
    calibrator = Calibrator()
    ranks.trainer([calibrator]).validate(module.eval(), data, verbose=False)
    assert not any(module.observers.values())
    return calibrator.found


def flat(found):
    return [found["answers"], *(found[when]["ece"] for when in ("before", "after"))]


@pytest.mark.parametrize("variant", CHOOSING)
def test_what_is_found_depends_on_no_batch(variant):
    found = measured(variant, 17, 4)
    assert flat(found) == pytest.approx(flat(measured(variant, 17, 17)), rel=1e-4)


def test_two_processes_find_what_one_does():
    cases = [Case(measured, ("sentiment", rows, 4)) for rows in (1, 7)]
    for (alone,), (first, second) in zip(ranks.run(1, cases), ranks.run(2, cases), strict=True):
        assert flat(first) == pytest.approx(flat(alone), rel=1e-4) and second is None


@pytest.mark.parametrize("variant", OTHERS)
def test_a_task_whose_answers_have_no_probabilities_has_no_calibration(variant):
    assert measured(variant, 7, 4) is None


def test_a_task_that_fails_costs_a_warning_alone(monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("out of order")

    monkeypatch.setattr(Sentiment, "decisions", broken)
    assert measured("sentiment", 7, 4) is None and "not calibrated: RuntimeError: out of order" in caplog.text


@pytest.fixture(scope="module")
def model(trained):
    return rnnzoo.load(trained)


def test_a_run_keeps_the_temperature_that_its_dev_part_asks_for_and_predicts_by_it(trained, model):
    meta = checkpoint.load(checkpoint.follow(trained / "checkpoints" / "best")).meta
    assert model.task.calibration == Calibration(meta[KEY]["temperature"])
    texts = [f"a {word} film number {row}" for row in range(4) for word in ("good", "bad")]
    target = torch.tensor([model.task.class_names().index(name) for name in ["positive", "negative"] * 4])
    examples = model.form.ask(texts, model.spec)
    with torch.no_grad():
        logits = model.task.forward(model.model, examples[range(8)]).logits
    assert meta[KEY]["temperature"] == pytest.approx(fit_temperature(logits, target) or 1.0)
    plain = multiclass_calibration_error(logits.softmax(-1), target, num_classes=2, n_bins=BINS, norm="l1")
    assert meta[KEY]["dev"]["before"]["ece"] == pytest.approx(plain.item(), abs=1e-5)
    found = calibration.read(trained)
    assert found["test"]["answers"] == 8 and found["temperature"] == meta[KEY]["temperature"]
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["calibration"]["ece"]["test after"] == found["test"]["after"]["ece"]


def test_confidences_are_those_of_the_temperature_and_labels_are_as_before(trained):
    model = rnnzoo.load(trained)
    texts = ["a good film", "a bad film", "number good bad"]
    sure = model.predict(texts)
    model.task.calibration = Calibration(1.0)
    plain = model.predict(texts)
    model.task.calibration = Calibration(4.0)
    flat = model.predict(texts)
    assert [row["label"] for row in sure] == [row["label"] for row in plain] == [row["label"] for row in flat]
    for one, other in zip(plain, flat, strict=True):
        odds = [row["confidence"] / (1 - row["confidence"]) for row in (one, other)]
        assert odds[1] ** 4 == pytest.approx(odds[0], rel=1e-2)


def test_test_says_how_well_confidences_come_true(here, capsys):
    from conftest import write_reviews

    write_reviews(here)
    assert main(["fit", "reviews.yaml", "--run_dir", "run", "--trainer.max_epochs", "1"]) == 0
    capsys.readouterr()
    assert main(["test", "run", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    found = calibration.read(here / "run")["test"]
    assert scores["test/ece"] == pytest.approx(found["after"]["ece"])
    assert scores["test/ece_uncalibrated"] == pytest.approx(found["before"]["ece"])


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"test": {"before": {"bins": [[1]]}, "after": {}}}', '{"temperature": "x"}']
)
def test_a_file_that_a_stranger_wrote_breaks_no_report(tmp_path, text):
    from rnnzoo.reports.drawing import draw_calibration

    (tmp_path / calibration.FILE).write_text(text)
    assert draw_calibration(tmp_path) == {} and calibration.errors(calibration.read(tmp_path)) == {}
