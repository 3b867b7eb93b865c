"""A sweep's file keeps what was planned, and its folder is one sweep's."""

import json

import pytest

from rnnzoo.errors import RunError
from rnnzoo.sweep.journal import NAME, Journal, read
from rnnzoo.sweep.plan import Run


def runs(*names):
    return [Run(name, {"optimizer.lr": 0.1}, 1, name, {}) for name in names]


def test_what_was_planned_is_there_after_a_kill_and_more_may_be_added(tmp_path):
    journal = Journal(tmp_path / "sweep", {"name": "mine"})
    journal.plan(runs("a", "b"))
    journal.close()
    again = Journal(tmp_path / "sweep", {"name": "mine"})
    again.plan(runs("a", "b", "c"))
    again.add(runs("d"), "confirm")
    assert [entry["name"] for entry in read(tmp_path / "sweep")] == ["a", "b", "c", "d"]
    assert [entry["name"] for entry in again.of("search")] == ["a", "b", "c"]


def test_another_sweep_is_refused_in_the_same_folder(tmp_path):
    journal = Journal(tmp_path, {})
    journal.plan(runs("a", "b"))
    journal.close()
    with pytest.raises(RunError, match="it has the run b, which is none of this one"):
        Journal(tmp_path, {}).plan(runs("a", "c"))
    assert [entry["name"] for entry in read(tmp_path)] == ["a", "b"]


def test_two_sweeps_do_not_share_a_folder(tmp_path):
    first = Journal(tmp_path / "sweep", {})
    with pytest.raises(RunError, match=r"another process is at work(.|\n)*--sweep_dir"):
        Journal(tmp_path / "sweep", {})
    first.close()
    Journal(tmp_path / "sweep", {}).close()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match=r"it holds thesis.tex and no sweep.json"):
        Journal(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 1}', '{"format": 2, "runs": []}', '{"format": 1, "runs": [{"name": 1}]}']
)
def test_a_file_that_is_no_list_of_runs_is_refused_and_kept(text, tmp_path):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(RunError, match="cannot read"):
        Journal(tmp_path, {})
    assert (tmp_path / NAME).read_text() == text
    (tmp_path / NAME).write_text(json.dumps({"format": 1, "runs": []}))
    Journal(tmp_path, {}).close()
