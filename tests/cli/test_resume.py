"""A run that was killed or stopped goes on from the command line, and ends as if it never had been."""

import json
import os
import signal
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from rnnzoo.cli import main

SMALL = [
    "--trainer.max_epochs",
    "3",
    "--trainer.limit_train_batches",
    "20",
    "--trainer.enable_progress_bar",
    "false",
    "--checkpoint.every_n_steps",
    "1",
    "--tracking.mode",
    "disabled",
]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "rnnzoo", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(path, steps):
    """Until the run in `path` has saved so many steps."""
    while not any(int(state.name.split("-")[1]) >= steps for state in path.glob("resume/step-*")):
        os.sched_yield()


def weights(run):
    folder = run / "checkpoints" / (run / "checkpoints" / "last").read_text().strip()
    return {name: value.tolist() for name, value in load_file(folder / "weights.safetensors").items()}


def scores(run):
    return json.loads((run / "summary.json").read_text())["metrics"]


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    path = tmp_path_factory.mktemp("full") / "run"
    assert main(["fit", "toy_tags", "--run_dir", str(path), *SMALL]) == 0
    return path


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(full, tmp_path, capfd):
    run = tmp_path / "run"
    for steps in (5, 25, 45):
        process = start("fit", "toy_tags", "--run_dir", str(run), "--resume", "auto", *SMALL)
        wait_for(run, steps)
        process.kill()
        process.communicate()
    assert main(["fit", "--resume", str(run)]) == 0
    assert "continued: the same schedule goes on after" in capfd.readouterr().err
    assert weights(run) == weights(full) and scores(run) == scores(full)
    lines = [[json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()] for path in (run, full)]
    assert [line | {"time": 0} for line in lines[0]] == [line | {"time": 0} for line in lines[1]]
    assert not list(run.glob("**/.tmp-*"))


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, 138, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_says_how_to_go_on(number, code, full, tmp_path, capsys):
    run = tmp_path / "run"
    process = start("fit", "toy_tags", "--run_dir", str(run), *SMALL)
    wait_for(run, 2)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == code
    assert f"Go on from here: rnnzoo fit --resume {run}" in errors and "Traceback" not in errors
    assert json.loads((run / "summary.json").read_text())["status"] == "interrupted"
    assert main(["show", str(run)]) == 0
    shown = capsys.readouterr().out
    assert signal.Signals(number).name in shown and f"rnnzoo fit --resume {run}" in shown
    assert main(["fit", "--resume", str(run)]) == 0
    assert weights(run) == weights(full)


@pytest.mark.slow
def test_a_second_signal_ends_at_once_and_what_was_saved_is_whole(full, tmp_path):
    run = tmp_path / "run"
    process = start("fit", "toy_tags", "--run_dir", str(run), *SMALL)
    wait_for(run, 2)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode in (143, -signal.SIGTERM)  # the first may have been served already
    assert main(["fit", "--resume", str(run)]) == 0
    assert weights(run) == weights(full)


def test_two_processes_never_work_in_one_run(full, tmp_path, capsys):
    run = tmp_path / "run"
    process = start("fit", "toy_tags", "--run_dir", str(run), *SMALL, "--trainer.max_epochs", "500")
    wait_for(run, 1)
    assert main(["fit", "--resume", str(run)]) == 2
    assert f"another process is at work in {run}: process {process.pid} on" in capsys.readouterr().err
    process.kill()
    process.communicate()


def test_a_run_at_its_end_wants_more_to_go_on(full, capsys):
    assert main(["fit", "--resume", str(full)]) == 2
    message = capsys.readouterr().err
    assert "is trained to its end: 3 epochs, 60 steps." in message and "--trainer.max_epochs 6" in message


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (["--optimizer.lr", "1"], "optimizer.lr"),
        (["--model.architecture.hidden_size", "7"], "model.architecture"),
        (["--seed", "9"], "seed"),
        (["--trainer.precision", "bf16-mixed"], "trainer.precision"),
    ],
)
def test_what_was_trained_with_cannot_change(change, key, full, capsys):
    assert main(["fit", "--resume", str(full), "--trainer.max_epochs", "4", *change]) == 2
    assert f"command line: {key}: it is part of what was trained so far" in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_state_is_refused_by_name_and_passed_over_by_auto(full, tmp_path, capfd):
    run = tmp_path / "run"
    process = start("fit", "toy_tags", "--run_dir", str(run), *SMALL)
    wait_for(run, 8)
    process.kill()
    process.communicate()
    newest, *_ = sorted(run.glob("resume/step-*"), reverse=True)
    with open(newest / "state.safetensors", "r+b") as file:
        file.truncate(1000)
    assert main(["fit", "--resume", str(run)]) == 2
    assert "state.safetensors is truncated" in capfd.readouterr().err
    assert main(["fit", "toy_tags", "--run_dir", str(run), "--resume", "auto", *SMALL]) == 0
    assert weights(run) == weights(full)


@pytest.mark.slow
def test_two_processes_are_stopped_together_and_go_on_together(tmp_path):
    small = [*SMALL, "--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.accelerator", "cpu"]
    assert start("fit", "toy_text", "--run_dir", str(tmp_path / "full"), *small).wait() == 0
    run = tmp_path / "run"
    process = start("fit", "toy_text", "--run_dir", str(run), *small)
    wait_for(run, 25)
    process.send_signal(signal.SIGTERM)  # one of the two
    process.communicate()
    assert process.returncode == 143
    resumed = start("fit", "--resume", str(run))
    resumed.communicate()
    assert resumed.returncode == 0
    assert weights(run) == weights(tmp_path / "full") and scores(run) == scores(tmp_path / "full")
