"""A report on W&B shows the groups, their curves, what differs and the verdicts; without a network it is kept."""

import json
from pathlib import Path

import pytest
from compared_runs import make_run

from rnnzoo.cli import main
from rnnzoo.compare import compare, report_plan

pytest.importorskip("wandb_workspaces")


def online_runs(folder: Path) -> Path:
    for cell, accuracies in {"lstm": (0.82, 0.84), "gru": (0.80, 0.81)}.items():
        for seed, accuracy in enumerate(accuracies, 1):
            facts = {"wandb": {"id": f"{cell}{seed}", "mode": "online"}}
            make_run(folder / "runs" / f"{cell}-{seed}", cell, seed, accuracy, facts=facts)
    return folder / "runs"


def test_a_report_and_a_workspace_name_every_run_and_say_what_differs(recorder, here, capfd):
    runs = online_runs(here)
    assert main(["compare", str(runs), "--report", "team/zoo"]) == 0
    captured = capfd.readouterr()
    assert f"report: {recorder.url}/team/zoo/reports/" in captured.err and "lstm" in captured.out
    report, workspace = recorder.views
    assert (report["type"], workspace["type"]) == ("runs", "project-view")
    for view in recorder.views:
        text = json.dumps(view["spec"])
        assert (view["entityName"], view["projectName"]) == ("team", "zoo")
        assert all(f'"{cell}{seed}"' in text for cell in ("lstm", "gru") for seed in (1, 2))
        assert "val/accuracy" in text and "test/accuracy" in text
    text = json.dumps(report["spec"])
    assert "lhoestq/imdb" in text and "cell lstm" in text and "cpu_seconds" in text
    assert not (runs / "wandb-report.json").exists()


def test_without_a_network_the_report_is_kept_beside_the_runs_and_sent_later(recorder, here, monkeypatch, capfd):
    runs = online_runs(here)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert main(["compare", str(runs), "--report", "team/zoo"]) == 0
    assert "rnnzoo compare --publish runs/wandb-report.json" in capfd.readouterr().err and not recorder.views
    monkeypatch.setenv("WANDB_BASE_URL", recorder.url)
    import wandb

    wandb.teardown()
    assert main(["compare", "--publish", "runs/wandb-report.json"]) == 0
    assert [view["type"] for view in recorder.views] == ["runs", "project-view"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 2}', 10_000 * "["])
def test_a_file_that_is_no_report_is_refused(text, here, capfd):
    Path("x.json").write_text(text)
    assert main(["compare", "--publish", "x.json"]) == 2
    assert "x.json" in capfd.readouterr().err


def test_runs_that_w_and_b_does_not_have_make_no_report(here, capfd):
    make_run(here / "runs" / "a")
    assert main(["compare", "runs", "--report", "team/zoo"]) == 2
    assert "no run of this comparison was logged to W&B" in capfd.readouterr().err


def test_a_plan_that_is_written_is_read_again(here):
    made = report_plan.plan(compare([online_runs(here)]), "team", "zoo")
    report_plan.write(Path("plan.json"), made)
    assert report_plan.read(Path("plan.json")) == made
    assert [group["runs"] for group in made["groups"]] == [["lstm1", "lstm2"], ["gru1", "gru2"]]
