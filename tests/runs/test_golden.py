"""What earlier versions of rnnzoo wrote loads, and gives the numbers that it gave then."""

import json
from pathlib import Path

import pytest

from rnnzoo.experiment.evaluate import evaluate
from rnnzoo.inference.predictor import load

GOLDEN = Path(__file__).parent / "golden"
RUNS = sorted(path.parent for path in GOLDEN.glob("*/*/summary.json"))
SHIPPED = sorted(GOLDEN.glob("*/shipped.json"))
NO_BAR = {"trainer": {"enable_progress_bar": False}}


def same(answer, expected):
    """Fails unless both hold the same words, and numbers that agree to four digits."""
    if isinstance(expected, dict):
        assert answer.keys() == expected.keys()
        for key, value in expected.items():
            same(answer[key], value)
    elif isinstance(expected, list):
        assert len(answer) == len(expected)
        for item, value in zip(answer, expected, strict=True):
            same(item, value)
    elif isinstance(expected, float):
        assert answer == pytest.approx(expected, rel=1e-4, abs=1e-6)
    else:
        assert answer == expected


def name(path: Path) -> str:
    return path.relative_to(GOLDEN).as_posix()


@pytest.mark.parametrize("run", RUNS, ids=name)
def test_an_old_run_scores_as_it_did(run):
    metrics = json.loads((run / "summary.json").read_text())["metrics"]
    same(evaluate(run, "test", NO_BAR), {key: value for key, value in metrics.items() if key.startswith("test/")})


@pytest.mark.parametrize("run", RUNS, ids=name)
def test_an_old_run_answers_as_it_did(run):
    asked = json.loads((run / "answers.json").read_text())
    same(load(run).predict([item["question"] for item in asked]), [item["answer"] for item in asked])


@pytest.mark.parametrize("file", SHIPPED, ids=name)
def test_the_shipped_models_answer_as_they_did(file):
    for model, asked in json.loads(file.read_text()).items():
        same(load(model).predict([item["question"] for item in asked]), [item["answer"] for item in asked])
