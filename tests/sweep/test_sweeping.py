"""Sweeps of real processes: killed and gone on with, nothing is done twice and nothing is lost."""

import json
import os
import signal
import subprocess
import sys

import pytest

TINY = """
base: quickstart
data: {examples: 48}
model: {architecture: {name: recurrent, hidden_size: 4}, inputs: {tokens: {size: 4}}}
trainer: {max_epochs: 2, enable_progress_bar: false}
tracking: {mode: disabled}
sweep: {keys: {model.architecture.cell: [lstm, gru]}, seeds: [1], confirm: {seeds: 1}}
"""


def start(folder, *words):
    (folder / "tiny.yaml").write_text(TINY)
    command = [sys.executable, "-m", "rnnzoo", "sweep", "tiny.yaml", "--sweep_dir", "sweep", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(folder):
    """The finished runs by name, with when each began and ended."""
    found = {}
    for path in (folder / "sweep").glob("*/summary.json"):
        summary = json.loads(path.read_text() or "{}")
        if summary.get("status") == "finished":
            found[path.parent.name] = (summary["started"], summary["seconds"], path.stat().st_mtime_ns)
    return found


def wait_for(condition):
    while not condition():
        os.sched_yield()


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_does_no_run_twice(tmp_path):
    process = start(tmp_path, "--jobs", "2")
    wait_for(lambda: finished(tmp_path))
    process.kill()
    process.communicate()
    before = finished(tmp_path)
    process = start(tmp_path, "--jobs", "2")
    out, err = process.communicate()
    assert process.returncode == 0, err
    after = finished(tmp_path)
    planned = json.loads((tmp_path / "sweep" / "sweep.json").read_text())["runs"]
    assert len(planned) == 3 and after.keys() == {run["name"] for run in planned}
    assert {name: after[name] for name in before} == before
    begun = [path.read_text().count("  device ") for path in (tmp_path / "sweep" / "jobs").glob("*/output.txt")]
    assert begun == [1] * 3  # processes that began to train; one of them went on while its sweep was gone
    assert "Run again with new seeds: val/accuracy" in out and "2 combinations by val/accuracy" in out


@pytest.mark.slow
def test_a_sweep_that_is_asked_to_stop_has_its_runs_saved_first(tmp_path):
    process = start(tmp_path, "--trainer.max_epochs", "100000")
    wait_for(lambda: list((tmp_path / "sweep").glob("*/metrics.jsonl")))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 143 and "stopped; the same command goes on." in err
    (run,) = [path.parent for path in (tmp_path / "sweep").glob("*/summary.json")]
    assert json.loads((run / "summary.json").read_text())["status"] == "interrupted"
    assert list(run.glob("resume/step-*"))
