"""The processes of a run watch each other: none waits for one that is gone, and one message says which that was.

Torch's own errors for a lost process name a line of C++. Here they become a `RunError` with the process, its host and
how to go on. What Lightning starts on this machine ends with the process that started it, and ends that one.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from rnnzoo.errors import LostProcess, ZooError
from rnnzoo.system import console
from rnnzoo.system.parent import GRACE, HINT, PARENT, end_at_once, watch_parent

TIMEOUT = "RNNZOO_TIMEOUT"  # in the environment: seconds until a process stops waiting for another one
SECONDS = 600
LIMITS = (1, 7 * 24 * 3600)


def seconds(environment: Mapping[str, str] = os.environ) -> int:
    """How long a process waits for another one. Raises: ZooError if the environment asks for no such time."""
    text = environment.get(TIMEOUT, str(SECONDS))
    low, high = LIMITS
    if not text.isdecimal() or not low <= int(text[:9]) <= high:
        raise ZooError(
            f"{TIMEOUT}: must be a number of seconds from {low} to {high}, got '{console.inline(text, 40)}'."
        )
    return int(text)


class Started(_SubprocessScriptLauncher):
    """Lightning's launcher of processes on this machine. Its own watch ends all by SIGKILL, without a word."""

    failure: tuple[int, int] | None = None  # the process that failed first, see `failed`
    ended = False  # whether this process has ended the others

    def launch(self, function: Callable[..., Any], *args: Any, trainer: pl.Trainer | None = None, **kwargs: Any) -> Any:
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            os.environ[PARENT] = str(os.getpid())
            try:
                self._call_children_scripts()
            finally:
                del os.environ[PARENT]
            threading.Thread(target=self._watch, daemon=True).start()
        _set_num_threads_if_needed(num_processes=self.num_processes)
        with contextlib.ExitStack() as stack:
            stack.push(self._end_with)
            return function(*args, **kwargs)

    def _end_with(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """End the others where this process fails; at Ctrl-C and signals Lightning does."""
        if isinstance(error, Exception):
            self.failure = self.failed(2.0 if _tells_of_others(error) else 0.0)
            until = time.monotonic() + GRACE
            while any(process.poll() is None for process in self.procs) and time.monotonic() < until:
                time.sleep(0.05)  # one that fails, too, has a message of its own
            self.end()

    def end(self) -> None:
        """End the processes that were started: one that waits for another one hears nothing but SIGKILL."""
        self.ended = True
        self.kill(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

    def failed(self, wait: float = 0.0) -> tuple[int, int] | None:
        """The first process started here that has failed, and its exit code; negative, of a signal. None so far.

        wait: seconds for one to fail.
        """
        until = time.monotonic() + wait
        while True:
            for number, process in enumerate(self.procs, start=1):
                if process.poll():
                    return number, process.returncode
            if time.monotonic() >= until:
                return None
            time.sleep(0.05)

    def _watch(self) -> None:
        """End this process and the others some seconds after one has failed, if none of them ends by itself."""
        while (failure := self.failed(1.0)) is None:
            if all(process.returncode == 0 for process in self.procs):
                return
        time.sleep(GRACE)
        if not self.ended:
            self.end()
            end_at_once(_gone(*failure, self.num_processes))


def prepare(trainer: pl.Trainer) -> None:
    """Bound the time that this process of a run waits for others. Raises: ZooError, see `seconds`."""
    watch_parent()
    strategy = trainer.strategy
    if not isinstance(strategy, DDPStrategy):
        return
    strategy._timeout = timedelta(seconds=seconds())
    old = strategy.launcher
    if type(old) is _SubprocessScriptLauncher:
        strategy._launcher = Started(old.cluster_environment, old.num_processes, old.num_nodes)


def lost(trainer: pl.Trainer, error: BaseException) -> LostProcess | None:
    """What an error of a run says about its other processes; None if it says nothing."""
    text = str(error)
    if trainer.world_size == 1 or not _tells_of_others(error):
        return None
    launcher = trainer.strategy.launcher
    if isinstance(launcher, Started) and launcher.failure:
        return LostProcess(_gone(*launcher.failure, trainer.world_size))
    if torch.distributed.is_initialized():
        return LostProcess(_silent(text, trainer.global_rank, trainer.world_size))
    environment = trainer._accelerator_connector.cluster_environment
    place = environment.main_address, environment.main_port
    return LostProcess(rendezvous(text, *place, trainer.global_rank, trainer.world_size))


def _tells_of_others(error: BaseException) -> bool:
    return isinstance(error, getattr(torch.distributed, "DistError", ())) or "gloo" in str(error)


def _gone(rank: int, code: int, size: int) -> str:
    """The message for a process of this host whose exit code is known."""
    how = f"ended with exit code {code}; if it had a message, that stands above"
    if code < 0:
        name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
        how = f"was ended by {name}"
    return f"process {rank} of {size} on {socket.gethostname()} {how}.\n{HINT}"


def _silent(text: str, rank: int, size: int) -> str:
    """The message for a process that closed its connection, or does not answer, in the middle of a run."""
    here = f"process {rank} of {size} on {socket.gethostname()}"
    other = f"process {1 - rank}" if size == 2 else "another process"
    found = re.search(r"(?:peer|from|to) \[?([0-9a-fA-F:.]+)\]?:\d+", text)
    where = f" at {found[1]}" if found else ""
    if re.search("[Tt]ime(d )?-?out", text):
        return (
            f"{other} of the run{where} has not answered for {seconds()} seconds; {here} gives up.\n"
            "  It was stopped, is slower than that, or the network between the machines is down.\n"
            f"  {TIMEOUT}=SECONDS in the environment of all processes is the time to wait.\n"
            "  Go on from the last saved state: the same command with --resume auto --run_dir DIR."
        )
    return f"{other} of the run{where} is gone; {here} ends with it.\n{HINT}"


def rendezvous(text: str, address: str, port: int, rank: int, size: int) -> str:
    """The message for processes that do not find each other, from torch's error.

    address, port: where process 0 of `size` waits for the others; rank: of this one.
    """
    place, here = f"{address}:{port}", f"process {rank} of {size} on {socket.gethostname()}"
    if "EADDRINUSE" in text:
        return (
            f"port {port} is in use on {socket.gethostname()}, where process 0 of {size} would wait for the others.\n"
            "  Another run may have it: give each run on a machine a port of its own.\n"
            "  MASTER_PORT names it; for torchrun --master_port, or --standalone on one machine."
        )
    if joined := re.search(r"(\d+)/\d+ clients joined", text):
        return (
            f"only {joined[1]} of {size} processes came to {place} within {seconds()} seconds.\n"
            f"  Process 0 waited for them on {socket.gethostname()}.\n"
            "  Start the same command on every machine, with the same MASTER_ADDR, MASTER_PORT and WORLD_SIZE.\n"
            f"  Let the port through between the machines; {TIMEOUT}=SECONDS is the time to wait."
        )
    if not _resolves(address):
        return (
            f"MASTER_ADDR: {socket.gethostname()} knows no address for the name '{console.inline(address, 80)}'.\n"
            "  It is the machine of process 0: give its address as a number, such as 10.0.0.1."
        )
    if "Ping failed" in text or "nvalid value returned" in text:
        return (
            f"what answers at {place} is no process of this run; {here} gives up.\n"
            "  MASTER_ADDR and MASTER_PORT must be the machine of process 0, and a port that is free there."
        )
    return (
        f"process 0 of the run does not answer at {place} within {seconds()} seconds; {here} gives up.\n"
        "  It was not started, has ended, or is elsewhere: MASTER_ADDR must be the machine of process 0.\n"
        f"  Let the port through between the machines; {TIMEOUT}=SECONDS is the time to wait."
    )


def _resolves(address: str) -> bool:
    try:
        socket.getaddrinfo(address, None)
    except (OSError, UnicodeError):
        return False
    return True
