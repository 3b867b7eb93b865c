"""Requests to stop, which a work in steps answers between two of them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from types import FrameType
from typing import Any

NAMES = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP")  # schedulers, Ctrl-C, SLURM's warning, a closed terminal
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
REPEATED = tuple(number for number in SIGNALS if number not in (signal.SIGINT, getattr(signal, "SIGHUP", None)))

_LISTENING: set[Listener] = set()


def ignore_repeats(environment: Mapping[str, str] = os.environ) -> None:
    """After a request to stop: in a SLURM job, hear no more of it.

    SLURM warns, then sends SIGTERM by several ways at once; what does not end by itself gets SIGKILL. A second signal
    is no order there, and would end the process before it has saved.
    """
    if "SLURM_JOB_ID" in environment and threading.current_thread() is threading.main_thread():
        for number in REPEATED:
            signal.signal(number, signal.SIG_IGN)


def ask_to_stop(number: int) -> bool:
    """Ask what listens in this process to stop, as the signal of this number would; whether anything does.

    For a program that runs a command in a thread of its own: signals reach a process's main thread alone.
    """
    listening = [*_LISTENING]
    for listener in listening:
        listener.number = listener.number or number
    return bool(listening)


class Listener:
    """Hears requests to stop between `start` and `stop`: `number` is the signal's, 0 so far.

    The first signal sets the number and nothing else; a second one ends the process at once, unless it is SLURM that
    repeats itself. In a thread `ask_to_stop` alone is heard, as only a process's main thread may set handlers.
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def start(self) -> None:
        """Take the handlers of the signals that are not ignored, as they are under nohup."""
        _LISTENING.add(self)
        if threading.current_thread() is not threading.main_thread() or self._before:
            return
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)

    def stop(self) -> None:
        """Put back the handlers that were there before. A second call does nothing."""
        _LISTENING.discard(self)
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before = {}
        if self.number:
            ignore_repeats()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
        ignore_repeats()
