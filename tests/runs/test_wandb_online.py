"""Runs of W&B's against a recorder of what its server gets: nothing is lost, nothing is told that should not be."""

import json
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from wandb_server import AUTHORIZATION, KEY, recording

from rnnzoo import runs
from rnnzoo.cli import main
from rnnzoo.runs import tracking

SMALL = [
    "--data.examples",
    "80",
    "--trainer.enable_progress_bar",
    "false",
    "--trainer.accelerator",
    "cpu",
    "--engine",
    "reference",
]
VARYING = r"^_(timestamp|runtime|step|wandb)|second|memory|hardware|artifact_path"
TIMES = re.compile(VARYING)  # what no two runs have in common


@pytest.fixture(autouse=True)
def alone(here, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", runs.SHARED):
        monkeypatch.delenv(name, raising=False)


def fit(*arguments: str, folder: str = "run", epochs: int = 2) -> Path:
    words = ["quickstart", "--run_dir", folder, "--trainer.max_epochs", str(epochs), *SMALL, *arguments]
    assert main(["fit", *words]) == 0
    return Path(folder)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / (run / "checkpoints" / "last").read_text().strip() / "weights.safetensors")


def lasting(values):
    """Values without those of a clock, at every depth."""
    if not isinstance(values, dict):
        return values
    return {key: lasting(value) for key, value in values.items() if not TIMES.search(key)}


def logged(recorded) -> list[tuple[int, str, object]]:
    """A run's metrics as (step, name, value), without its tables and pictures."""
    return sorted(
        (row["trainer/global_step"], name, value)
        for row in recorded.history
        for name, value in row.items()
        if re.match("(train|val|test)/", name) and not isinstance(value, dict)
    )


