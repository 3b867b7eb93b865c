"""A run knows the commit of its code and the machine that it ran on."""

import os
import subprocess

import pytest

from rnnzoo.system import provenance


@pytest.fixture
def checkout(monkeypatch, tmp_path):
    """A repository of one commit, as the code's own."""

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        return subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    (tmp_path / "code.py").write_text("1")
    git("add", "code.py")
    git("commit", "-q", "-m", "first")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return tmp_path, git("rev-parse", "HEAD").strip()


def test_the_commit_is_gits_and_has_a_plus_once_a_file_of_it_changes(checkout):
    folder, head = checkout
    (folder / "notes.txt").write_text("no file of the commit")
    assert provenance.commit() == head
    (folder / "code.py").write_text("2")
    assert provenance.commit() == f"{head}+"


def test_an_installed_package_has_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.commit() is None


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout[0]))
    assert provenance.commit() is None


def test_the_hardware_is_a_named_processor_and_the_cores_that_this_process_may_use():
    told = provenance.hardware()
    assert told["cpu"]
    if hasattr(os, "sched_getaffinity"):
        assert told["cores"] == len(os.sched_getaffinity(0))
