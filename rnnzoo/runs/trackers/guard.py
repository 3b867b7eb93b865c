"""A tracker that cannot harm its run, whatever its code does."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from rnnzoo.runs.summary import TrackerPlace
from rnnzoo.runs.trackers.base import TrackedRun, Tracker
from rnnzoo.system import console
from rnnzoo.system.redaction import redact

FAILED = "%s failed: %s. The run continues without it; its metrics file is complete."
Value = TypeVar("Value")
log = logging.getLogger("rnnzoo")


class Guarded(Tracker):
    """Another tracker, whose first failure is one warning, and the last that it does but for being closed.

    It works in the first process alone, draws none of the training's random numbers, and gets arguments of its own.
    """

    def __init__(self, tracker: Tracker, title: str) -> None:
        """title: what the warning calls it."""
        super().__init__()
        self.tracker = tracker
        self.title = title
        self.broken = False

    @property
    def name(self) -> str | None:
        return self._ask(lambda: self.tracker.name, None)

    @property
    def version(self) -> int | str | None:
        return self._ask(lambda: self.tracker.version, None)

    @property
    def save_dir(self) -> str | None:
        return self._ask(lambda: self.tracker.save_dir, None)

    @property
    def place(self) -> TrackerPlace | None:
        return self._ask(lambda: self.tracker.place, None)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._do(lambda: self.tracker.log_metrics({**self.axes(), **metrics}, step))

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]  # as Lightning has it
        self._do(lambda: self.tracker.log_hyperparams(params, *args, **kwargs))

    def log_graph(self, model: torch.nn.Module, input_array: torch.Tensor | None = None) -> None:
        self._do(lambda: self.tracker.log_graph(model, input_array))

    def log_picture(self, name: str, svg: str, step: int) -> None:
        self._do(lambda: self.tracker.log_picture(name, svg, step))

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int) -> None:
        self._do(lambda: self.tracker.log_table(name, list(columns), [list(row) for row in rows], step))

    def log_checkpoint(self, folder: Path, aliases: Sequence[str], metadata: Mapping[str, object]) -> None:
        self._do(lambda: self.tracker.log_checkpoint(folder, list(aliases), dict(metadata)))

    def use_data(self, identity: Mapping[str, object]) -> None:
        self._do(lambda: self.tracker.use_data(dict(identity)))

    def summarise(self, facts: Mapping[str, object]) -> None:
        self._do(lambda: self.tracker.summarise(dict(facts)))

    def save(self) -> None:
        self._do(lambda: self.tracker.save())

    def after_save_checkpoint(self, checkpoint_callback: Checkpoint) -> None:
        self._do(lambda: self.tracker.after_save_checkpoint(checkpoint_callback))  # type: ignore[arg-type]

    def finalize(self, status: str) -> None:
        self._do(lambda: self.tracker.finalize(status))

    @rank_zero_only
    def close(self, ok: bool, timeout: float) -> None:
        """Close it, also where it has failed, in a thread that is waited for at most `timeout` seconds."""
        work = lambda: self._attempt(lambda: self.tracker.close(ok, timeout), None)  # noqa: E731
        closing = threading.Thread(target=work, daemon=True)
        closing.start()
        closing.join(timeout)
        if closing.is_alive():
            self._break(TimeoutError(f"not finished within {timeout:g} s; {self.tracker.unfinished}"))

    @rank_zero_only
    def _do(self, work: Callable[[], object]) -> None:
        if not self.broken:
            with _generators_as_they_are():
                self._attempt(work, None)

    def _ask(self, question: Callable[[], Value], default: Value) -> Value:
        return default if self.broken else self._attempt(question, default)

    def _attempt(self, work: Callable[[], Value], default: Value) -> Value:
        """What some work of the tracker gives; the default where it fails."""
        try:
            return work()
        except (Exception, SystemExit) as error:  # a tracker is a plugin: its code may raise anything, and exit
            self._break(error)
            return default

    def _break(self, error: BaseException) -> None:
        if not self.broken:
            _warn(self.title, error)
        self.broken = True


def guarded(title: str, make: Callable[[TrackedRun], Tracker | None], run: TrackedRun) -> Guarded | None:
    """A new tracker of a run, guarded; None where it has nothing to do, or fails."""
    try:
        with _generators_as_they_are():
            tracker = make(run)
        if tracker is not None and not isinstance(tracker, Tracker):
            raise TypeError(f"it is of {type(tracker)}, which is no rnnzoo.Tracker")
        return Guarded(tracker, title) if tracker is not None else None
    except (Exception, SystemExit) as error:  # a tracker is a plugin: its code may raise anything, and exit
        _warn(title, error)
        return None


def _warn(title: str, error: BaseException) -> None:
    log.warning(FAILED, title, first_line(error))


def first_line(error: BaseException) -> str:
    """What an error says, without secrets, as part of a sentence."""
    text = str(redact(str(error))).strip()
    return console.inline(text.splitlines()[0].rstrip("."), 200) if text else type(error).__name__


@contextlib.contextmanager
def _generators_as_they_are() -> Iterator[None]:
    """Put the global random generators back: some trackers draw names from them. 0.1 ms."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
