"""Files from anywhere are read within bounds; files of ours are written completely or not at all."""

import ast
import errno
import json
import os
import socket
import stat
from pathlib import Path

import pytest

import rnnzoo
from rnnzoo.errors import RunError
from rnnzoo.system import files


@pytest.fixture
def special(tmp_path):
    """Paths that are no regular files: by kind."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "to a pipe").symlink_to(tmp_path / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    yield tmp_path
    listening.close()


@pytest.mark.parametrize("name", ["pipe", "folder", "loop", "zero", "to a pipe", "socket", "missing", "a\0b"])
def test_what_is_no_regular_file_is_refused_at_once(special, name):
    for read in (files.opened, files.read_text, files.read_json, files.sha256):
        with pytest.raises((OSError, ValueError)) as caught:
            read(special / name)
        assert files.reason(caught.value)


def test_a_pipe_that_takes_a_files_place_is_refused_when_it_is_open(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    regular = os.stat(tmp_path / "file")
    monkeypatch.setattr(os, "stat", lambda *_, **__: regular)
    with pytest.raises(OSError, match="it is a pipe"):
        files.opened(tmp_path / "pipe")


def test_a_link_is_followed_only_where_that_is_allowed(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert files.read_text(tmp_path / "link") == "text"
    with pytest.raises(OSError, match="it is a link, not a file"):
        files.read_text(tmp_path / "link", links=False)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match="larger than 64 MiB"):
        files.read_text(tmp_path / "sparse")


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="a file whose size is not told: Linux only")
def test_the_bound_holds_for_a_file_whose_size_is_told_as_nothing():
    assert os.path.getsize("/proc/self/status") == 0
    with pytest.raises(OSError, match="larger than 10 bytes"):
        files.read_bytes("/proc/self/status", 10)


def test_a_byte_that_is_not_utf8_is_named_with_its_line(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfone\ntw\xff")
    with pytest.raises(ValueError, match="line 2: byte 0xff at offset 9 is not UTF-8"):
        files.read_text(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("NaN", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("[1e999]", "beyond the numbers of a float"),
        ("9" * 400, "beyond the numbers of a float"),
        ("-" + "9" * 400, "beyond the numbers of a float"),
        ("9" * 10**6, "beyond the numbers of a float"),
        ('{"a": "\\ud800"}', "half of a character"),
        ('{"\\udc00": 1}', "half of a character"),
        ("[" * 101 + "]" * 101, "nested more than 100"),
        ("[" * 10**6, "nested more than 100"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested more than 100"),
        ("", "line 1, column 1"),
        ("{'a': 1}", "line 1, column 2"),
    ],
)
def test_json_that_a_later_step_would_fail_on_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        files.json_value(text)


@pytest.mark.parametrize(
    "value", [None, [[1.5, -2, True], {"a": "é\U0001f600"}], 2**1023, "\\ud", ["[" * 500], [[]] * 500]
)
def test_json_that_is_sound_is_read_as_json_reads_it(value):
    for ascii_only in (True, False):
        assert files.json_value(json.dumps(value, ensure_ascii=ascii_only)) == value


def test_json_is_read_to_the_depth_that_is_told():
    deepest = "[" * files.MAX_DEPTH + "]" * files.MAX_DEPTH
    assert files.json_value(deepest) == json.loads(deepest)


# -- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_written_file_has_the_permissions_that_the_umask_leaves(tmp_path, mask):
    before = os.umask(mask)
    try:
        files.write_text(tmp_path / "a.json", "{}")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "a.json").st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("name", ["pipe", "loop", "zero", "to a pipe", "link"])
def test_what_is_no_file_of_its_own_is_not_written_to(special, name):
    (special / "other").write_text("other")
    (special / "link").symlink_to(special / "other")
    for write in (lambda path: files.append_text(path, "x"), lambda path: files.truncate(path, 0)):
        with pytest.raises(OSError):
            write(special / name)
    assert (special / "other").read_text() == "other"


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_alone_and_tells_the_cause(tmp_path, monkeypatch, call):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(
            *{"open": ("builtins.open", fail), "fsync": (os, "fsync", fail), "replace": (os, "replace", fail)}[call]
        )
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError("no")))
        with pytest.raises(RunError) as caught:
            files.write_text(path, "new")
    assert str(caught.value).splitlines()[0] == f"cannot write {path}: No space left on device."
    assert f"Free some space in {tmp_path}" in str(caught.value)
    assert path.read_text() == "old"


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError), files.replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EACCES])
def test_a_folder_that_cannot_be_synced_is_written_to(tmp_path, monkeypatch, code):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"


def test_a_folder_that_a_disk_fails_on_is_told(tmp_path, monkeypatch):
    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RunError, match="Input/output error"):
        files.write_text(tmp_path / "a", "new")


@pytest.mark.parametrize("name", ["ä" * 127, "a" * 250 + ".json", "." * 50 + "x"])
def test_any_name_that_the_system_takes_can_be_written(tmp_path, name):
    files.write_text(tmp_path / name, "new")
    assert (tmp_path / name).read_text() == "new"


OWN = {  # modules that open files of their own making, of the package or of the kernel, and no stranger's
    "system/files.py",
    "system/distributions.py",
    "system/memory.py",
    "runs/trackers/metrics_file.py",
    "results/published.py",
    "runs/folder.py",
    "system/provenance.py",
    "system/lock.py",
    "runs/atomic_folder.py",
    "training/callbacks/outcome.py",
    "engine/cpp/build.py",
    "engine/cpp/emit.py",
    "export/c/source.py",
    "templates/__init__.py",
    "bench/timing.py",
    "inference/encode.py",
    "data/readers/fetch.py",
    "data/store.py",
    "data/sources/mnist.py",
}
READING = {"open", "read_text", "read_bytes", "ParquetFile", "safe_open", "load_file", "safe_load"}


def test_no_other_module_opens_a_file_past_the_guarded_opener():
    package = Path(rnnzoo.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in READING:
                if ast.unparse(node) == "os.open(os.devnull, os.O_WRONLY)":
                    continue
                guarded = ast.unparse(node.func).startswith("files.") or "raw" in map(ast.unparse, node.args)
                found |= set() if guarded else {path.relative_to(package).as_posix()}
    assert {name for name in found - OWN if not name.startswith("testing/")} == set()


def test_files_that_are_gone_soon_do_not_wait_for_the_disk_and_others_do(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with files.short_lived():
        files.write_text(tmp_path / "one", "1")
        files.sync(tmp_path / "one")
    assert synced == [] and (tmp_path / "one").read_text() == "1"
    files.write_text(tmp_path / "two", "2")
    assert synced
