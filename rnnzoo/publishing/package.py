"""The files of a run that are sent: its best checkpoint and its facts, without what is this machine's or this user's.

    MANIFEST.json, meta.json, spec.json, weights.safetensors    the checkpoint, see rnnzoo.runs.checkpoint
    config.yaml, summary.json, metrics.jsonl                    the recipe, the facts, and how training went
    README.md                                                   the card

Not sent: the state of training, trackers' files, pictures, reports, and what the run kept of single examples.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.batch import DataSpec
from rnnzoo.experiment.restore import origin
from rnnzoo.recipe import Recipe
from rnnzoo.recipe.sections import TrackingOptions
from rnnzoo.runs import checkpoint
from rnnzoo.runs.record import read_summary
from rnnzoo.runs.summary import Summary, well_formed
from rnnzoo.system import files
from rnnzoo.system.plain import plain
from rnnzoo.system.redaction import redact

CARD = "README.md"
LOCAL = ("host", "pid", "wandb", "config")  # of a summary: this machine's, this user's, or in config.yaml
METRICS_BYTES = 64 * 2**20  # of metrics.jsonl, at most; a longer one is left out


class Package(NamedTuple):
    """A folder with the files, and what the card is made of."""

    folder: Path
    recipe: Recipe
    summary: Summary
    spec: DataSpec

    def sizes(self) -> dict[str, int]:
        """Bytes by file."""
        return {path.name: path.stat().st_size for path in sorted(self.folder.iterdir())}


def package(run: str | Path, folder: Path) -> Package:
    """Write what is sent of a run into a new folder. Raises: RunError."""
    found = runs.find(run)
    saved = checkpoint.load(checkpoint.locate(found))
    recipe, spec = origin(saved)
    recipe = public(recipe)
    meta = {key: value for key, value in saved.meta.items() if key != "started_in"}
    if isinstance(start := meta.get("init_from"), Mapping):
        meta["init_from"] = _named(start)
    checkpoint.save(folder, saved.weights, {**redact(meta), "recipe": recipe}, saved.spec)
    whole = read_summary(found)
    facts: dict[str, Any] = {key: value for key, value in redact(whole).items() if key not in LOCAL}
    if isinstance(start := facts.get("init_from"), Mapping):
        facts["init_from"] = _named(start)
    if isinstance(data := facts.get("data"), Mapping) and isinstance(data.get("id"), str):
        facts["data"] = {**data, "id": _file_name(data["id"])}
    files.write_text(folder / "config.yaml", recipes.dump(recipe))
    files.write_text(folder / "summary.json", json.dumps(plain(facts), indent=1, ensure_ascii=False) + "\n")
    _copy_metrics(found / "metrics.jsonl", folder / "metrics.jsonl")
    return Package(folder, recipe, well_formed(facts), spec)


def public(recipe: Recipe) -> Recipe:
    """A recipe without secrets, without whose account tracked it, and with files of this machine by their names."""
    tracking = asdict(TrackingOptions(mode="disabled", project="rnnzoo"))
    cleaned = _without_folders(redact(recipe | {"tracking": tracking}))
    assert isinstance(cleaned, dict)
    return cleaned


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    return _file_name(value) if isinstance(value, str) else value


def _file_name(text: str) -> str:
    """A path of this machine, or of the user's own folder, as the file's name; any other text as it is."""
    for kind in (PurePosixPath, PureWindowsPath):
        if kind(text).is_absolute() or text.startswith("~"):
            return kind(text).name
    return text


def _named(start: Mapping[str, Any]) -> dict[str, Any]:
    """The model that a run started from, without where it was on this machine."""
    facts = {key: value for key, value in start.items() if key != "path"}
    return facts | ({"source": _file_name(start["source"])} if isinstance(start.get("source"), str) else {})


def _copy_metrics(source: Path, target: Path) -> None:
    if os.path.isfile(source) and source.stat().st_size <= METRICS_BYTES:
        files.write_text(target, files.read_text(source, METRICS_BYTES))
