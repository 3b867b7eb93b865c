"""The folder of a new run: made once, written by one process."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import secrets
import socket
import stat
import time
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from rnnzoo.errors import RunError
from rnnzoo.runs import atomic_folder, snapshot
from rnnzoo.runs.record import read_summary
from rnnzoo.runs.search import ROOT, is_run
from rnnzoo.runs.summary import STATUSES, Summary, well_formed
from rnnzoo.system import files
from rnnzoo.system.launcher import rank
from rnnzoo.system.lock import NAME, Lock
from rnnzoo.system.memory import peak_memory
from rnnzoo.system.plain import plain
from rnnzoo.system.redaction import redact

SHARED = "RNNZOO_RUN_DIR"  # how the first process of a run tells the others where it is
OTHER_FOLDER = "Choose another folder with --run_dir."


@dataclass
class Run:
    """One run's folder. `writer` is False in all processes but the first; they write nothing."""

    path: Path
    recipe: str
    seed: int
    writer: bool = True
    started: float = field(default_factory=time.time)  # seconds since 1970
    lock: Lock | None = None
    wandb_id: str | None = None  # of a run that is resumed
    _summary: Summary = field(default_factory=Summary)

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.parquet"

    @property
    def resume(self) -> Path:
        return self.path / "resume"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def release(self) -> None:
        """Let other processes have the folder, and tell no later one of this run."""
        if self.lock is not None:
            self.lock.release()
        if self.writer and os.environ.get(SHARED) == str(self.path):
            del os.environ[SHARED]

    def write_config(self, text: str) -> None:
        """Write the resolved recipe, secrets taken out before (`redact`)."""
        if self.writer:
            files.write_text(self.config, text)

    def write_summary(self, values: Summary) -> None:
        """Add to the summary and replace its file; time and memory so far are filled in. NaN is written as null."""
        if values.get("status", "running") not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {values['status']!r}")
        self._summary.update(values)
        if not self.writer:
            return
        summary: Summary = {
            "id": self.id,
            "recipe": self.recipe,
            "seed": self.seed,
            "status": "running",
            "started": datetime.datetime.fromtimestamp(self.started).astimezone().isoformat(timespec="seconds"),
            "seconds": round(time.time() - self.started, 3),
            "peak_memory_bytes": peak_memory(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        summary.update(self._summary)
        files.write_text(self.summary, json.dumps(plain(redact(summary)), indent=2, allow_nan=False) + "\n")


def create(recipe_name: str, run_dir: Path | None = None, seed: int = 1, root: Path = ROOT) -> Run:
    """Make the folder of a new run: `root/<recipe>/<date-time-xxxxxxxx>`, or `run_dir`.

    In the other processes of the same run (ranks above 0) nothing is made: they get the first one's folder.
    Raises: RunError if the folder holds anything, or cannot be made.
    """
    if rank() > 0:
        shared = run_dir or os.environ.get(SHARED)
        if not shared:
            raise RunError(
                f"process {rank()} does not know the folder of its run.\n"
                "  Where another program starts the processes (torchrun, srun), give all of them the same --run_dir."
            )
        return Run(Path(shared).absolute(), recipe_name, seed, writer=False)
    if run_dir is None:
        stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        run_dir = root / slug(recipe_name) / f"{stamp}-{secrets.token_hex(4)}"
    run = Run(run_dir.absolute(), recipe_name, seed)
    try:
        refuse_used(run_dir)
        run.checkpoints.mkdir(parents=True)
        run.lock = Lock(run.path)
        run.summary.open("x").close()  # whoever makes this file owns the folder
    except FileExistsError:
        raise RunError(f"cannot start a run in {run_dir}: another one just has.\n  {OTHER_FOLDER}") from None
    except OSError as error:
        raise RunError(f"cannot make the run's folder {run_dir}: {error.strerror}.\n  {OTHER_FOLDER}") from error
    os.environ[SHARED] = str(run.path)
    run.write_summary({"status": "running"})
    return run


def reopen(folder: Path, recipe_name: str, seed: int) -> Run:
    """The folder of a run that is resumed. In processes above the first it is not written.

    Raises: RunError if another process is at work in it, it cannot be written, or what is in it leads elsewhere.
    """
    if rank() > 0:
        return Run(folder.absolute(), recipe_name, seed, writer=False)
    _refuse_links(folder)
    summary = well_formed(read_summary(folder))
    run = Run(folder.absolute(), recipe_name, seed)
    try:
        run.lock = Lock(run.path)
    except OSError as error:
        raise files.unwritable(folder, error) from error
    with contextlib.suppress(KeyError, ValueError, OverflowError):
        run.started = min(run.started, max(0.0, datetime.datetime.fromisoformat(summary["started"]).timestamp()))
    wandb_id = summary.get("wandb", {}).get("id", "")
    run.wandb_id = wandb_id if re.fullmatch(r"[\w-]{1,128}", wandb_id, re.ASCII) else None
    for place in (run.path, run.checkpoints, run.resume):
        atomic_folder.sweep(place)
    os.environ[SHARED] = str(run.path)
    run.write_summary({"status": "running"})
    return run


def _refuse_links(folder: Path) -> None:
    """What is written in a stranger's folder stays in it. Raises: RunError."""
    for path in folder.iterdir():
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            kind = files.KINDS.get(stat.S_IFMT(path.lstat().st_mode), "no regular file")
            raise RunError(
                f"the run {folder} cannot go on: {path.name} in it is {kind}.\n"
                "  A run is written to files and folders of its own alone: put a copy in its place."
            )


def refuse_used(folder: Path | None) -> None:
    """Refuse a folder that holds anything, before any work is done for a run in it. Raises: RunError."""
    if folder is None or rank() > 0 or not os.path.exists(folder):
        return
    if not folder.is_dir():
        raise RunError(f"cannot start a run in {folder}: it is a file.\n  {OTHER_FOLDER}")
    remedy = "Choose another folder with --run_dir, or remove this one."
    if is_run(folder):
        summary = read_summary(folder)
        known = [str(summary[key]) for key in ("recipe", "status", "started") if key in summary]
        which = ", ".join(known) or "not filled in"
        raise RunError(f"cannot start a run in {folder}: it holds a run already.\n  That run: {which}.\n  {remedy}")
    if names := sorted(path.name for path in folder.iterdir()):
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise RunError(f"cannot start a run in {folder}: it is not empty.\n  It holds {some}.\n  {remedy}")


def has_begun(folder: Path | None) -> bool:
    """Whether a folder holds a run with a training state to go on from, or one that has finished.

    All processes of a run see the same, as none saves a state before all have joined.
    """
    if folder is None or not is_run(folder):
        return False
    return bool(snapshot.complete(folder / "resume")) or read_summary(folder).get("status") == "finished"


def set_aside(folder: Path | None) -> Path | None:
    """Move a run that was ended before it had saved anything to go on from; where to, or None if there is none.

    In processes above the first nothing is moved. Raises: RunError if a process is at work in the folder, or it cannot
    be moved.
    """
    if folder is None or rank() > 0 or not _is_left(folder):
        return None
    try:
        Lock(folder).release()  # raises where a process is at work
        number = 1
        while os.path.lexists(aside := folder.with_name(f"{folder.name}-aside-{number}")):
            number += 1
        os.replace(folder, aside)
    except OSError as error:
        raise files.unwritable(folder, error) from error
    return aside


def _is_left(folder: Path) -> bool:
    """Whether a folder holds a run, or what `create` makes before its summary."""
    if not folder.is_dir() or folder.is_symlink():
        return False
    names = {path.name for path in folder.iterdir()}
    return is_run(folder) or "checkpoints" in names <= {"checkpoints", NAME}


def slug(name: str) -> str:
    """A name as a folder's name: ASCII letters, digits, dots, dashes and underscores, at most 80."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_name).strip("-.")[:80].rstrip("-.") or "run"
