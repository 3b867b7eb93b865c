"""A sweep's own file: what it is, and the runs that were planned, written before they start.

sweep.json
    {"format": 1, "name": "toy_tags", "method": "grid", "keys": {...}, "runs": [
        {"name": "lstm-seed1-0a1b2c3d", "settings": {"model.architecture.cell": "lstm"}, "seed": 1, "digest": "...",
         "purpose": "search"}, ...]}

purpose: "search", or "confirm" for those that run the best combination again. How a run ended is in its own folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypedDict

from rnnzoo.errors import RunError
from rnnzoo.sweep.plan import Run
from rnnzoo.system import files
from rnnzoo.system.files import JsonObject
from rnnzoo.system.lock import Lock

NAME, FORMAT = "sweep.json", 1
JOBS = "jobs"
Purpose = Literal["search", "confirm"]
OTHER_FOLDER = "Choose another folder with --sweep_dir."


class Entry(TypedDict):
    """A planned run."""

    name: str
    settings: JsonObject
    seed: int
    digest: str
    purpose: str


class Journal:
    """The file of a sweep, and the sole use of its folder until `close`. facts: what else the file says of it.

    Raises: RunError if another process has the folder, or it holds something else, or cannot be written.
    """

    def __init__(self, folder: Path, facts: JsonObject) -> None:
        self.folder, self.facts = folder, facts
        _refuse_other(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(folder)
        except RunError as error:
            raise RunError(str(error).replace("--run_dir", "--sweep_dir")) from None
        except OSError as error:
            raise RunError(f"cannot make the sweep's folder {folder}: {error.strerror}.\n  {OTHER_FOLDER}") from error
        try:
            self.entries = read(folder)
        except RunError:
            self.close()
            raise

    def close(self) -> None:
        """Let other processes have the folder."""
        self._lock.release()

    def of(self, purpose: Purpose) -> list[Entry]:
        return [entry for entry in self.entries if entry["purpose"] == purpose]

    def plan(self, runs: Iterable[Run]) -> None:
        """Write the runs of the search. Raises: RunError where others were run in the folder."""
        runs = list(runs)
        names = {run.name for run in runs}
        if other := next((entry for entry in self.of("search") if entry["name"] not in names), None):
            raise RunError(
                f"{self.folder} holds another sweep: it has the run {other['name']:.100}, which is none of this one.\n"
                "  A sweep goes on where its recipe is the same; more values, draws and seeds may be added.\n"
                f"  {OTHER_FOLDER}"
            )
        self.add(runs, "search")

    def add(self, runs: Iterable[Run], purpose: Purpose) -> None:
        """Write that runs are to be done, those left out that it knows. Raises: Unwritable."""
        known = {entry["name"] for entry in self.entries}
        for run in runs:
            if run.name not in known:
                self.entries.append(
                    {
                        "name": run.name,
                        "settings": run.settings,
                        "seed": run.seed,
                        "digest": run.digest,
                        "purpose": purpose,
                    }
                )
        value = {"format": FORMAT, **self.facts, "runs": self.entries}
        files.write_text(self.folder / NAME, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read(folder: Path) -> list[Entry]:
    """The runs that were planned; none where no sweep was begun. Raises: RunError."""
    path = folder / NAME
    try:
        value = files.read_json(path)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {files.reason(error)}.\n  {OTHER_FOLDER}") from error
    entries = value.get("runs") if isinstance(value, dict) else None
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise RunError(f"cannot read {path}: it is no list of a sweep's runs.\n  {OTHER_FOLDER}")
    if value.get("format") != FORMAT:
        raise RunError(f"cannot read {path}: its format is not {FORMAT}.\n  Update rnnzoo, or: {OTHER_FOLDER}")
    return entries


def _is_entry(entry: object) -> bool:
    types = {"name": str, "settings": dict, "seed": int, "digest": str, "purpose": str}
    return isinstance(entry, dict) and all(isinstance(entry.get(key), kind) for key, kind in types.items())


def _refuse_other(folder: Path) -> None:
    """Refuse a folder that holds anything but a sweep. Raises: RunError."""
    if not folder.exists() or (folder / NAME).exists():
        return
    if not folder.is_dir():
        raise RunError(f"cannot run a sweep in {folder}: it is a file.\n  {OTHER_FOLDER}")
    names = sorted(path.name for path in folder.iterdir() if path.name not in (".lock", JOBS))
    if names:
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise RunError(f"cannot run a sweep in {folder}: it holds {some} and no {NAME}.\n  {OTHER_FOLDER}")
