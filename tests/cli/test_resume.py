"""A run that was killed or stopped goes on from the command line, and ends as if it never had been."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rnnzoo.cli import main
from rnnzoo.runs import snapshot
from rnnzoo.system.lock import Lock

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
    clocks = dict.fromkeys(("time", "train_seconds", "cpu_seconds"), 0)
    assert [line | clocks for line in lines[0]] == [line | clocks for line in lines[1]]
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


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what is left of a process is read from /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_stopped_run_with_loader_workers_leaves_none_and_goes_on_without_them(number, code, full, tmp_path):
    """The signal goes to a whole group of processes, as a terminal's Ctrl-C does."""
    run, mark = tmp_path / "run", f"RNNZOO_TEST_MARK={tmp_path}"
    command = [sys.executable, "-m", "rnnzoo", "fit", "toy_tags", "--run_dir", str(run), *SMALL, "--data.num_workers=2"]
    environment = os.environ | {"RNNZOO_TEST_MARK": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        wait_for(run, 2)
        assert len(marked(mark)) > 3  # two workers, and what starts them
        os.killpg(process.pid, number)
        errors = process.communicate(timeout=60)[1]
    assert process.returncode == code and "Traceback" not in errors
    deadline = time.monotonic() + 20  # of a killed process, workers learn within seconds
    while marked(mark):
        assert time.monotonic() < deadline, marked(mark)
    assert main(["fit", "--resume", str(run), "--data.num_workers", "0"]) == 0
    assert weights(run) == weights(full)


def marked(mark):
    """The processes with this in their environment, by their commands."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_text(errors="replace").split("\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


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


def auto(run, *keys):
    """The exit code of a command that is repeated, as a job's script does."""
    return main(["fit", "toy_tags", "--run_dir", str(run), "--resume", "auto", *SMALL, *keys])


def test_a_repeated_command_leaves_a_finished_run_as_it_is(full, tmp_path, capsys):
    run = shutil.copytree(full, tmp_path / "run")
    before = (run / "summary.json").read_bytes()
    assert auto(run) == 0
    assert capsys.readouterr().err == f"the run {run} is finished: 3 epochs, 60 steps.\n"
    shutil.rmtree(run / "resume")
    assert auto(run) == 0 and capsys.readouterr().err == f"the run {run} is finished.\n"
    assert (run / "summary.json").read_bytes() == before


def test_a_repeated_command_leaves_a_run_that_has_stopped_early_as_it_is(tmp_path, capsys):
    keys = ["--trainer.max_epochs", "9", "--callbacks.early_stopping", "{patience: 1, min_delta: 1.0}"]
    assert auto(tmp_path / "run", *keys) == 0
    before = (tmp_path / "run" / "summary.json").read_bytes()
    assert auto(tmp_path / "run", *keys) == 0 and "is finished: 2 epochs" in capsys.readouterr().err
    assert (tmp_path / "run" / "summary.json").read_bytes() == before


def test_a_run_that_was_killed_before_its_first_state_begins_anew_and_keeps_what_was_there(full, tmp_path, capfd):
    run = shutil.copytree(full, tmp_path / "run")
    shutil.rmtree(run / "resume")
    (run / "summary.json").write_text('{"status": "running"}')
    with Lock(run):
        assert auto(run) == 2
    assert f"another process is at work in {run}" in capfd.readouterr().err
    assert auto(run) == 0 and f"is kept in {run}-aside-1" in capfd.readouterr().err
    assert weights(run) == weights(full) == weights(tmp_path / "run-aside-1")
    assert (tmp_path / "run-aside-1" / "summary.json").read_text() == '{"status": "running"}'


def test_a_folder_that_holds_no_run_is_not_set_aside(tmp_path, capsys):
    (tmp_path / "notes.txt").touch()
    assert auto(tmp_path) == 2
    assert "it is not empty.\n  It holds notes.txt." in capsys.readouterr().err


def test_a_run_that_was_made_longer_says_so_and_is_not_taken_for_one_in_one_go(full, tmp_path, capsys):
    run = shutil.copytree(full, tmp_path / "run")
    assert main(["fit", "--resume", str(run), "--trainer.max_epochs", "4"]) == 0
    assert json.loads((run / "summary.json").read_text())["extended_at"] == [60]
    assert main(["reproduce", str(run)]) == 2
    assert "schedule: one for all steps, was begun anew after 60 steps" in capsys.readouterr().err


def test_a_run_at_its_last_step_wants_more_steps_and_goes_on_within_its_epoch(tmp_path, capsys):
    run = str(tmp_path / "run")
    assert main(["fit", "toy_tags", "--run_dir", run, *SMALL, "--trainer.max_steps", "5"]) == 0
    assert main(["fit", "--resume", run, "--trainer.max_epochs", "8"]) == 2
    message = capsys.readouterr().err
    assert "is trained to its end: 0 epochs, 5 steps." in message and "--trainer.max_steps 10" in message
    assert main(["fit", "--resume", run, "--trainer.max_steps", "10"]) == 0
    assert "after 5 steps, in epoch 1" in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 10


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


def python_state(state):
    return state["rnnzoo"]["processes"][0]["random"]


CHANGES = {  # of a training state, and what is said of each
    "no step": (lambda state: state.pop("global_step"), "its global_step is None"),
    "a step below zero": (lambda state: state.update(global_step=-1), "its global_step is out of range"),
    "no identity": (lambda state: state["rnnzoo"].pop("identity"), "its rnnzoo.identity.data.fingerprint is None"),
    "a part without a name": (
        lambda state: state["rnnzoo"]["identity"].update(parts=[{"kind": "cells"}]),
        "its rnnzoo.identity.parts is no list of registered parts",
    ),
    "a tensor in the recipe": (
        lambda state: state["rnnzoo"]["identity"]["recipe"]["task"].update(a=torch.ones(2)),
        "its rnnzoo.identity is not JSON",
    ),
    "an import path in the recipe": (
        lambda state: state["rnnzoo"]["identity"]["recipe"]["model"].update(class_path="os.system"),
        "import paths are not accepted",
    ),
    "weights of another shape": (
        lambda state: state["state_dict"].update({"model.head.bias": torch.ones(1)}),
        "size mismatch for model.head.bias",
    ),
    "averages of another shape": (
        lambda state: state["optimizer_states"][0]["state"][0].update(exp_avg=torch.ones(1)),
        "the optimizer's exp_avg has the shape (1,), not (",
    ),
    "a place beyond NumPy's random words": (
        lambda state: python_state(state).update(numpy=(*python_state(state)["numpy"][:2], 10**6, 0, 0.0)),
        "random state has no place 1000000",
    ),
    "a checkpoint elsewhere": (
        lambda state: state["callbacks"]["Checkpoints"].update(last="../../elsewhere"),
        "names a checkpoint '../../elsewhere'",
    ),
    "seconds that are a text": (
        lambda state: state["callbacks"]["Throughput"].update(wall="long"),
        "Throughput.wall is a str",
    ),
    "a count of epochs that is a list": (
        lambda state: state["loops"]["fit_loop"]["epoch_progress"]["total"].update(processed=[]),
        "epoch_progress.total.processed is a list",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_state_that_does_not_fit_is_refused_in_words(name, full, tmp_path, capsys):
    run = shutil.copytree(full, tmp_path / "run")
    newest, *older = snapshot.complete(run / "resume")
    for path in older:
        shutil.rmtree(path)
    state = snapshot.read(newest)
    change, problem = CHANGES[name]
    change(state)
    snapshot.write(newest, state)
    assert main(["fit", "--resume", str(run), "--trainer.max_epochs", "4"]) == 2
    message = capsys.readouterr().err
    assert problem in message and "Traceback" not in message


@pytest.mark.parametrize("name", ["metrics.jsonl", "summary.json", "resume", "checkpoints"])
def test_a_run_whose_files_are_elsewhere_does_not_go_on_there(name, full, tmp_path, capsys):
    run = shutil.copytree(full, tmp_path / "run")
    elsewhere = (run / name).rename(tmp_path / "elsewhere")
    (run / name).symlink_to(elsewhere)
    before = elsewhere.read_bytes() if elsewhere.is_file() else sorted(elsewhere.rglob("*"))
    assert main(["fit", "--resume", str(run), "--trainer.max_epochs", "4"]) == 2
    assert f"{name} in it is a link" in capsys.readouterr().err
    assert before == (elsewhere.read_bytes() if elsewhere.is_file() else sorted(elsewhere.rglob("*")))


@pytest.mark.slow
def test_two_processes_are_stopped_together_and_go_on_together(tmp_path):
    small = [*SMALL, "--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.accelerator", "cpu"]
    assert start("fit", "toy_text", "--run_dir", str(tmp_path / "full"), "--resume", "auto", *small).wait() == 0
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
