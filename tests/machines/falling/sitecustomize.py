"""Lets one process of a run fall at one place: Python imports this at its start where this folder is in PYTHONPATH.

FALL is "PLACE RANK HOW": see `PLACES`; the process's number; `kill`, `stop`, `error` or `memory` (the exit code of a
container whose memory ran out). Before it falls the process writes its number and the time into the file FALLEN.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

PLACES = {  # the module, the object, its method, and which call of it
    "data": ("rnnzoo.data.datamodule", "ZooData", "prepare", 1),
    "rendezvous": ("torch.distributed", "", "init_process_group", 1),
    "epoch": ("rnnzoo.training.module", "ZooModule", "training_step", 12),
    "validation": ("rnnzoo.training.module", "ZooModule", "validation_step", 2),
    "saving": ("rnnzoo.training.callbacks.checkpoints", "Checkpoints", "_save", 1),
}
MEMORY_EXIT = 137


def rank() -> str:
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", os.environ.get("LOCAL_RANK", "0")))


def fall(how: str) -> None:
    Path(os.environ["FALLEN"]).write_text(f"{os.getpid()} {time.time()}", encoding="utf-8")
    if how == "error":
        raise ValueError("made up")
    if how == "memory":
        os._exit(MEMORY_EXIT)
    os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGSTOP)


def patch(module: ModuleType, owner: str, name: str, call: int, how: str) -> None:
    holder: Any = getattr(module, owner) if owner else module
    real, calls = getattr(holder, name), iter(range(1, sys.maxsize))

    def falling(*arguments: Any, **keywords: Any) -> Any:
        if next(calls) == call:
            fall(how)
        return real(*arguments, **keywords)

    setattr(holder, name, falling)


class Falls(MetaPathFinder):
    """Patches a module as soon as it has been imported."""

    def __init__(self, place: str, how: str) -> None:
        self.place, self.how = PLACES[place], how

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        module, owner, name, call = self.place
        if fullname != module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        assert spec is not None and spec.loader is not None
        execute = spec.loader.exec_module

        def executed(made: ModuleType) -> None:
            execute(made)
            patch(made, owner, name, call, self.how)

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


if words := os.environ.get("FALL", "").split():
    import importlib.util

    where, number, how = words
    if rank() == number and "torch.distributed.run" not in sys.orig_argv and "--launch" not in sys.orig_argv:
        sys.meta_path.insert(0, Falls(where, how))
