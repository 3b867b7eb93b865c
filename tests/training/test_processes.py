"""What a process says of another one that is gone, does not answer or never came, and how long it waits."""

import os
import signal
import subprocess
import sys

import pytest

from rnnzoo.errors import ZooError
from rnnzoo.training import processes
from rnnzoo.training.processes import TIMEOUT, rendezvous, seconds

ORPHAN = """
import os, subprocess, sys, time
from rnnzoo.system import parent
if sys.argv[1:]:
    parent.GRACE = 0.0
    parent.watch_parent()
    print("watching", flush=True)
    time.sleep(300)
os.environ[parent.PARENT] = str(os.getpid())
subprocess.Popen([sys.executable, "-c", os.environ["CODE"], "child"])
time.sleep(300)
"""


def test_the_time_to_wait_is_the_environments_or_ten_minutes():
    assert (seconds({}), seconds({TIMEOUT: "90"})) == (600, 90)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "soon", "9" * 30])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(ZooError, match=r"RNNZOO_TIMEOUT: must be a number of seconds from 1 to 604800, got '"):
        seconds({TIMEOUT: text})


@pytest.mark.parametrize(
    ("torch_says", "address", "first"),
    [
        (
            "Timed out after 6 seconds waiting for clients. 1/2 clients joined.",
            "10.0.0.1",
            "only 1 of 2 processes came",
        ),
        ("code: -98, name: EADDRINUSE, message: address already in use", "10.0.0.1", "port 29500 is in use on "),
        ("The client socket has timed out after 5000ms", "127.0.0.1", "process 0 of the run does not answer at 127.0"),
        ("The client socket has timed out after 5000ms", "\x1b[1m\0", "MASTER_ADDR: "),
        ("Ping failed, invalid value returned from server.", "127.0.0.1", "what answers at 127.0.0.1:29500 is no "),
    ],
)
def test_processes_that_do_not_meet_are_told_where_it_was_tried(torch_says, address, first):
    lines = rendezvous(torch_says, address, 29500, 1, 2).splitlines()
    assert lines[0].startswith(first) and len(lines) <= 5 and all(line.startswith("  ") for line in lines[1:])
    assert "\x1b" not in lines[0]


def test_silence_and_a_closed_connection_are_not_the_same():
    gone = processes._silent("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.2]:4711", 0, 2)
    assert gone.startswith("process 1 of the run at 10.0.0.2 is gone; process 0 of 2 on ")
    slow = processes._silent("[gloo/...] Timed out waiting 10000ms for recv operation to complete", 2, 4)
    assert slow.startswith("another process of the run has not answered for ") and TIMEOUT in slow


@pytest.mark.skipif(os.name != "posix", reason="follows its parent on POSIX alone")
def test_a_process_ends_with_the_one_that_started_it():
    environment = os.environ | {"CODE": ORPHAN}
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline() == "watching\n"
        os.kill(first.pid, signal.SIGKILL)
        printed, told = first.communicate(timeout=60)  # until the second one has closed both
    assert told.startswith("process 0 on ") and "is gone.\n" in told and not printed
