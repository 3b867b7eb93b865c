"""Batches made in this process when they are asked for, or by worker processes ahead of their use."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from multiprocessing import get_context, parent_process
from typing import Any

import torch
from torch.utils.data import DataLoader

from rnnzoo.batch import Batch
from rnnzoo.data.base import Examples
from rnnzoo.data.batching import Batches
from rnnzoo.data.shards import Sharded, ShardedExamples
from rnnzoo.errors import DataError, RunError
from rnnzoo.system.signals import SIGNALS


class Loader:
    """Batches of examples, one for each window, in the windows' order: the same whatever the number of workers.

    sampler: the windows of an epoch. The Trainer tells them which epoch it is, as it does the sampler of a DataLoader.
    num_workers: processes that make batches ahead of their use, each with a copy of the examples; 0 for none. They
    start when the first batch is asked for.
    sized: whether all ranks have a batch. Where not all do, the loader has no length: Lightning then asks each rank for
    batches until there are none, where it would leave out a rank of length 0, and the others would wait for it.

    It is no DataLoader itself: of one, Lightning makes another, with a sampler of its own choice.
    Raises, while it is walked: DataError for a row that cannot be read; RunError when a worker is gone.
    """

    batch_sampler = None  # Lightning asks for it where there is a sampler

    def __init__(
        self,
        examples: Examples | ShardedExamples,
        sampler: Batches[object],
        num_workers: int = 0,
        sized: bool = True,
    ) -> None:
        self.sampler, self.num_workers, self._sized = sampler, num_workers, sized
        workers: dict[str, Any] = {}
        if num_workers:
            workers = {"multiprocessing_context": _context(), "persistent_workers": True}
        self._batches: DataLoader[Batch | Sharded | DataError] = DataLoader(
            _Answers(examples),  # type: ignore[arg-type]  # a window for an index
            batch_size=None,
            sampler=sampler,  # type: ignore[arg-type]  # of batches, and not of indices
            num_workers=num_workers,
            worker_init_fn=_stand_apart,
            generator=torch.Generator(),  # a seed for each worker is drawn from it, and not from torch's generator
            **workers,
        )

    def __len__(self) -> int:
        if not self._sized:
            raise TypeError("some rank has no batch, so that the loader has no length")
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        try:
            for answer in self._batches:
                if isinstance(answer, DataError):
                    raise answer
                yield answer
        except Exception as error:  # the code of a data set, perhaps a plugin's, runs in the workers
            self._end_workers()  # whoever catches the mistake holds on to this loader by its traceback
            if not (self.num_workers and _of_dead_worker(error)):
                raise
            raise RunError(
                "a process that loaded data for this one (a worker) was killed.\n"
                "  Most often the machine is short of memory, or of shared memory (/dev/shm): each worker holds a copy "
                "of the data.\n"
                f"  Lower data.num_workers, which is {self.num_workers}; 0 needs no process."
            ) from error

    def _end_workers(self) -> None:
        if self._iterator is not None:
            self._iterator._shutdown_workers()
            self._iterator = None

    @property
    def _iterator(self) -> Any:
        """What holds the workers between epochs. Lightning ends them where it finds this name, and then sets it."""
        return self._batches._iterator

    @_iterator.setter
    def _iterator(self, iterator: None) -> None:
        self._batches._iterator = iterator


class _Answers:
    """Batches by window, or the mistake in their rows: one that is raised in a worker arrives as a traceback's text."""

    def __init__(self, examples: Examples | ShardedExamples) -> None:
        self.examples = examples

    def __getitem__(self, window: Any) -> Batch | Sharded | DataError:
        try:
            return self.examples[window]
        except DataError as mistake:
            return DataError(*mistake.messages)  # some kinds, such as RowError, are not pickled


def _of_dead_worker(error: Exception) -> bool:
    """Whether a worker is gone: torch says so, or the connection to it broke while a batch came."""
    text = str(error)
    if "DataLoader worker process" in text:  # a worker lives, and tells what its code has raised
        return False
    broken = isinstance(error, (EOFError, ConnectionError, FileNotFoundError))
    return broken or (isinstance(error, RuntimeError) and "DataLoader worker (pid" in text)


def _context() -> Any:
    """How workers are started: never as a copy of this process, which has threads, locks and sockets of its own."""
    if sys.platform != "linux" or parent_process() is not None:  # a forked process cannot ask its parent's server
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # torch is imported once, not by each worker
    return context


def _stand_apart(worker: int) -> None:
    """Keep a worker from what a terminal or a scheduler sends to all: the main process saves its state, and ends it."""
    if hasattr(os, "setsid"):
        os.setsid()
    for number in SIGNALS:
        if number != signal.SIGTERM:  # by which the main process ends a worker that it leaves behind
            signal.signal(number, signal.SIG_IGN)
