"""Runs are grouped over their seeds and named by what differs; what cannot be compared is said."""

import json
import statistics
import subprocess
import sys

import pytest
from compared_runs import make_run, six_runs
from test_verdict import groups

from rnnzoo.compare import compare
from rnnzoo.errors import RunError


def test_runs_are_grouped_over_seeds_and_named_by_what_differs_the_best_first(tmp_path):
    comparison = compare([six_runs(tmp_path)])
    assert [group.name for group in comparison.groups] == ["lstm", "gru", "vanilla"]
    assert [group.seeds for group in comparison.groups] == [[1, 2]] * 3
    spread = comparison.groups[0].scores["test/accuracy"]
    assert spread.mean == pytest.approx(0.83) and spread.std == pytest.approx(statistics.stdev([0.82, 0.84]))
    assert comparison.keys == {"model.architecture.cell.name": "cell"}
    assert not comparison.left_out


def test_a_loss_is_best_where_it_is_least(tmp_path):
    facts = {"best": {"monitor": "val/loss", "mode": "min", "score": 0.5, "epoch": 1}}
    for cell, loss in {"lstm": 0.7, "gru": 0.3}.items():
        make_run(tmp_path / cell, cell, facts=facts | {"metrics": {"test/loss": loss, "best/loss": loss}})
    comparison = compare([tmp_path])
    assert [group.name for group in comparison.groups] == ["gru", "lstm"]
    assert (comparison.main.name, comparison.main.mode) == ("test/loss", "min")


@pytest.mark.parametrize(
    ("what", "changes", "facts"),
    [
        ("task", {"task__name": "regression"}, {}),
        ("test set", {}, {"data": {"id": "other", "sizes": {"test": 1000}}}),
        ("test set", {"trainer__limit_test_batches": 2}, {}),
        ("monitored metric", {}, {"best": {"monitor": "val/accuracy", "mode": "min"}}),
        ("way to compute accuracy", {}, {"scoring": {"accuracy": "top 5"}}),
    ],
)
def test_what_is_not_alike_is_refused_with_what_differs_and_a_way_out(tmp_path, what, changes, facts):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", facts=facts, **changes)
    with pytest.raises(RunError, match=f"they differ in their {what}") as refusal:
        compare([tmp_path])
    assert "rnnzoo compare" in str(refusal.value)


def test_the_first_batches_of_a_test_set_are_other_rows_where_batches_are_larger(tmp_path):
    for rows in (32, 64):
        make_run(tmp_path / str(rows), data__batch_size=rows, trainer__limit_test_batches=2)
    with pytest.raises(RunError, match="they differ in their test set"):
        compare([tmp_path])
    make_run(tmp_path / "same" / "a", data__batch_size=32, data__eval_batch_size=8, trainer__limit_test_batches=2)
    make_run(tmp_path / "same" / "b", data__batch_size=64, data__eval_batch_size=8, trainer__limit_test_batches=2)
    assert len(compare([tmp_path / "same"]).groups) == 2


def test_a_metric_of_dev_alone_counts_where_it_is_asked_for_or_chose_the_checkpoints(tmp_path):
    best = {"monitor": "val/f1", "mode": "max", "score": 0.5, "epoch": 1}
    for cell, f1 in {"lstm": 0.3, "gru": 0.7}.items():
        metrics = {"best/f1": f1, "best/loss": f1, "test/loss": f1, "test/per/f1": 1 - f1}
        make_run(tmp_path / "dev" / cell, cell, facts={"best": best, "metrics": metrics | {"best/f1": f1}})
        make_run(tmp_path / "both" / cell, cell, facts={"best": best, "metrics": metrics | {"test/f1": f1 / 2}})
    assert compare([tmp_path / "both"]).main.name == "test/f1"
    assert compare([tmp_path / "both"], metric="best/f1").main.name == "best/f1"
    assert compare([tmp_path / "both"], metric="val/f1").main.name == "best/f1"
    assert compare([tmp_path / "both"], metric="loss").main.name == "test/loss"
    for path in (tmp_path / "dev").glob("*/summary.json"):
        path.write_text(path.read_text().replace('"test/per/f1"', '"test/other"'))
    comparison = compare([tmp_path / "dev"])
    assert comparison.notes[-1].startswith("No verdict: best/f1 is of dev")
    assert comparison.main.name == "best/f1" and [group.name for group in comparison.groups] == ["gru", "lstm"]


@pytest.mark.parametrize("status", ["failed", "running", "interrupted"])
def test_a_run_that_did_not_finish_is_left_out_and_said(tmp_path, status):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", facts={"status": status})
    comparison = compare([tmp_path])
    assert [(run.path.name, status in run.why) for run in comparison.left_out] == [("b", True)]


def test_what_ended_a_run_is_told_in_one_line_and_a_seed_that_is_no_number_is_not_one(tmp_path):
    facts = {"status": "failed", "ended_by": "\x1b[2J\nall runs agree."}
    make_run(tmp_path / "failed", facts=facts)
    with pytest.raises(RunError) as refusal:
        compare([tmp_path])
    assert "\x1b" not in str(refusal.value) and len(str(refusal.value).splitlines()) == 2
    for name, seed in {"text": "1", "true": True, "float": 1.0, "one": 1}.items():
        make_run(tmp_path / name, facts={"seed": seed, "started": name})
        config = tmp_path / name / "config.yaml"
        config.write_text(config.read_text().replace("seed: 1", f"seed: {json.dumps(seed)}"))
    assert [run.seed for run in compare([tmp_path]).runs] == [1, None, None, None]


@pytest.mark.parametrize("flags", [[], ["--json"], ["--at", "epoch=2"]])
def test_nothing_heavy_is_imported(tmp_path, flags):
    groups(tmp_path, {"lstm": 0.8, "gru": 0.7}, seeds=2, examples=50)
    code = (
        "import sys; from rnnzoo.cli import main; code = main(['compare', *sys.argv[1:]])\n"
        "print(code, {'torch', 'lightning', 'datasets', 'wandb', 'pandas'} & {*sys.modules}, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "runs"), *flags]
    assert subprocess.run(command, capture_output=True, text=True).stderr == "0 set()\n"


def test_a_trained_run_says_which_way_its_metrics_are_better_and_which_rows_they_are_of(trained):
    comparison = compare([trained])
    (group,) = comparison.groups
    modes = {metric.name: metric.mode for metric in comparison.metrics}
    assert modes["test/accuracy"] == modes["test/f1"] == "max" and modes["test/loss"] == "min"
    assert len(group.runs[0].facts["data"]["scored_rows"]) == 64
