"""A test of a finished run, in the trackers of its recipe."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from conftest import records
from test_tracked import SMALL

from rnnzoo.cli import main
from rnnzoo.runs.record import read_summary


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that is tracked offline, and in a CSV file."""
    folder = tmp_path_factory.mktemp("tested") / "run"
    words = ["--tracking.mode=offline", "--tracking.notes=of the training", "--tracking.also=[csv]"]
    assert main(["fit", "quickstart", "--run_dir", str(folder), *SMALL, *words]) == 0
    import wandb

    wandb.teardown()
    return folder


def files(folder: Path) -> dict[str, str]:
    """The digest of each file, by its path."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def new_in_wandb(run: Path, *words: str) -> list:
    """The records of what W&B has new after a test of the run: nothing, or one run's."""
    import wandb

    before = set(run.glob("wandb/offline-run-*/*.wandb"))
    assert main(["test", str(run), "--json", "--trainer.enable_progress_bar=false", *words]) == 0
    wandb.teardown()
    new = set(run.glob("wandb/offline-run-*/*.wandb")) - before
    assert len(new) <= 1
    return [record for path in new for record in records(path)]


def of(found: list, kind: str) -> list:
    return [getattr(record, kind) for record in found if record.WhichOneof("record_type") == kind]


def config_of(opened) -> dict:
    return {item.key: json.loads(item.value_json) for item in opened.config.update}


def test_a_test_is_a_run_of_its_own_linked_to_the_trainings(run, capsys):
    kept, summary = files(run), read_summary(run)
    (trained,) = of(records(next(run.glob("wandb/offline-run-*/*.wandb"))), "run")
    capsys.readouterr()
    found = new_in_wandb(run)
    metrics = json.loads(capsys.readouterr().out)
    (opened,) = of(found, "run")
    assert (opened.job_type, trained.job_type) == ("test", "fit")
    assert opened.run_id != trained.run_id and not opened.notes
    for name in ("display_name", "run_group", "project"):
        assert getattr(opened, name) == getattr(trained, name)
    ours, theirs = config_of(opened), config_of(trained)
    assert ours.pop("trained") == {"run": summary["id"], "wandb": trained.run_id}
    assert {key: ours[key] for key in ("model", "optimizer", "task", "seed")} == {
        key: theirs[key] for key in ("model", "optimizer", "task", "seed")
    }
    assert ours["facts"]["digest"] == theirs["facts"]["digest"]
    rows = [{item.key or item.nested_key[0]: item.value_json for item in row.item} for row in of(found, "history")]
    (scores,) = [row for row in rows if "test/accuracy" in row]
    assert {name: float(scores[name]) for name in metrics} == pytest.approx(metrics)
    assert int(scores["trainer/global_step"]) == summary["steps"]
    assert any(name.startswith("test/predictions") for row in rows for name in row)
    now = files(run)
    assert {name: now[name] for name in kept} == kept  # nothing that the training wrote is changed
    new = [name for name in now.keys() - kept.keys() if name.startswith("trackers/test-")]
    assert any("test/accuracy" in (run / name).read_text() for name in new)


def test_a_test_is_not_tracked_where_its_run_or_the_user_says_so(run, monkeypatch):
    quiet = "--tracking.also=[]"
    assert new_in_wandb(run, quiet, "--tracking.mode", "disabled") == []
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert new_in_wandb(run, quiet) == []


def test_the_environment_and_the_command_line_name_a_test(run, monkeypatch):
    monkeypatch.setenv("WANDB_JOB_TYPE", "nightly")
    monkeypatch.setenv("WANDB_TAGS", "from-the-environment")
    (opened,) = of(
        new_in_wandb(run, "--tracking.also=[]", "--tracking.run_name=mine", "--tracking.predictions=none"), "run"
    )
    assert (opened.job_type, opened.display_name) == ("nightly", "mine")
    assert "from-the-environment" in opened.tags


def test_scores_on_dev_are_not_tracked_and_take_no_key_of_tracking(run, capsys):
    before = files(run)
    assert main(["validate", str(run), "--trainer.enable_progress_bar=false"]) == 0
    assert files(run) == before
    assert main(["validate", str(run), "--tracking.mode=offline"]) == 2
    assert "tracking: cannot be changed after training" in capsys.readouterr().err


def test_a_tracker_that_is_gone_is_one_warning_and_the_scores_are_printed(run, monkeypatch, caplog, capsys):
    from rnnzoo.runs.trackers import csv_file

    def gone(*arguments: object, **settings: object) -> None:
        raise RuntimeError("it is gone")

    monkeypatch.setattr(csv_file.CsvFile, "__init__", gone)
    capsys.readouterr()
    new_in_wandb(run, "--tracking.mode=disabled")
    assert "test/accuracy" in json.loads(capsys.readouterr().out)
    assert len([record for record in caplog.records if "it is gone" in record.getMessage()]) == 1


@pytest.mark.slow
def test_a_test_online_reaches_the_server_as_a_run_of_job_type_test(run, recorder):
    assert main(["test", str(run), "--tracking.mode=online", "--tracking.also=[]"]) == 0
    (recorded,) = recorder.runs.values()
    assert recorder.unknown == [] and recorded.exit_code == 0
    assert "test/accuracy" in "".join(recorded.lines["wandb-history.jsonl"].values())
