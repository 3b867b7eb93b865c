"""One process at a time in a folder. The system drops the lock of a process that ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import time
from pathlib import Path

from rnnzoo.errors import RunError
from rnnzoo.system import files

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
BUSY = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK}
log = logging.getLogger("rnnzoo")


class Lock:
    """The sole use of a folder, from its making to `release`; also a context manager.

    The file `.lock` says whose it is: process, host, and since when. It stays there: what counts is the lock on it.
    Where the file system has no locks (some network mounts), a warning says so and the folder is not guarded.
    name: of the file, where the lock is of one thing in the folder. wait: whether to wait for a process that has it.
    held: whether this process has it, False where there are no locks.
    Raises: RunError naming the holder, if another process has the folder; OSError if the file cannot be made.
    """

    def __init__(self, folder: Path, name: str = NAME, wait: bool = False) -> None:
        self.path, self.held = folder / name, False
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor: int | None = os.open(self.path, flags, 0o644)
        try:
            with contextlib.ExitStack() as on_failure:
                on_failure.callback(self.release)  # also where it is stopped while it waits
                self._take(self._descriptor, wait)
                on_failure.pop_all()
            self.held = True
        except OSError as error:
            if error.errno in BUSY:
                raise RunError(
                    f"another process is at work in {folder}: {_holder(self.path)}.\n"
                    "  Wait for it, stop it, or choose another folder with --run_dir."
                ) from None
            log.warning("%s cannot be locked: %s. Start no second run in it.", folder, error.strerror)

    def _take(self, descriptor: int, wait: bool) -> None:
        try:
            self._ask(descriptor, False)
        except OSError as error:
            if error.errno not in BUSY or not wait:
                raise
            log.info("waiting for %s, which holds %s.", _holder(self.path), self.path)
            self._ask(descriptor, True)
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S %z")}
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, (json.dumps(owner) + "\n").encode())

    @staticmethod
    def _ask(descriptor: int, wait: bool) -> None:
        """Lock the file. Raises: OSError where another process has it and is not to be waited for."""
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return
        import msvcrt

        while True:
            try:
                return msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            except OSError as error:  # LK_LOCK gives up after ten seconds
                if not wait or error.errno != errno.EDEADLK:
                    raise

    @property
    def descriptors(self) -> tuple[int, ...]:
        """For `subprocess`: a process that is passed these holds the lock, too, until it ends. None on Windows."""
        return () if fcntl is None or self._descriptor is None else (self._descriptor,)

    def release(self) -> None:
        """Let others have the folder. A second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        owner = files.read_json(path, 4096, links=False)
        if isinstance(owner, dict):
            pid, host, since = (str(owner.get(key, "?"))[:80] for key in ("pid", "host", "since"))
            return f"process {pid} on {host}, since {since}"
    return "it does not say which"
