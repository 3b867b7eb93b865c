"""Paths as typed, and a cache folder that may not be there."""

from pathlib import Path

import pytest

from rnnzoo.engine.cpp import build
from rnnzoo.system import paths


def homeless(monkeypatch):
    """As for `docker run --user 12345`, without HOME."""
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "RNNZOO_CACHE"):
        monkeypatch.delenv(name, raising=False)

    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    monkeypatch.setattr(Path, "expanduser", lambda self: home())


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert paths.typed("~/reviews.csv") == tmp_path / "reviews.csv" and paths.typed("a/~b") == Path("a/~b")


def test_the_cache_is_where_the_environment_says_and_else_with_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RNNZOO_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert paths.cache_folder("native") == Path.home() / ".cache" / "rnnzoo" / "native"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert paths.cache_folder("native") == tmp_path / "x" / "rnnzoo" / "native"
    monkeypatch.setenv("RNNZOO_CACHE", str(tmp_path / "r"))
    assert paths.cache_folder("native") == tmp_path / "r" / "native"


def test_a_user_without_a_home_runs_without_a_cache_and_is_told_why(monkeypatch):
    homeless(monkeypatch)
    assert paths.typed("~/reviews.csv") == Path("~/reviews.csv")
    with pytest.raises(OSError, match="no home folder"):
        paths.cache_folder("native")
    with pytest.raises(build.Unbuildable, match="no home folder"):
        build.cache_folder()


def test_a_path_that_is_not_here_is_looked_for_in_a_second_folder_and_only_then(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("there.csv", "both.csv", "pairs.de"):
        (other / name).write_text("")
    (tmp_path / "both.csv").write_text("")
    with paths.also_from(other):
        assert paths.typed("there.csv") == other / "there.csv" and paths.typed("pairs") == other / "pairs"
        assert paths.typed("both.csv") == Path("both.csv") and paths.typed("nowhere.csv") == Path("nowhere.csv")
    assert paths.typed("there.csv") == Path("there.csv")
