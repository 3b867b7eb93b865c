"""What a run's folder holds, read within bounds and without torch: a stranger may have written it."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import TypedDict

from rnnzoo.errors import RecipeError, RunError
from rnnzoo.runs.checkpoint import POINTERS
from rnnzoo.runs.search import ROOT, find
from rnnzoo.runs.summary import scores
from rnnzoo.system import files
from rnnzoo.system.files import JsonObject
from rnnzoo.system.redaction import redact

AXES = ("step", "epoch", "time", "tokens_seen", "train_seconds", "cpu_seconds")  # of a line of metrics.jsonl: when


class Record(TypedDict):
    """What a run's folder holds."""

    path: str
    config: JsonObject | None  # the resolved recipe
    summary: JsonObject  # as it was read; `summary.well_formed` keeps what fits its types
    metrics: list[JsonObject]  # the last lines of metrics.jsonl
    checkpoints: dict[str, str]  # the folders' names, by pointer: "best", "last"


def read(run: str | Path, root: Path = ROOT, tail: int = 10) -> Record:
    """A run's folder, with the last `tail` lines of its metrics.

    run: a folder, or a run's `<recipe>/<id>` or `<id>` under `root`.
    A run that says it is running and whose process is gone is reported as interrupted.
    Raises: RunError naming the nearest runs if there is none.
    """
    folder = find(run, root)
    return {
        "path": str(folder),
        "config": read_config(folder),
        "summary": read_summary(folder),
        "metrics": last_records(folder / "metrics.jsonl", tail),
        "checkpoints": {name: target for name in POINTERS if (target := _pointed(folder / "checkpoints" / name))},
    }


def read_config(folder: Path) -> JsonObject | None:
    """The resolved recipe in today's format, without secrets; None if there is none. Raises: RunError."""
    from rnnzoo import recipe as recipes  # yaml is read for it alone
    from rnnzoo.recipe.dumped import parse_dumped

    path = folder / "config.yaml"
    try:
        recipe = redact(parse_dumped(files.read_text(path, recipes.MAX_BYTES), str(path)))
        if recipe is not None and not isinstance(recipe, dict):
            raise ValueError("it does not hold a mapping")
        return None if recipe is None else _today(recipe)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecipeError) as error:
        problem = files.reason(error).removeprefix(f"{path}:").strip()
        raise RunError(f"cannot read {path}: {problem}.") from error


def _today(recipe: JsonObject) -> JsonObject:
    """A kept recipe in today's format; what is no recipe stays as it is. Raises: RecipeError."""
    from rnnzoo.recipe.migrations import migrate

    return migrate(recipe) if isinstance(recipe, dict) else recipe


def read_summary(folder: Path) -> JsonObject:
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
    if "config" in summary:  # a shipped model's summary holds its recipe
        summary["config"] = _today(summary["config"])
    if summary.get("status") == "running" and summary.get("host") == socket.gethostname():
        pid = summary.get("pid")
        if isinstance(pid, int) and not _process_exists(pid):
            summary["status"] = "interrupted"
    return summary


def _process_exists(pid: int) -> bool:
    if os.name != "posix" or pid <= 0:
        return True
    try:
        os.kill(pid, 0)  # asks only; no signal is sent
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def last_records(path: Path, lines: int, limit: int = 2**18) -> list[JsonObject]:
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
