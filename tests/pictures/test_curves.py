import json
from xml.etree import ElementTree

import pytest
from conftest import write_reviews

from rnnzoo.cli import main
from rnnzoo.inference import predictor
from rnnzoo.pictures import curves

SVG = "{http://www.w3.org/2000/svg}"
RECORDS = [
    {"step": 9, "epoch": 0, "train/loss_step": 0.9},
    {"step": 9, "epoch": 0, "val/loss": 0.8, "val/accuracy": 0.5, "val/f1": 0.4},
    {"step": 9, "epoch": 0, "train/loss": 0.9, "train/accuracy": 0.4},
    {"step": 19, "epoch": 1, "val/loss": 0.7, "val/accuracy": 0.6},
    {"step": 19, "epoch": 1, "val/loss": 0.6, "val/accuracy": 0.7},
    {"step": 19, "epoch": 1, "train/loss": None, "train/accuracy": 0.8},
    {"step": 20, "epoch": 2, "test/loss": 0.5},
]


def test_curves_are_what_training_and_validation_both_have_the_loss_last():
    assert curves.curves(RECORDS) == {
        "accuracy": {"val": {1: 0.5, 2: 0.7}, "train": {1: 0.4, 2: 0.8}},
        "loss": {"val": {1: 0.8, 2: 0.6}, "train": {1: 0.9}},
    }
    assert list(curves.curves(RECORDS)) == ["accuracy", "loss"]


def points_of(panel) -> list[list[tuple[float, float]]]:
    lines = panel.findall(f"{SVG}polyline")
    return [[tuple(map(float, point.split(","))) for point in line.get("points").split()] for line in lines]


def test_a_picture_has_a_panel_for_each_name_and_a_line_for_each_stage():
    root = ElementTree.fromstring(curves.svg(curves.curves(RECORDS), 'a run <of> "mine"'))
    panels = root.findall(f"{SVG}g")
    assert len(panels) == 2 and root.find(f"{SVG}title").text == 'a run <of> "mine"'
    train, val = points_of(panels[0])
    assert len(train) == len(val) == 2 and train[0][0] == val[0][0] < train[1][0]
    height = [train[0][1], val[0][1], val[1][1], train[1][1]]  # accuracies .4, .5, .7, .8
    assert height == sorted(height, reverse=True)
    assert (height[0] - height[1]) / (height[0] - height[3]) == pytest.approx(0.25, abs=0.01)


def test_a_run_logs_the_accuracy_of_training_and_its_curves_are_drawn(here, capsys):
    still = ["--optimizer", "{name: sgd, lr: 1.0e-30}", "--trainer.max_epochs", "2", "--seed", "3"]
    assert main(["fit", str(write_reviews(here, train=40)), "--run_dir", "run", *still]) == 0
    records = [json.loads(line) for line in (here / "run" / "metrics.jsonl").read_text().splitlines()]
    texts, labels = zip(*(line.split(",") for line in (here / "train.csv").read_text().splitlines()[1:]), strict=True)
    answers = predictor.load("run").predict(texts)
    correct = sum(answer["label"] == label for answer, label in zip(answers, labels, strict=True))
    assert [record["train/accuracy"] for record in records if "train/accuracy" in record] == [
        pytest.approx(correct / 40)
    ] * 2
    assert main(["show", "run", "--curves", "curves.svg"]) == 0
    assert "curves.svg" in capsys.readouterr().out
    root = ElementTree.parse(here / "curves.svg").getroot()
    assert [panel.find(f"{SVG}text").text for panel in root.findall(f"{SVG}g")] == ["accuracy", "loss"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--curves", "curves.png"], "curves are written as SVG, got 'curves.png'"),
        (["run", "--curves", "curves.svg"], "no epoch that was both trained and validated"),
        (["cell", "lstm", "--curves", "curves.svg"], "takes a kind and a name, or a run"),
    ],
)
def test_what_has_no_curves_is_told(here, capsys, arguments, message):
    (here / "run").mkdir()
    (here / "run" / "summary.json").write_text("{}")
    (here / "run" / "metrics.jsonl").write_text(json.dumps(RECORDS[0]) + "\nnull\n{")
    assert main(["show", *arguments]) == 2
    assert message in capsys.readouterr().err and not (here / "curves.svg").exists()
