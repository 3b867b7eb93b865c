"""Where a number comes from: the code's commit and the machine that ran it."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]


def commit() -> str | None:
    """The git commit of the checkout that rnnzoo runs from, with a "+" if its files have changed since.

    None where it runs from an installed package, or git is not there.
    """
    if not (ROOT / ".git").exists():
        return None
    head, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")
    return head and head + ("+" if changed else "")


def _git(*words: str) -> str | None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()
    return None


def hardware() -> dict[str, str | int | None]:
    """The processor, how many cores this process may use, and the GPU's name if there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": processor(), "cores": cores, "gpu": gpu}


def processor() -> str:
    """The name of the processor, as the system has it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
