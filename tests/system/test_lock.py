"""Two processes never work in one folder, and a crash leaves no lock behind."""

import json
import os
import signal
import subprocess
import sys

import pytest

from rnnzoo.errors import RunError
from rnnzoo.system.lock import Lock

HOLD = "import sys; from pathlib import Path; from rnnzoo.system.lock import Lock\n"
HOLD += "lock = Lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_in_use_is_refused_and_the_holder_is_named(holder, tmp_path):
    with pytest.raises(RunError, match=rf"another process is at work in .*: process {holder.pid} on .*, since \d"):
        Lock(tmp_path)
    with pytest.raises(RunError):  # the refusal itself has taken nothing
        Lock(tmp_path)


def test_a_killed_process_leaves_the_folder_free(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with Lock(tmp_path) as lock:
        assert json.loads(lock.path.read_text())["pid"] == os.getpid()


def test_a_folder_is_free_once_it_is_released(tmp_path):
    Lock(tmp_path).release()
    with Lock(tmp_path):
        pass
    lock = Lock(tmp_path)
    lock.release()
    lock.release()


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("as it was")
    (tmp_path / ".lock").symlink_to(target)
    with pytest.raises(OSError):
        Lock(tmp_path)
    assert target.read_text() == "as it was"


def test_a_lock_file_of_rubbish_is_taken_all_the_same(tmp_path):
    (tmp_path / ".lock").write_bytes(b"\xff\x00" * 100)
    with Lock(tmp_path) as lock:
        assert json.loads(lock.path.read_text())["pid"] == os.getpid()