def written(run: Path) -> list[tuple[int, str, object]]:
    """The same, of its metrics file."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return sorted(
        (line["step"], name, value)
        for line in lines
        for name, value in line.items()
        if re.match("(train|val|test)/", name)
    )


def post(url: str, body: dict, authorization: str = AUTHORIZATION) -> int:
    """The status of an answer."""
    headers = {"Authorization": authorization}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        return urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("asked", ["mutation DeleteRun { deleteRun { id } }", "{ viewer { id } }"])
def test_a_recorder_fails_on_an_operation_that_it_does_not_know(asked):
    with pytest.raises(AssertionError, match="unknown to the recorder"), recording() as recorder:
        assert post(f"{recorder.url}/graphql", {"query": asked}) == 400


def test_a_recorder_fails_on_a_path_that_it_does_not_know_and_refuses_other_keys():
    with recording() as recorder:
        assert post(f"{recorder.url}/graphql", {"query": "query Viewer { viewer { id } }"}, "Basic x") == 401
    with pytest.raises(AssertionError, match="POST /login"), recording() as recorder:
        assert post(f"{recorder.url}/login", {}) == 404


def test_an_online_run_gives_its_config_curves_and_summary_and_nothing_of_the_machine(
    recorder, here, monkeypatch, capfd
):
    monkeypatch.setattr(sys, "argv", ["rnnzoo", "canary-argument"])
    monkeypatch.setenv("HF_TOKEN", "canary-token")
    for words in (["init"], ["remote", "add", "origin", "https://me:canary-remote@host/a.git"]):
        subprocess.run(["git", *words], cwd=here, check=True, capture_output=True)
    run = fit("--trainer.log_every_n_steps", "1")
    (recorded,) = recorder.runs.values()
    summary = runs.read(run)["summary"]
    assert summary["wandb"]["id"] == recorded.name and summary["wandb"]["mode"] == "online"
    assert (recorded.project, recorded.exit_code) == ("rnnzoo", 0)
    assert recorded.config["model"]["architecture"]["hidden_size"] == 64 and recorded.config["seed"] == 1
    assert logged(recorded) == written(run) and len(logged(recorded)) > 8
    assert recorded.summary["test/accuracy"] == summary["metrics"]["test/accuracy"]
    assert recorded.summary["best/accuracy"] == summary["metrics"]["best/accuracy"]
    sent = b"".join(body.replace(AUTHORIZATION.encode(), b"") for body in recorder.received)
    secret = ("canary", KEY, socket.gethostname() + '"', str(here), str(Path.home()), sys.executable)
    sent = re.sub(rb'"local_path":"[^"]*"', b"", sent)  # W&B's own list of an artifact's files says where they lie
    assert [word for word in secret if word.encode() in sent] == []
    assert "canary" not in "".join(capfd.readouterr())


def test_an_offline_run_that_is_synced_is_the_one_that_it_would_have_been_online(recorder, wandb, monkeypatch):
    fit(folder="online")
    (online,) = recorder.runs.values()
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = fit(folder="offline")
    wandb.teardown()
    assert len(recorder.runs) == 1
    monkeypatch.setenv("WANDB_MODE", "online")
    (folder,) = run.glob("wandb/offline-run-*")
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    (synced,) = [recorded for recorded in recorder.runs.values() if recorded is not online]
    assert [lasting(row) for row in synced.history] == [lasting(row) for row in online.history] != []
    assert lasting(synced.config) == lasting(online.config)
    assert lasting(synced.summary) == lasting(online.summary)
    assert [row.keys() for row in synced.history] == [row.keys() for row in online.history]
    for name in ("project", "groupName", "displayName", "tags", "notes", "jobType"):
        assert synced.fields.get(name) == online.fields.get(name)
    assert synced.exit_code == online.exit_code == 0


def test_a_run_that_is_resumed_continues_its_run_of_wandb(recorder):
    run = fit(epochs=1)
    first = runs.read(run)["summary"]["wandb"]["id"]
    assert main(["fit", "--resume", str(run), "--trainer.max_epochs", "2"]) == 0
    (recorded,) = recorder.runs.values()
    assert recorded.name == first == runs.read(run)["summary"]["wandb"]["id"]
    assert [row["_step"] for row in recorded.history] == list(range(len(recorded.history)))
    ends = [row for row in recorded.history if "test/loss" in row]  # W&B keeps the scores of the first end, too
    assert [row["trainer/global_step"] for row in ends] == [2, 4]
    again = {(2, name, value) for name, value in ends[0].items() if not isinstance(value, dict)}
    assert [entry for entry in logged(recorded) if entry not in again] == written(run)
    assert {row["epoch"] for row in recorded.history if "val/loss" in row} == {0, 1}


@pytest.mark.slow
def test_two_processes_give_one_run_of_wandb(recorder, here):
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.max_epochs", "1"]
    words = ["fit", "quickstart", "--run_dir", "run", *SMALL, *two]
    done = subprocess.run([sys.executable, "-m", "rnnzoo", *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    (recorded,) = recorder.runs.values()
    assert recorded.exit_code == 0 and logged(recorded) == written(Path("run"))


@pytest.mark.slow
def test_a_server_that_recovers_gets_everything_once(recorder):
    failed = iter([True, True])
    recorder.fails = lambda path: "file_stream" in path and next(failed, False)
    recorder.fault = 500
    run = fit(epochs=1)
    (recorded,) = recorder.runs.values()
    assert recorder.failures == 2 and logged(recorded) == written(run) and recorded.exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", [429, "stalls"])
def test_a_training_whose_server_fails_in_the_middle_ends_with_the_same_weights(fault, recorder, monkeypatch):
    monkeypatch.setattr(tracking.finish, "__defaults__", (True, 2.0))  # seconds to wait for the rest of an upload
    fitted = {}
    for mode in ("disabled", "online"):
        monkeypatch.setenv("WANDB_MODE", mode)
        recorder.fails = lambda path: "file_stream" in path
        recorder.fault = fault
        fitted[mode] = weights(fit(folder=mode, epochs=1))
    assert recorder.failures and fitted["online"].keys() == fitted["disabled"].keys()
    assert all(torch.equal(fitted["online"][name], value) for name, value in fitted["disabled"].items())
