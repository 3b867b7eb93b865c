"""Runs of a project on W&B's server are compared as folders are; what is missing for that is said."""

import json
import sys

import pytest
from test_wandb_files import spec
from wandb_operations import Run

from rnnzoo.cli import main
from rnnzoo.compare import compare
from rnnzoo.errors import ZooError

SCORES = {("lstm", 1): 0.82, ("lstm", 2): 0.84, ("gru", 1): 0.80, ("gru", 2): 0.81}


def keep(recorder, cell: str, seed: int, accuracy: float, exit: int | None = 0) -> Run:
    """A run as a client has sent it."""
    sent = spec(cell, seed, accuracy)
    run = recorder.runs[f"{cell}{seed}"] = Run("team", "zoo", f"{cell}{seed}", exit_code=exit)
    config = {key: {"value": value} for key, value in sent["init"]["config"].items()}
    run.fields = {"displayName": sent["init"]["name"], "config": json.dumps(config)}
    rows = [json.dumps(row | {"_step": step}) for step, row in enumerate(sent["rows"])]
    run.lines["wandb-history.jsonl"] = dict(enumerate(rows))
    run.lines["wandb-summary.json"] = {0: json.dumps(sent["rows"][-1] | sent["summary"])}
    return run


@pytest.fixture
def project(recorder):
    for (cell, seed), accuracy in SCORES.items():
        keep(recorder, cell, seed, accuracy)
    return recorder


def test_the_runs_of_a_project_are_grouped_with_their_scores_costs_and_curves(project):
    keep(project, "vanilla", 1, 0.7, exit=None)
    keep(project, "vanilla", 2, 0.7, exit=1)
    comparison = compare([], project="team/zoo")
    assert [(group.name, group.seeds) for group in comparison.groups] == [("lstm", [1, 2]), ("gru", [1, 2])]
    lstm = comparison.groups[0]
    assert lstm.scores["test/accuracy"].mean == pytest.approx(0.83) and lstm.engine == "native"
    assert lstm.costs["tokens"].mean == 5000 and lstm.costs["parameters"].mean == 1000
    assert lstm.runs[0].curves.along("step", "val/accuracy") == [(1, 0.41), (2, 0.82)]
    assert {str(left.path): left.why.split(";")[0] for left in comparison.left_out} == {
        "team/zoo/vanilla1": "it has not ended, or was killed",
        "team/zoo/vanilla2": "it failed (exit code 1)",
    }


def test_the_verb_prints_a_projects_table(project, capfd):
    assert main(["compare", "--wandb", "team/zoo"]) == 0
    out = capfd.readouterr().out
    assert "lstm" in out and "gru" in out and "0.83" in out


def test_a_project_that_is_not_there_is_said(project):
    with pytest.raises(ZooError, match="knows nothing of team/other"):
        compare([], project="team/other")


def test_a_key_that_is_refused_is_said(project):
    project.fault = 401
    with pytest.raises(ZooError, match=r"(?s)refuses the API key.*wandb login"):
        compare([], project="team/zoo")


def test_a_server_that_is_not_there_is_said(project, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(ZooError, match=r"(?s)is not there.*rnnzoo compare FILE.wandb"):
        compare([], project="team/zoo")


def test_without_a_key_nobody_is_asked_for_one(project, monkeypatch, capfd):
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a prompt"))
    assert main(["compare", "--wandb", "team/zoo"]) == 2
    assert "there is no API key" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["team", "team/zoo/run", "../zoo/x", "", "a/b\n"])
def test_what_is_no_project_is_refused_before_anything_is_asked(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ZooError, match=r"takes ENTITY/PROJECT"):
        compare([], project=name)


def test_the_verb_needs_a_run_or_a_project(capfd):
    assert main(["compare"]) == 2
    assert "names no run" in capfd.readouterr().err
