"""Runs in W&B's `.wandb` files, read without W&B: what offline runs, and local copies of online ones, have logged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

from rnnzoo.compare.wandb_format import Fields, Log, fields, inner, integer, text
from rnnzoo.compare.wandb_runs import Logged
from rnnzoo.errors import RunError
from rnnzoo.system import files

LIMIT = 2**29  # bytes of a file
NESTING = 20
HISTORY, SUMMARY, CONFIG, RUN, EXIT = 2, 3, 5, 17, 18  # fields of a record
KEY, NESTED_KEY, JSON = 1, 2, 16  # of an item of history, summary or config
UPDATE, REMOVE = 1, 2  # of a summary or config


def read_wandb_file(path: Path) -> Logged:
    """What is whole in a `.wandb` file; `notes` says where it ends before the run did.

    Raises: RunError for what cannot be read, is too large, or is no such file.
    """
    try:
        log = Log(files.read_bytes(path, LIMIT))
        logged = Logged(id=path.stem.removeprefix("run-"), path=path)
        for record in log.records():
            _take(logged, fields(record))
    except OSError as error:
        raise RunError(f"cannot read {path}: {files.reason(error)}.") from error
    except ValueError as error:
        raise RunError(f"cannot read {path}: {files.reason(error)}.") from error
    if log.damage:
        logged.notes.append(f"{log.damage}: what comes after is not seen")
    return logged


def wandb_files(path: Path) -> list[Path]:
    """The `.wandb` files that a path names: itself, or those of a run's folder of W&B's, or of a folder of these."""
    if path.is_file():
        return [path] if path.suffix == ".wandb" else []
    found = [*path.glob("*.wandb"), *path.glob("*run-*/*.wandb")]
    return sorted(file for file in found if file.is_file())


def join(parts: Iterable[Logged]) -> list[Logged]:
    """One entry a run: W&B begins a new file where an offline run is resumed. Of copies the longest counts."""
    files: dict[tuple[str, str], Logged] = {}
    for part in parts:
        key = (part.id, part.started)
        files[key] = max(part, files.get(key, part), key=lambda file: (file.exit_code is not None, len(file.history)))
    runs: dict[str, Logged] = {}
    for part in sorted(files.values(), key=lambda file: file.started):
        if (before := runs.setdefault(part.id, part)) is not part:
            before.config |= part.config
            before.summary |= part.summary
            before.history += part.history
            before.notes += part.notes
            before.exit_code = part.exit_code
    return [*runs.values()]


def _take(logged: Logged, record: Fields) -> None:
    """Add what a record tells."""
    for number, value in record:
        if not isinstance(value, bytes):
            continue
        if number == HISTORY:
            row: dict[str, object] = {}
            _update(row, fields(value))
            logged.history.append(row)
            logged.summary |= row
        elif number == SUMMARY:
            _update(logged.summary, fields(value))
        elif number == CONFIG:
            _update(logged.config, fields(value))
        elif number == EXIT:
            logged.exit_code = integer(fields(value), 1)
        elif number == RUN:
            run = fields(value)
            logged.id, logged.name = text(run, 1) or logged.id, text(run, 8) or logged.name
            logged.entity, logged.project = text(run, 2), text(run, 3)
            for config in inner(run, 4):
                _update(logged.config, fields(config))
            for start in inner(run, 17)[:1]:
                logged.started = _iso(integer(fields(start), 1)) or logged.started


def _update(values: dict[str, object], message: Fields) -> None:
    for names, value in _items(message, UPDATE):
        target = values
        for name in names[:-1]:
            section = target.get(name)
            target[name] = target = section if isinstance(section, dict) else {}
        target[names[-1]] = value
    for names, _ in _items(message, REMOVE):
        if len(names) == 1:
            values.pop(names[0], None)


def _items(message: Fields, number: int) -> Iterable[tuple[list[str], object]]:
    """Keys, of nested mappings several, and values. What is no JSON is None."""
    for item in inner(message, number):
        entry = fields(item)
        names = [name.decode("utf-8", "replace") for name in inner(entry, NESTED_KEY)] or [text(entry, KEY)]
        try:
            yield names[:NESTING], json.loads(text(entry, JSON) or "null")
        except (ValueError, RecursionError):
            yield names[:NESTING], None


def _iso(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
    except (OverflowError, ValueError, OSError):
        return ""
