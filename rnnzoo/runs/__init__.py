"""The folder of one training run: made once, written by one process, read without torch.

runs/<recipe>/<id>/
    config.yaml       the resolved recipe
    metrics.jsonl     one line per logging call
    pictures/         SVG, where a callback draws some
    summary.json      status, scores, speed, memory; written at the start, replaced at the end
    checkpoints/      see rnnzoo.runs.checkpoint
"""

from __future__ import annotations

import contextlib
import datetime
import glob
import json
import math
import os
import re
import secrets
import socket
import sys
import time
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnzoo.errors import RecipeError, RunError, nearest
from rnnzoo.runs import shipped as pretrained
from rnnzoo.runs.checkpoint import POINTERS
from rnnzoo.system import files
from rnnzoo.system.launcher import rank
from rnnzoo.system.redaction import redact

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

ROOT = Path("runs")
SHARED = "RNNZOO_RUN_DIR"  # how the first process of a run tells the others where it is
STATUSES = ("running", "finished", "failed", "interrupted")


@dataclass
class Run:
    """One run's folder. `writer` is False in all processes but the first; they write nothing."""

    path: Path
    recipe: str
    seed: int
    writer: bool = True
    started: float = field(default_factory=time.time)  # seconds since 1970
    _summary: dict[str, Any] = field(default_factory=dict)

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
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def write_config(self, text: str) -> None:
        """Write the resolved recipe, secrets taken out before (`redact`)."""
        if self.writer:
            files.write_text(self.config, text)

    def write_summary(self, values: dict[str, Any]) -> None:
        """Add to the summary and replace its file; time and memory so far are filled in. NaN is written as null."""
        if values.get("status", "running") not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {values['status']!r}")
        self._summary |= values
        if not self.writer:
            return
        now = time.time()
        summary = {
            "id": self.id,
            "recipe": self.recipe,
            "seed": self.seed,
            "status": "running",
            "started": datetime.datetime.fromtimestamp(self.started).astimezone().isoformat(timespec="seconds"),
            "seconds": round(now - self.started, 3),
            "peak_memory_bytes": peak_memory(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
        } | self._summary
        files.write_text(self.summary, json.dumps(plain(redact(summary)), indent=2, allow_nan=False) + "\n")


def create(recipe_name: str, run_dir: Path | None = None, seed: int = 1, root: Path = ROOT) -> Run:
    """Make the folder of a new run: `root/<recipe>/<date-time-xxxxxxxx>`, or `run_dir`.

    In the other processes of the same run (ranks above 0) nothing is made: they get the first one's folder.
    Raises: RunError if the folder holds anything, or cannot be made.
    """
    if rank() > 0:
        shared = os.environ.get(SHARED) or run_dir
        if not shared:
            raise RunError(
                f"process {rank()} does not know the folder of its run.\n"
                "  Where another program starts the processes (torchrun, srun), give all of them the same --run_dir."
            )
        return Run(Path(shared), recipe_name, seed, writer=False)
    if run_dir is None:
        stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        run_dir = root / slug(recipe_name) / f"{stamp}-{secrets.token_hex(4)}"
    run = Run(run_dir.absolute(), recipe_name, seed)
    try:
        refuse_used(run_dir)
        run.checkpoints.mkdir(parents=True)
        run.summary.open("x").close()  # whoever makes this file has the folder
    except FileExistsError:
        raise RunError(f"cannot start a run in {run_dir}: another one just has.\n  {OTHER_PLACE}") from None
    except OSError as error:
        raise RunError(f"cannot make the run's folder {run_dir}: {error.strerror}.\n  {OTHER_PLACE}") from error
    os.environ[SHARED] = str(run.path)
    run.write_summary({"status": "running"})
    return run


OTHER_PLACE = "Choose another folder with --run_dir."


def refuse_used(folder: Path | None) -> None:
    """Refuse a folder that a new run cannot have, before any work is done for it. Raises: RunError."""
    if folder is None or rank() > 0 or not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"cannot start a run in {folder}: it is a file.\n  {OTHER_PLACE}")
    remedy = "Choose another folder with --run_dir, or remove this one."
    if _is_run(folder):
        held = _summary(folder)
        told = ", ".join(str(held[key]) for key in ("recipe", "status", "started") if key in held) or "not filled in"
        raise RunError(f"cannot start a run in {folder}: it holds a run already.\n  That run: {told}.\n  {remedy}")
    if names := sorted(path.name for path in folder.iterdir()):
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise RunError(f"cannot start a run in {folder}: it is not empty.\n  It holds {some}.\n  {remedy}")


