"""The engine's faster paths against the reference loop."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rnnzoo.engine.choose import PATHS
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.engine.sequences import Sequences
from rnnzoo.testing.base import NotApplicable
from rnnzoo.testing.cells.running import Run, everything, run
from rnnzoo.testing.cells.subject import CellSubject, ragged, some_state

COMPILING = ("compiled",)  # paths that compile anew for each mode and kind of input: checked in one, if asked for
COMPILE = "RNNZOO_CHECK_COMPILED"


def path_check(path: str) -> Callable[[CellSubject], str]:
    """The check of one path of the engine against the reference loop."""

    def check(subject: CellSubject) -> str:
        cell = subject.kept
        x, lengths = ragged(cell)
        refusal = PATHS[path].refuses(cell, Sequences.of(x, lengths))
        if refusal is not None:
            raise NotApplicable(refusal)
        if path in COMPILING and not os.environ.get(COMPILE):
            raise NotApplicable(f"it takes a minute to compile; {COMPILE}=1 in the environment checks it")
        given = some_state(cell, len(x))
        sources = ("outputs and last states", "outputs", "last states")
        cases = itertools.product((False, True), (False, True), (None, given), sources)
        if path in COMPILING:
            cases = itertools.product((True,), (False, True), (given,), sources[:1])
        for training, reverse, state, of in cases:
            cell.train(training)
            found, wanted = (
                _seeded_run(partial(run, reverse=reverse, path=p), cell, x, lengths, state, of)
                for p in (path, "reference")
            )
            case = f"{'training' if training else 'evaluation'}, {'backward' if reverse else 'forward'}, "
            case += f"h0 {'not given' if state is None else 'given'}, gradient of {of}"
            for name, value in wanted.items():
                subject.agree(found[name], value, f"{name} on path {path} ({case})")
        layer = Recurrence(cell.eval(), path=path)
        with torch.no_grad():
            without, _ = layer(Sequences.of(x, lengths))
        subject.agree(without.padded, run(cell, x, lengths)[0], f"outputs without gradient on path {path}")
        reported = dict(layer.ran), bool(layer.why)
        message = f"expected path {path} to be reported with a reason, found {reported[0]} and {layer.why!r}"
        subject.require(reported == ({path: 1}, True), message)
        return "equals the reference"

    check.__name__ = f"check_path_{path}"
    check.__doc__ = f"The engine's path {path} equals the reference in outputs, last states and every gradient."
    return check


def _seeded_run(run_it: Run, *arguments: Any) -> dict[str, Tensor]:
    torch.manual_seed(7)  # masks in training are the same then
    return everything(run_it, *arguments)


PATH_CHECKS = tuple(path_check(path) for path in PATHS if path != "reference")
