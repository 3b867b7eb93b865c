"""Turns what ends a Trainer early (Ctrl-C, SIGTERM, a lost process, lack of memory) into one clear exception."""

from __future__ import annotations

import signal
from collections.abc import Callable

import lightning.pytorch as pl
from torch.multiprocessing import ProcessRaisedException

from rnnzoo.errors import RunError, Stopped
from rnnzoo.system.signals import ignore_repeats
from rnnzoo.training import processes
from rnnzoo.training.callbacks.memory import BatchSize, ran_out


def interruptible(trainer: pl.Trainer, work: Callable[[], object]) -> None:
    """Call `work`, which runs the trainer.

    Raises: KeyboardInterrupt at Ctrl-C, which Lightning turns into an exit and then ignores; Stopped at another signal;
    RunError if another process of the run is gone, or memory ran out.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        work()
    except SystemExit as end:
        if trainer.interrupted:
            signal.signal(signal.SIGINT, handler)
            if isinstance(end.__context__, Stopped):
                ignore_repeats()  # the Trainer has put handlers back, and there is more to write
                raise end.__context__ from None
            raise KeyboardInterrupt from None
        raise
    except ProcessRaisedException as error:  # from a process that the Trainer started; the text is its traceback
        _, marker, message = str(error).rpartition("rnnzoo.errors.")
        if marker:
            raise RunError(message.partition(": ")[2].strip()) from error
        raise
    except (RuntimeError, MemoryError) as error:
        size = next((c for c in trainer.callbacks if isinstance(c, BatchSize)), BatchSize())  # type: ignore[attr-defined]
        if ran_out(error):
            raise size.error(error) from error
        if gone := processes.lost(trainer, error):
            raise gone from error
        raise
