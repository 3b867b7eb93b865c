"""Runs in processes of their own, a few at a time.

A process is `python -m rnnzoo fit` in a session of its own, so that Ctrl-C reaches the sweep alone, which passes it on.
It holds the lock of its job's folder, and keeps it where the sweep is killed: the next sweep sees that it is at work,
and waits for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from rnnzoo import recipe as recipes
from rnnzoo.errors import RunError, Stopped
from rnnzoo.runs import snapshot
from rnnzoo.runs.folder import SHARED
from rnnzoo.runs.record import read_summary
from rnnzoo.sweep.plan import Run
from rnnzoo.sweep.scores import finished
from rnnzoo.system import console, files
from rnnzoo.system.launcher import RANKS
from rnnzoo.system.lock import Lock
from rnnzoo.system.signals import Listener

POLL = 0.1  # seconds between two looks at the processes
TAIL = 2**14  # bytes of what a process printed
OF_ONE_RUN = ("WANDB_SERVICE", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_NAME", SHARED, *RANKS)  # not for its children


class Job(NamedTuple):
    """A run to be done. folder: the run's. place: of its recipe, its output and its lock.

    enough: whether it has trained for long enough, and is to be stopped until it is asked to go on; None for never.
    """

    run: Run
    folder: Path
    place: Path
    enough: Callable[[], bool] | None = None


class Ended(NamedTuple):
    """How a job ended. why: of a failure. seconds: that its process took."""

    job: Job
    how: Literal["finished", "paused", "failed"]
    why: str
    seconds: float


def work(jobs: Iterator[Job], at_once: int) -> Generator[Ended, None, None]:
    """Do jobs, `at_once` of them at a time; the next one is asked for when there is room for it.

    A caller that leaves early has the processes stopped. Raises: Stopped at a signal, after the processes, which were
    asked to stop, have saved what they have and ended.
    """
    running: list[_Process] = []
    listener = Listener()
    listener.start()
    try:
        while not listener.number:
            while len(running) < at_once and (job := next(jobs, None)) is not None:
                slot = min({*range(at_once)} - {process.slot for process in running})
                running.append(_Process(job, slot, at_once))
            if not running:
                return
            time.sleep(POLL)
            for process in [*running]:
                if (ended := process.ended()) is not None:
                    running.remove(process)
                    yield ended
        raise Stopped("stopped; the same command goes on.", listener.number)
    finally:
        for process in running:
            process.stop()
        for process in running:
            process.wait()
        listener.stop()


class _Process:
    """The process of a job, from its start; or the wait for one that an earlier sweep left behind."""

    def __init__(self, job: Job, slot: int, at_once: int) -> None:
        self.job, self.slot, self.at_once = job, slot, at_once
        self._process: subprocess.Popen[bytes] | None = None
        self._started = time.monotonic()
        self._stopped = self._told = False
        self._start()

    def ended(self) -> Ended | None:
        """How the job ended; None while it is under way. Starts a process that had to wait."""
        if self._process is None:
            self._start()
        if self._process is None:
            return Ended(self.job, "finished", "", self._seconds()) if self._finished() else None
        code = self._process.poll()
        if code is None:
            if self.job.enough is not None and not self._stopped and self.job.enough():
                self.stop()
            return None
        if self._finished():
            return Ended(self.job, "finished", "", self._seconds())
        if self._stopped:
            return Ended(self.job, "paused", "", self._seconds())
        return Ended(self.job, "failed", self._reason(code), self._seconds())

    def _finished(self) -> bool:
        return finished(self.job.folder, self.job.run.digest) is not None

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def stop(self) -> None:
        """Ask the process to save what it has and end."""
        self._stopped = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait()

    def _start(self) -> None:
        """Start the process, unless another sweep's is still at work on the same run."""
        place = self.job.place
        try:
            place.mkdir(parents=True, exist_ok=True)
            lock = Lock(place)
        except RunError:
            if not self._told:
                console.print_error(f"{self.job.run.label}: still at work since an earlier sweep; it is waited for.")
            self._told = True
            return
        except OSError as error:
            raise files.unwritable(place / "recipe.yaml", error) from error
        with lock:
            if not self._finished():  # by the process that was waited for
                self._process = self._begun(lock)

    def _begun(self, lock: Lock) -> subprocess.Popen[bytes]:
        """A new process, which has the lock, too."""
        folder, place = self.job.folder, self.job.place
        _set_aside(folder, place)
        recipe = place / "recipe.yaml"
        files.write_text(recipe, recipes.dump(self.job.run.recipe))
        words = ["-m", "rnnzoo", "fit", str(recipe), "--run_dir", str(folder), "--resume", "auto"]
        with _output(place / "output.txt") as output:
            return subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(self.slot, self.at_once),
                start_new_session=True,
                pass_fds=lock.descriptors,
            )

    def _reason(self, code: int) -> str:
        """Why a process failed, in a line: as its summary says, or else the last thing that it printed."""
        with contextlib.suppress(RunError):
            summary = read_summary(self.job.folder)
            if summary.get("status") == "failed" and summary.get("ended_by"):
                return console.inline(summary["ended_by"], 200)
        if code < 0:
            return f"killed by signal {-code}"
        lines = [line for line in _tail(self.job.place / "output.txt") if line.strip() and not line[0].isspace()]
        return console.inline(lines[-1], 200) if lines else f"exit code {code}"


def _set_aside(folder: Path, place: Path) -> None:
    """Move away what is left of a run that can neither go on nor be begun where it is."""
    if not folder.exists() or snapshot.complete(folder / "resume"):
        return
    number = 1
    while (place / f"aside-{number}").exists():
        number += 1
    try:
        os.replace(folder, place / f"aside-{number}")
    except OSError as error:
        raise files.unwritable(folder, error) from error


def _output(path: Path) -> BinaryIO:
    try:
        return files.appending(path)
    except OSError as error:
        raise files.unwritable(path, error) from error


def _tail(path: Path) -> list[str]:
    try:
        with files.opened(path) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return file.read(TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def environment(slot: int, at_once: int, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of one of `at_once` processes: its share of the cores, and one of the GPUs if there are several.

    OMP_NUM_THREADS and the settings of W&B stay as they are, but for those that are one run's.
    """
    own = {name: value for name, value in given.items() if name not in OF_ONE_RUN}
    if at_once > 1:
        own.setdefault("OMP_NUM_THREADS", str(max(1, cores() // at_once)))
        devices = own.get("CUDA_VISIBLE_DEVICES", "").split(",")
        if len(devices) > 1:
            own["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]
    own.setdefault("WANDB_JOB_TYPE", "sweep")
    return own


def cores() -> int:
    """The cores that this process may use."""
    available = getattr(os, "sched_getaffinity", None)
    return len(available(0)) if available else os.cpu_count() or 1
