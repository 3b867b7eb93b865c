"""A process that another one has started for the same run: it ends when that one is gone, and is not left behind."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping, MutableMapping

from rnnzoo.system import console

PARENT = "RNNZOO_PARENT"  # in the environment of a process that we start: our own number
GRACE = 5.0  # seconds for a process to end with a message of its own, once another one is gone
EXIT = 2
HINT = (
    "  Without a message of its own it was killed, as the system does where memory runs out (SIGKILL).\n"
    "  Go on from the last saved state: the same command with --resume auto --run_dir DIR."
)
_silent = threading.Lock()  # taken by the thread that speaks


def watch_parent(environment: MutableMapping[str, str] = os.environ) -> None:
    """End this process some seconds after the one that started it; do nothing where none is named, or a second time."""
    number = environment.pop(PARENT, "")
    if number.isdecimal() and os.name == "posix":
        threading.Thread(target=_follow, args=(int(number),), daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    time.sleep(GRACE)
    end_at_once(f"process 0 on {socket.gethostname()}, which started this one, is gone.\n{HINT}")


def end_at_once(message: str) -> None:
    """Print a message and end this process, whose main thread waits in torch, where no exception reaches it."""
    try:
        if speaks():
            console.print_error(message)
    finally:
        os._exit(EXIT)


def speaks(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is to say that another one is gone: the first two of a host do, each of them once."""
    local = environment.get("LOCAL_RANK", environment.get("SLURM_LOCALID", "0"))
    return local in ("0", "1") and _silent.acquire(blocking=False)
