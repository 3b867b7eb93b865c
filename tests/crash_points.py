"""Crash within a save, at each of its file-system calls: `python tests/crash_points.py [EVERY]`.

A training stands still after some steps and saves in copies of its run's folder, as it does after a validation: its
training state, a checkpoint, the pointers, and what is deleted then. In each copy another call is the last one: the
process dies before it, in the middle of what it writes, or the call fails (once; or from there on, as on a full disk).
EVERY: to try one call in so many.
Then what is in the folder must load, old or new, and the next start must leave nothing else. Prints totals; exits 1
where one is not as it must be. `crash_points.c` is compiled and loaded before the C library, so needs Linux and `cc`.
"""

from __future__ import annotations

import ctypes
import errno
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.errors import ZooError
from rnnzoo.experiment import fit as fitting
from rnnzoo.experiment import resume
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs import checkpoint, snapshot
from rnnzoo.runs.state import State, pack
from rnnzoo.training.callbacks.checkpoints import Checkpoints
from rnnzoo.training.callbacks.snapshots import SnapshotIO, Snapshots

HOW = ("the process is killed", "killed within a write", "one call fails", "the disk is full from there on")
LIBRARY = "CRASH_POINTS"  # the variable with the compiled library's path
MEMORY = "/dev/shm"  # where syncing costs nothing
STEPS = 9  # in the second epoch, after two checkpoints and three training states
OPTIONS = [
    *("--trainer.limit_train_batches=6", "--trainer.limit_val_batches=1", "--trainer.enable_progress_bar=false"),
    *("--tracking.mode=disabled", "--checkpoint.every_n_steps=3", "--trainer.max_epochs=2"),
]


class Outcome(NamedTuple):
    """What one crash left: whether it was one, the old state and checkpoint or the new ones, and what was wrong."""

    struck: bool
    state: str
    best: str
    faults: list[str]


class Crashes(Callback):
    """Crashes in copies of the run's folder once the training has made `STEPS` steps."""

    def __init__(self, library: ctypes.CDLL, every: int) -> None:
        self.library, self.every = library, every
        self.outcomes: dict[str, list[Outcome]] = {}
        self.calls: list[str] = []  # by name, of one whole save

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: object) -> None:
        if trainer.global_step != STEPS:
            return
        here = Path("run")
        save = self._save(trainer, pl_module)
        whole = copied(here, "whole")
        self._child(lambda: save(whole), note=Path("calls.json"))
        self.calls = json.loads(Path("calls.json").read_text())
        old, new = contents(here), contents(Path("whole"))
        for kind, name in enumerate(HOW):
            self.outcomes[name] = []
            for at in range(1 + kind % self.every, len(self.calls) + 1, self.every):
                if kind == HOW.index("killed within a write") and not self.calls[at - 1].startswith(
                    ("write", "pwrite")
                ):
                    continue
                copy = copied(here, "crashed")
                code = self._child(lambda copy=copy: save(copy), at, kind)
                self.outcomes[name].append(self._outcome(copy, old, new, save, struck=code == 9 or kind > 1))

    def _save(self, trainer: Trainer, module: LightningModule) -> Callable[[Path], None]:
        """Everything that a validation saves, in another folder."""
        found = {type(callback): callback for callback in trainer.callbacks}
        states, checkpoints = found[Snapshots], found[Checkpoints]

        def save(folder: Path) -> None:
            states.folder, checkpoints.folder = folder / "resume", folder / "checkpoints"
            states._save(trainer)
            checkpoints._save(trainer, module, score=checkpoints.best_score + 1.0)

        assert isinstance(trainer.strategy.checkpoint_io, SnapshotIO)
        return save

    def _child(self, work: Callable[[], object], at: int = 0, kind: int = 0, note: Path | None = None) -> int:
        """The exit code of a process of its own that does the work; 9 where it was killed at the call `at`.

        note: a file for the names of its calls.
        """
        drawn = random.getstate()
        child = os.fork()
        if not child:
            code = 1
            try:
                random.setstate(drawn)  # Python seeds a forked process anew
                logging.disable()
                self.library.arm(at, kind, errno.ENOSPC)
                work()
                if note:
                    note.write_text(json.dumps(self.library.names().decode().split()))
                code = 0
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _outcome(
        self, folder: Path, old: Contents, new: Contents, save: Callable[[Path], None], struck: bool
    ) -> Outcome:
        faults: list[str] = []
        for path in [*snapshot.complete(folder / "resume"), *(folder / "checkpoints").glob("step-*")]:
            try:
                (snapshot.read if path.parent.name == "resume" else checkpoint.load)(path)
            except ZooError as error:
                faults.append(str(error))
        which = {}
        try:
            found = contents(folder)
            for part in Contents._fields:
                mine, before, after = (getattr(c, part) for c in (found, old, new))
                which[part] = "new" if same(mine, after) else "old" if same(mine, before) else "neither"
            if "neither" in which.values():
                faults.append(f"neither old nor new: {which}")
        except ZooError as error:
            faults.append(str(error))
        if self._child(lambda: next_start(folder, save)):
            faults.append("the next start failed")
        faults += [f"left after the next start: {path}" for path in litter(folder)]
        return Outcome(struck, which.get("state", "none"), which.get("best", "none"), faults)


