"""Keeping memory: blocks asked for again cost hardly a page fault. Only glibc is told."""

import platform
import subprocess
import sys

import pytest

from rnnzoo.system.memory import keep_memory

PROGRAM = """
import resource, torch
from rnnzoo.system.memory import keep_memory
assert keep_memory()
def work():
    blocks = [torch.ones(2_000_000) for _ in range(20)]  # 160 MB in all, given back when `work` ends
for _ in range(2):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc")
def test_blocks_that_are_asked_for_again_cost_few_page_faults():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    assert int(done.stdout) < 160_000_000 / 4096 / 4  # of all their pages


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_memory() is False
