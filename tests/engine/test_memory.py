"""Keeping memory: fewer page faults, told to glibc alone."""

import platform
import subprocess
import sys

import pytest

from rnnzoo.engine.memory import keep_memory

PROGRAM = """
import resource, sys, torch
from rnnzoo.engine.memory import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
def work():
    for _ in range(3):
        torch.ones(12_000_000)  # 48 MB: more than glibc ever keeps of its own accord
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc")
def test_blocks_that_are_kept_cost_no_page_faults_when_they_are_asked_for_again():
    faults = [
        int(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, check=True).stdout)
        for how in ("keep", "give back")
    ]
    assert faults[0] < 1000 < faults[1]  # pages; a block has thousands


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_memory() is False