def slug(name: str) -> str:
    """A name as a folder's name: ASCII letters, digits, dots, dashes and underscores, at most 80."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_name).strip("-.")[:80].rstrip("-.") or "run"


def peak_memory() -> int | None:
    """The most memory that this process, or the largest finished one that it started, has held, in bytes.

    Counted is resident memory. None where the system does not tell.
    """
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(OSError):  # Linux counts the parent's memory in ru_maxrss too, up to exec; not so in VmHWM
        lines = Path("/proc/self/status").read_text().splitlines()
        own = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), own)
    return unit * max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


# -- reading --------------------------------------------------------------------------------------------------------


def read(run: str | Path, root: Path = ROOT, tail: int = 10) -> dict[str, Any]:
    """What a run's folder tells: path, config, summary, the last `tail` lines of its metrics, and its checkpoints.

    run: a folder, or a run's `<recipe>/<id>` or `<id>` under `root`.
    A run that says it is running and whose process is gone is reported as interrupted.
    Raises: RunError naming the nearest runs if there is none.
    """
    folder = find(run, root)
    return {
        "path": str(folder),
        "config": _config(folder),
        "summary": _summary(folder),
        "metrics": _tail(folder / "metrics.jsonl", tail),
        "checkpoints": {name: target for name in POINTERS if (target := _pointed(folder / "checkpoints" / name))},
    }


def find(run: str | Path, root: Path = ROOT) -> Path:
    """The folder of the run, or of the shipped model, that `run` names, see `read`. Raises: RunError."""
    path = Path(run)
    for candidate in (path, root / path, *(root.glob(f"*/{glob.escape(path.name)}") if path.name == str(run) else ())):
        if _is_run(candidate):
            return candidate
    if shipped := pretrained.find(run):
        return shipped
    siblings = {str(p): p for folder in (path, path.parent, root, root / path) for p in _runs_under(folder)}
    trained = pretrained.names()
    match = nearest(str(run), [*siblings, *trained]) or nearest(path.name, [p.name for p in siblings.values()])
    newest = sorted(siblings, key=lambda name: siblings[name].name)[-4:]
    why = "there is no such folder" if not path.exists() else "it holds no summary.json or config.yaml"
    raise RunError(
        f"no run at {run}: {why}.\n"
        + (f"  Did you mean '{match}'?\n" if match else "")
        + (f"  Runs near it: {', '.join(newest)}." if newest else f"  No run is near it, nor in {root}/.")
        + (f"\n  Trained models that are here: {', '.join(trained)}." if trained else "")
    )


def _is_run(folder: Path) -> bool:
    return (folder / "summary.json").is_file() or (folder / "config.yaml").is_file()


def _runs_under(folder: Path) -> list[Path]:
    """The runs in a folder or in its folders."""
    with contextlib.suppress(OSError):
        return [path.parent for pattern in ("*", "*/*") for path in folder.glob(f"{pattern}/summary.json")]
    return []


def _config(folder: Path) -> Any:
    from rnnzoo import recipe

    path = folder / "config.yaml"
    try:
        return redact(recipe.parse(files.read_text(path, recipe.MAX_BYTES), str(path)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecipeError) as error:
        problem = files.reason(error).removeprefix(f"{path}:").strip()
        raise RunError(f"cannot read {path}: {problem}.") from error


def _summary(folder: Path) -> dict[str, Any]:
    """The summary; empty if there is none, or if it was never filled."""
    try:
        summary = files.json_value(files.read_text(folder / "summary.json") or "{}", nan=True)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {folder / 'summary.json'}: {files.reason(error)}.") from error
    if not isinstance(summary, dict):
        raise RunError(f"cannot read {folder / 'summary.json'}: it does not hold a mapping.")
    if isinstance(summary.get("metrics"), dict):
        summary["metrics"] = scores(summary["metrics"])
    if summary.get("status") == "running" and summary.get("host") == socket.gethostname():
        pid = summary.get("pid")
        if isinstance(pid, int) and not _alive(pid):
            summary["status"] = "interrupted"
    return summary


def _alive(pid: int) -> bool:
    if os.name != "posix" or pid <= 0:
        return True
    try:
        os.kill(pid, 0)  # asks only; no signal is sent
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _tail(path: Path, lines: int, limit: int = 2**18) -> list[dict[str, Any]]:
    """The last records of a JSON-lines file, from its last `limit` bytes; a line cut short by a crash is left out."""
    try:
        with files.opened(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            text = file.read(limit).decode("utf-8", "replace")
    except OSError:
        return []
    records = []
    for line in text.split("\n")[-lines - 2 :]:
        with contextlib.suppress(ValueError):
            records.append(files.json_value(line))
    return [record for record in records if isinstance(record, dict)][-lines:]


def _pointed(pointer: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError):
        return files.read_text(pointer, 4096).strip()[:200]
    return None


def scores(metrics: dict[str, Any]) -> dict[str, Any]:
    """The scores of the checkpoint kept, by their names: `best/*` on dev, `test/*` on test. Older runs say `val/*`."""
    return {f"best/{name[4:]}" if name.startswith("val/") else name: value for name, value in metrics.items()}


# -- plain values ------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """The value in strict JSON: numbers of any library become Python's, NaN and infinity null, the rest text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if callable(getattr(value, "tolist", None)):  # numpy's and torch's numbers and arrays
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
