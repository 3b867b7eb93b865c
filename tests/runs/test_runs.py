"""Tests of rnnzoo.runs: a run's folder is made once, written by one process, and told without torch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo import runs
from rnnzoo.errors import RunError
from rnnzoo.system.memory import peak_memory


@pytest.fixture(autouse=True)
def first_process(tmp_path: Path, monkeypatch):
    """No launcher's variables, and a working directory of the test's own."""
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(runs.SHARED, "")
    monkeypatch.chdir(tmp_path)


def summary(run: runs.Run) -> dict:
    return json.loads(run.summary.read_text(), parse_constant=pytest.fail)


# -- making and writing ---------------------------------------------------------------------------------------------


def test_a_new_run_is_running_in_a_folder_of_its_own():
    first, second = runs.create("imdb_bilstm", seed=3), runs.create("imdb_bilstm", seed=3)
    assert first.path != second.path
    assert first.path.parent == Path.cwd() / "runs" / "imdb_bilstm"
    written = summary(first)
    assert (written["status"], written["recipe"], written["seed"], written["id"]) == (
        "running",
        "imdb_bilstm",
        3,
        first.path.name,
    )
    assert first.checkpoints.is_dir()


def test_the_given_folder_is_used():
    run = runs.create("imdb", Path("here/mine"))
    assert run.path == Path.cwd() / "here" / "mine"
    Path("empty").mkdir()
    assert runs.create("imdb", Path("empty")).path == Path.cwd() / "empty"


def test_a_folder_that_holds_anything_is_refused_and_left_as_it_is():
    run = runs.create("imdb", Path("mine"))
    run.write_summary({"status": "finished"})
    before = run.summary.read_bytes()
    with pytest.raises(RunError, match=r"holds a run already.\n.*imdb, finished.*\n.*another folder.*or remove"):
        runs.create("other", Path("mine"))
    assert run.summary.read_bytes() == before
    Path("notes").mkdir()
    Path("notes/a.txt").write_text("x")
    with pytest.raises(RunError, match=r"not empty.\n.*a.txt"):
        runs.create("imdb", Path("notes"))
    assert os.listdir("notes") == ["a.txt"]
    with pytest.raises(RunError, match="it is a file"):
        runs.create("imdb", Path("notes/a.txt"))


def test_a_used_folder_is_refused_ahead_of_any_work_by_the_first_process_only(monkeypatch):
    runs.create("imdb", Path("mine"))
    runs.refuse_used(None)
    runs.refuse_used(Path("new"))
    with pytest.raises(RunError, match="holds a run already"):
        runs.refuse_used(Path("mine"))
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    runs.refuse_used(Path("mine"))


def test_a_folder_that_cannot_be_made_is_told():
    Path("file").write_text("x")
    with pytest.raises(RunError, match="cannot make the run's folder"):
        runs.create("imdb", Path("file/run"))


@pytest.mark.parametrize("name", ["../../etc", "/etc", "..", "", "a/b c", "ünï*", "x" * 300, "c\0d"])
def test_any_recipe_name_stays_under_the_root(name):
    run = runs.create(name)
    assert run.path.resolve().parent.parent == Path.cwd() / "runs"


@given(st.text())
def test_a_slug_is_one_plain_folder_name(name):
    slug = runs.slug(name)
    assert slug == runs.slug(slug) == Path(slug).name
    assert slug.isascii() and slug not in ("", ".", "..") and len(slug) <= 80 and slug.strip() == slug


def test_the_other_processes_share_the_folder_and_write_nothing(monkeypatch):
    first = runs.create("imdb", Path("mine"))
    before = sorted(first.path.rglob("*"))
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    other = runs.create("imdb", Path("mine"))
    assert (other.path, other.writer) == (first.path, False)
    other.write_config("x: 1")
    other.write_summary({"status": "failed"})
    assert sorted(first.path.rglob("*")) == before
    assert summary(first)["status"] == "running"


def test_a_run_that_is_over_says_nothing_to_the_processes_of_a_later_one(monkeypatch):
    first = runs.create("imdb", Path("first"))
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert runs.create("imdb", Path("mine")).path == Path.cwd() / "mine"
    first.release()
    with pytest.raises(RunError, match="--run_dir"):
        runs.create("imdb")


def test_a_process_of_a_foreign_launcher_needs_the_folder(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RunError, match="--run_dir"):
        runs.create("imdb")
    assert runs.create("imdb", Path("mine")).path == Path.cwd() / "mine"
    assert not Path("mine").exists()


def test_a_summary_grows_and_is_strict_json():
    run = runs.create("imdb")
    run.write_summary({"test": {"accuracy": torch.tensor(0.5), "loss": float("nan")}})
    run.write_summary({"status": "finished", "counts": np.arange(3), "api_key": "canary", "best": Path("a")})
    written = summary(run)
    assert written["test"] == {"accuracy": 0.5, "loss": None}
    assert (written["status"], written["counts"], written["best"]) == ("finished", [0, 1, 2], "a")
    assert "canary" not in run.summary.read_text()
    assert written["seconds"] >= 0
    with pytest.raises(ValueError, match="status"):
        run.write_summary({"status": "done"})


@pytest.mark.skipif(peak_memory() is None, reason="the system does not tell")
def test_peak_memory_counts_what_was_held_and_let_go():
    torch.ones(2**28, dtype=torch.uint8)  # 256 MiB, let go at once
    assert 2**28 < peak_memory() < 2**36


# -- reading --------------------------------------------------------------------------------------------------------


def test_a_run_is_read_by_folder_by_name_and_by_id():
    run = runs.create("imdb")
    run.write_config("seed: 1\nmodel: {cell: gru}\n")
    run.metrics.write_text("".join(json.dumps({"step": step}) + "\n" for step in range(30)) + '{"step": 3')
    (run.checkpoints / "best").write_text("step-1\n")
    for name in (run.path, str(run.path), f"imdb/{run.id}", run.id):
        told = runs.read(name, tail=4)
        assert Path(told["path"]).resolve() == run.path
        assert told["config"] == {"seed": 1, "model": {"cell": "gru"}}
        assert told["summary"]["status"] == "running"
        assert [line["step"] for line in told["metrics"]] == [26, 27, 28, 29]
        assert told["checkpoints"] == {"best": "step-1"}


def test_a_run_whose_process_is_gone_was_interrupted():
    run = runs.create("imdb")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    run.write_summary({"pid": child.pid})
    assert runs.read(run.path)["summary"]["status"] == "interrupted"
    run.write_summary({"host": "elsewhere"})
    assert runs.read(run.path)["summary"]["status"] == "running"


def test_a_folder_that_is_no_run_is_told_with_the_nearest_runs():
    for name in ("imdb/first", "imdb/second", "ptb/third"):
        runs.create("x", Path("runs", name))
    with pytest.raises(RunError, match=r"no run at runs/imdb/frst: there is no such folder.\n.*mean 'runs/imdb/first'"):
        runs.read("runs/imdb/frst")
    with pytest.raises(RunError, match=r"no run at thrd.*\n.*mean '.*third'"):
        runs.read("thrd")
    with pytest.raises(RunError, match=r"it holds no summary.json.*(.|\n)*first.*second") as told:
        runs.read("runs/imdb")
    assert len(str(told.value).splitlines()) <= 5
    with pytest.raises(RunError, match="No run is near it"):
        runs.read("x", root=Path("nowhere"))


@pytest.mark.parametrize("name", ["config.yaml", "summary.json"])
@pytest.mark.parametrize("data", [b"\xff\xfe", b"{[", b"[" * 100_000, b"!!python/object/apply:os.mkdir ['executed']"])
def test_a_damaged_file_of_a_run_is_named(name, data):
    run = runs.create("imdb")
    (run.path / name).write_bytes(data)
    with pytest.raises(RunError, match=name):
        runs.read(run.path)
    assert not Path("executed").exists()


def test_reading_a_run_imports_no_torch():
    run = runs.create("imdb")
    run.write_config("seed: 1")
    code = "import sys, rnnzoo.runs as r; r.read(sys.argv[1]); print({'torch', 'lightning'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code, str(run.path)], capture_output=True, text=True)
    assert done.stdout == "set()\n"


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "content", [BOMB, "{a: 1, a: 2}", "[" * 60 + "]" * 60, 'a: "\\ud800"', "!!python/name:os.x", "\0"]
)
def test_a_stranger_s_config_is_read_within_the_bounds_of_a_recipe(tmp_path, content):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(RunError, match=r"cannot read .*config.yaml"):
        runs.read(tmp_path)


def test_metrics_in_a_pipe_are_not_waited_for(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1")
    os.mkfifo(tmp_path / "metrics.jsonl")
    (tmp_path / "checkpoints").mkdir()
    os.mkfifo(tmp_path / "checkpoints" / "best")
    told = runs.read(tmp_path)
    assert (told["metrics"], told["checkpoints"]) == ([], {})