class Contents(NamedTuple):
    """The newest training state of a run, and the weights that its pointers name."""

    state: State
    best: State
    last: State


def contents(folder: Path) -> Contents:
    best, last = (checkpoint.load(checkpoint.follow(folder / "checkpoints" / name)) for name in checkpoint.POINTERS)
    state = resume._state(folder, fall_back=False)[1]
    state["callbacks"] = state["callbacks"]["Checkpoints"]  # others hold seconds
    return Contents(state, best._asdict(), last._asdict())


def same(left: State, right: State) -> bool:
    """Whether two states are equal bit for bit."""
    (texts, tensors), (other_texts, other_tensors) = pack(left), pack(right)
    return json.dumps(texts) == json.dumps(other_texts) and all(
        map(torch.equal, tensors.values(), other_tensors.values())
    )


def next_start(folder: Path, save: Callable[[Path], None]) -> None:
    """Go on in the folder as `fit --resume` does, up to the first save."""
    runs.reopen(folder, "toy_tags", 1).release()
    assert not list(folder.rglob(".tmp-*"))
    save(folder)


def litter(folder: Path) -> list[str]:
    """What neither the run nor a training that goes on has any use for."""
    pointed = {checkpoint.follow(folder / "checkpoints" / name).name for name in checkpoint.POINTERS}
    wanted = {folder / "checkpoints" / name for name in (*checkpoint.POINTERS, *pointed)}
    wanted |= set(snapshot.complete(folder / "resume")[: snapshot.KEPT])
    there = {*(folder / "checkpoints").iterdir(), *(folder / "resume").iterdir()}
    return sorted(str(path) for path in (there - wanted) | set(folder.rglob(".tmp-*")))


def copied(folder: Path, name: str) -> Path:
    shutil.rmtree(name, ignore_errors=True)
    return Path(shutil.copytree(folder, name))


def crash_everywhere(library: ctypes.CDLL, every: int) -> int:
    crashes = Crashes(library, every)
    fitting.make_callbacks = lambda recipe, module: [crashes]
    fitting.fit(resolve(recipes.read("toy_tags", OPTIONS)), Path("run"))
    calls = Counter(crashes.calls)
    print(
        f"{len(crashes.calls):6} file-system calls of a save: {', '.join(f'{n} {c}' for c, n in calls.most_common())}"
    )
    faults = []
    for name, outcomes in crashes.outcomes.items():
        struck = sum(outcome.struck for outcome in outcomes)
        states, best = (Counter(getattr(o, part) for o in outcomes) for part in ("state", "best"))
        bad = [fault for outcome in outcomes for fault in outcome.faults]
        kinds = [f"{part} {kind['old']} old, {kind['new']} new" for part, kind in (("state", states), ("best", best))]
        print(f"{struck:6} times {name}: {'; '.join(kinds)}; {len(bad)} faults")
        faults += bad if struck == len(outcomes) else [*bad, f"{name}: {len(outcomes) - struck} crashes did not come"]
    print(*faults[:5], sep="\n")
    return int(bool(faults))


def main() -> int:
    if LIBRARY in os.environ:
        library = ctypes.CDLL(os.environ[LIBRARY])
        library.names.restype = ctypes.c_char_p
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")
        return crash_everywhere(library, int((sys.argv[1:] or ["1"])[0]))
    with tempfile.TemporaryDirectory(prefix="crash-", dir=MEMORY if os.path.isdir(MEMORY) else None) as scratch:
        library = f"{scratch}/crash_points.so"
        source = str(Path(__file__).with_suffix(".c"))
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        environment = os.environ | {"LD_PRELOAD": library, LIBRARY: library, "OMP_NUM_THREADS": "1"}
        return subprocess.run([sys.executable, __file__, *sys.argv[1:]], env=environment, cwd=scratch).returncode


if __name__ == "__main__":
    sys.exit(main())
