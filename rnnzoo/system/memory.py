"""A process's memory: the most that it has held, and an allocator that keeps freed blocks."""

from __future__ import annotations

import contextlib
import ctypes
import platform
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of mallopt(3)
TOP_PAD = 2**26  # bytes asked for at once


def keep_memory() -> bool:
    """Tell glibc's allocator to keep freed blocks: each training step asks for the same large ones again.

    That spares each step the system's page faults. Returns whether it did; other allocators are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(M_MMAP_MAX, 0), mallopt(M_TRIM_THRESHOLD, -1), mallopt(M_TOP_PAD, TOP_PAD)])


def peak_memory() -> int | None:
    """The peak resident memory of this process or of the largest finished one that it started, in bytes.

    None where the system does not say.
    """
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(OSError):  # Linux counts the parent's memory in ru_maxrss too, up to exec; not so in VmHWM
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), peak)
    return unit * max(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def available_memory() -> int | None:
    """Bytes that a new process may take without being killed or swapping; None where the system does not say."""
    free: int | None = None
    with contextlib.suppress(OSError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
    with contextlib.suppress(OSError, ValueError):  # "max", where a container has no limit
        group = Path("/sys/fs/cgroup")
        left = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
        free = left if free is None else min(free, left)
    return free
