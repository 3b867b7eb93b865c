"""The cell in other processes: imported there, loaded from a checkpoint, and trained by two of them."""

from __future__ import annotations

import copy

from rnnzoo.testing.cells import fresh
from rnnzoo.testing.cells.subject import CellSubject


def check_no_work_at_import(subject: CellSubject) -> None:
    """Importing the cell's module defines it and does nothing else: no output, thread, random number, heavy import."""
    effects = subject.answered(subject.elsewhere.import_effects)
    subject.require(not effects, f"expected an import that only defines, found {'; '.join(effects)}")


def check_reload_in_a_fresh_process(subject: CellSubject) -> None:
    """Another process that loads the checkpoint gives the same outputs and last states."""
    found = subject.answered(subject.elsewhere.reload)
    for name, wanted in fresh.outcome(subject.kept, *subject.batch).items():
        subject.agree(found[name], wanted, f"{name} in a fresh process")


def check_two_processes_equal_one(subject: CellSubject) -> None:
    """A step of two processes over halves of a batch (gloo, DistributedDataParallel) is that of one over all of it."""
    found = subject.answered(subject.elsewhere.ddp)
    cell = copy.deepcopy(subject.kept)
    wanted = fresh.gradients(fresh.Outcome(cell), cell, *subject.batch)
    subject.require(
        found.keys() == wanted.keys(),
        f"expected gradients of {', '.join(wanted)} in two processes, found those of {', '.join(found) or 'none'}",
    )
    for name, gradient in wanted.items():
        subject.agree(found[name], gradient, f"gradient of {name} in two processes")
