"""Runs on Ray: the same weights as other launchers give, workers that are killed, and clusters that are not there."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[train]>=2.60,<2.61'")

from rnnzoo_ray import Ray, _Try  # noqa: E402
from safetensors import safe_open  # noqa: E402

from rnnzoo import Job, RunError, ZooError  # noqa: E402
from rnnzoo.testing import launcher_tests  # noqa: E402

test_contract = launcher_tests("ray")

WORDS = ["--trainer.max_epochs", "3", "--data.examples", "1200", "--checkpoint.every_n_steps", "5"]


def started(folder, *words, **options):
    environment = os.environ | {"WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "rnnzoo", "fit", "quickstart", "--run_dir", "run", *WORDS, *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(command, cwd=folder, env=environment, **pipes, **options)


def finished(folder, *words):
    """What a run printed as its result, and on standard error."""
    process = started(folder, *words)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out, err


def weights(folder):
    checkpoints = folder / "run" / "checkpoints"
    last = (checkpoints / "last").read_text(encoding="utf-8").strip()
    with safe_open(checkpoints / last / "weights.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def same(one, two, tolerance=0.0):
    return one.keys() == two.keys() and all(float((one[k] - two[k]).abs().max()) <= tolerance for k in one)


def workers(process):
    """The process numbers of Ray's workers that train, below one that was started here."""
    parents, found = {}, []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat, command = (entry / "stat").read_text(), (entry / "cmdline").read_bytes()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
            if b"RayTrainWorker" in command:
                found.append(int(entry.name))

    def below(number):
        return number == process.pid or (number in parents and below(parents[number]))

    return [number for number in found if below(number)]


def wait_for(process, text):
    """Read a process's standard error until it has said something."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError("".join(lines))


@pytest.fixture(scope="module")
def ddp(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddp")
    finished(folder, "--trainer.devices", "2", "--trainer.strategy", "ddp")
    return folder


def test_two_workers_print_once_and_give_the_weights_and_scores_of_two_processes(ddp, tmp_path):
    out, err = finished(tmp_path, "--launch", "ray", "--devices", "2")
    assert same(weights(tmp_path), weights(ddp))
    assert len(re.findall("^epoch 1/3", err, re.MULTILINE)) == 1 and out.count("test/accuracy") == 1
    assert "ray" not in out.lower() and "Worker" not in err and ":job_id:" not in err
    assert len(list((tmp_path / "run" / "wandb").glob("offline-run-*"))) == 1
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".ckpt", ".pkl")]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds Ray's workers in /proc, which Linux has")
def test_a_killed_worker_ends_the_run_with_one_message_and_resume_gives_the_same_weights(ddp, tmp_path):
    process = started(tmp_path, "--launch", "ray", "--devices", "2")
    wait_for(process, "epoch 1/3")
    os.kill(workers(process)[-1], signal.SIGKILL)
    err = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + 9, err
    (line,) = [line for line in err.splitlines() if line.startswith("process ")]
    assert re.fullmatch(r"process [01] of 2 on \S+ was killed, and the others with it\.", line)
    assert err.endswith("  Go on from the last state: --resume auto --run_dir run\n") and "Traceback" not in err
    finished(tmp_path, "--resume", "auto", "--launch", "ray", "--devices", "2")
    assert same(weights(tmp_path), weights(ddp))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds Ray's workers in /proc, which Linux has")
def test_with_failures_a_run_goes_on_by_itself(ddp, tmp_path):
    process = started(tmp_path, "--launch", "ray", "--devices", "2", "--launch.failures", "1")
    wait_for(process, "epoch 1/3")
    os.kill(workers(process)[-1], signal.SIGKILL)
    err = process.communicate(timeout=240)[1]
    assert process.returncode == 0 and "It goes on from the last state (1 of 1 failures)." in err, err
    assert same(weights(tmp_path), weights(ddp))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_workers_which_save_their_state(number, tmp_path):
    words = ["--launch", "ray", "--devices", "2", "--trainer.max_epochs", "500"]
    process = started(tmp_path, *words, start_new_session=True)
    wait_for(process, "epoch 1/500")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does at Ctrl-C
    else:
        process.send_signal(number)
    err = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + number, err
    assert "Go on from here: rnnzoo fit --resume run" in err and "Traceback" not in err
    assert list((tmp_path / "run" / "resume").glob("step-*"))


@pytest.mark.slow
def test_two_workers_are_close_to_one_process_with_the_same_batch(ddp, tmp_path):
    batch = "--data.batch_size"
    finished(tmp_path / "one", batch, "64")
    finished(tmp_path / "two", batch, "32", "--launch", "ray", "--devices", "2")
    assert same(weights(tmp_path / "one"), weights(tmp_path / "two"), 1e-6)


def test_a_cluster_that_nobody_serves_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(RunError, match=rf"^no Ray cluster answers at {address}: "):
        Ray(address=address, seconds=1)._check_address(address)
    with pytest.raises(ZooError, match=r"^launch\.address: must be HOST:PORT .*, got 'ray://a'"):
        Ray()._check_address("ray://a")


@pytest.mark.parametrize(
    ("settings", "nodes", "devices", "message"),
    [
        ({"cpus": 2}, 1, 3, "1 machines with 6 CPUs each, and 0 of 1 have so many; the largest has 4."),
        ({"gpus": 1}, 1, 2, "1 machines with 2 GPUs each, and 0 of 1 have so many; the largest has 0."),
        ({"cpus": 1}, 2, 1, "2 machines with 1 CPUs each, and 1 of 1 have so many; the largest has 4."),
    ],
)
def test_more_than_the_cluster_has_is_refused_with_both_numbers(settings, nodes, devices, message, monkeypatch):
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 4.0}}])
    job = Job(("fit",), "made-up", Path("out"), Path.cwd(), nodes, devices)
    with pytest.raises(RunError) as error:
        Ray(**settings)._resources(job)
    assert message in str(error.value)


def test_processes_share_this_machines_cpus(monkeypatch):
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 4.0}}])
    job = Job(("fit",), "made-up", Path("out"), Path.cwd(), 1, 2)
    assert Ray()._resources(job) == {"CPU": 2.0} and Ray(address="auto")._resources(job) == {"CPU": 1.0}


def judged(ended, failures):
    attempt = object.__new__(_Try)
    attempt.job, attempt.size, attempt.seconds = Job(("fit",), "made-up", Path("out"), Path.cwd(), 1, 2), 2, 1
    attempt._error = SimpleNamespace(worker_failures=failures) if failures else None
    return attempt._judged(SimpleNamespace(ended=ended, hosts={0: "a", 1: "b"}))


def test_the_message_of_a_run_is_that_of_what_failed_first():
    assert judged({0: (0, ""), 1: (0, "")}, {}) == (0, "", False)
    assert judged({0: (2, "no such file."), 1: (2, "gone.")}, {}) == (2, "no such file.", False)
    assert judged({0: (2, "another process is gone.")}, {1: RuntimeError("died")}).killed
    crash = SimpleNamespace(_traceback_str="Traceback: KeyError")
    assert judged({}, {0: RuntimeError("died"), 1: crash}) == (1, "Traceback: KeyError", False)
