"""Tests of rnnzoo.runs.trackers.trackio: its database is read by sqlite3 alone."""

import contextlib
import json
import os
import socket
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from rnnzoo.runs.trackers.trackio import Trackio


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """An account that would be looked up, a Space that would be made, and no way to either."""
    monkeypatch.delenv("TRACKIO_DIR", raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.setenv("TRACKIO_SPACE_ID", "me/space")
    monkeypatch.setenv("TRACKIO_SERVER_URL", "http://127.0.0.1:9?write_token=x")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("the network"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network"))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a prompt"))


def logged(folder: Path, project: str = "zoo") -> list[tuple]:
    with contextlib.closing(sqlite3.connect(folder / f"{project}.db")) as database:
        rows = database.execute("select run_id, run_name, step, metrics from metrics order by id").fetchall()
    return [(*row[:3], json.loads(row[3])) for row in rows]


def test_what_is_logged_is_in_the_runs_folder_and_nothing_is_printed(tracked, capsys):
    trackio = Trackio(tracked)
    trackio.log_metrics({"train/loss": 0.5, "epoch": 0}, 0)
    trackio.log_metrics({"train/loss": float("nan")}, 1)
    trackio.log_table("predictions", ["input", "score"], [["a", 0.5]], 1)
    trackio.summarise({"best/accuracy": 0.75})
    trackio.close(True, 30)
    assert capsys.readouterr() == ("", "") and os.environ.get("TRACKIO_DIR") is None
    first, second, table, summary = logged(tracked.folder)
    assert first == ("id7", "run-seed7", 0, {"train/loss": 0.5, "epoch": 0.0})
    assert second == ("id7", "run-seed7", 1, {"train/loss": "NaN"})
    assert table[3]["predictions"]["_value"] == [{"input": "a", "score": 0.5}]
    assert summary[3] == {"summary/best/accuracy": 0.75}
    with contextlib.closing(sqlite3.connect(tracked.folder / "zoo.db")) as database:
        ((config,),) = database.execute("select config from configs").fetchall()
    assert json.loads(config).items() >= {**tracked.config, "_Group": "memory", "_Username": None}.items()


def test_two_runs_of_a_process_each_have_a_folder_of_their_own(tracked):
    for name in ("one", "two"):
        trackio = Trackio(replace(tracked, folder=tracked.path / name, id=name))
        trackio.log_metrics({"loss": 1}, 0)
        trackio.close(True, 30)
    assert [row[0] for name in ("one", "two") for row in logged(tracked.path / name)] == ["one", "two"]


def test_a_resumed_run_is_the_same_run(tracked):
    for step in (0, 3):
        trackio = Trackio(replace(tracked, step=step))
        trackio.log_metrics({"loss": step}, step)
        trackio.close(True, 30)
    assert [row[:3] for row in logged(tracked.folder)] == [("id7", "run-seed7", 0), ("id7", "run-seed7", 3)]


def test_a_folder_of_the_environment_has_all_runs(tracked, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tracked.path / "shared"))
    trackio = Trackio(tracked)
    trackio.log_metrics({"loss": 1}, 0)
    trackio.close(True, 30)
    assert len(logged(tracked.path / "shared")) == 1 and not tracked.folder.exists()


def test_rows_that_cannot_be_written_are_an_error_and_not_lost_in_silence(tracked):
    trackio = Trackio(tracked)
    (tracked.folder / "zoo.db").mkdir()
    trackio.log_metrics({"loss": 1}, 0)
    with pytest.raises(RuntimeError, match="could not be persisted"):
        trackio.close(True, 30)
