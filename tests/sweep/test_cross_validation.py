"""`rnnzoo fit --folds`: a run for each fold, once, and their mean."""

import json
import re

import pytest

from rnnzoo.cli import main

FIT = ["fit", "quickstart", "--data.examples=200", "--trainer.max_epochs=1", "--tracking.mode=disabled"]


@pytest.mark.slow
def test_each_fold_is_run_once_and_the_mean_is_printed(tmp_path, capsys):
    words = [*FIT, "--folds=2", "--run_dir", str(tmp_path / "folds")]
    assert main(words) == 0
    shown = capsys.readouterr()
    summaries = [json.loads(path.read_text()) for path in sorted((tmp_path / "folds").glob("*/summary.json"))]
    assert len(summaries) == 2 and len({summary["data"]["scored_rows"] for summary in summaries}) == 1
    mean = sum(summary["metrics"]["test/loss"] for summary in summaries) / 2
    assert float(re.search(r"^test/loss  (\S+)", shown.out, re.MULTILINE)[1]) == pytest.approx(mean, abs=1e-4)
    assert main(words) == 0
    again = capsys.readouterr()
    assert again.out == shown.out and "2 runs, 2 of them done" in again.err


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--folds=1"], "--folds must be from 2 to 1000"), (["--folds=2", "--resume=auto"], "needs no --resume")],
)
def test_what_makes_no_sense_is_refused(words, message, capsys):
    assert main([*FIT, *words]) == 2
    assert message in capsys.readouterr().err
