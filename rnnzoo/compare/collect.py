"""Runs' folders, read for a comparison: of each only what is asked for, within bounds and without torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.compare.curves import Curves, read_curves
from rnnzoo.errors import RecipeError, RunError
from rnnzoo.runs.record import read_config, read_summary
from rnnzoo.runs.summary import Summary, is_number, well_formed
from rnnzoo.system import files
from rnnzoo.system.console import inline
from rnnzoo.system.files import JsonObject

DEPTH = 6  # folders in each other in which runs are looked for
MOST = 10_000  # folders that are looked through
LOOSE = ("trainer.enable_progress_bar", "trainer.log_every_n_steps")  # settings that change no result


class LeftOut(NamedTuple):
    """A run that is not compared, and why, as part of a sentence."""

    path: Path
    why: str


@dataclass
class ComparedRun:
    """A finished run. Its curves and predictions are read when they are asked for.

    name: its folder's, with as many of the folders above as tell it apart. recipe: the name of its recipe.
    digest: of its recipe without the seed. settings: its recipe by dotted keys, as "model.architecture.hidden_size".
    scores: "test/accuracy", "best/accuracy" (on dev), ... of the checkpoint kept; None for NaN and infinity.
    facts: what its summary holds and has the type that it should.
    """

    path: Path
    name: str
    recipe: str
    seed: int | None
    digest: str
    settings: Mapping[str, object]
    scores: Mapping[str, float | None]
    facts: Summary

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def predictions(self) -> Path | None:
        """The file of per-example test results, where there is one."""
        path = self.path / "predictions.parquet"
        return path if path.is_file() else None

    @property
    def wandb_id(self) -> str:
        """W&B's id of the run; "" where it has none."""
        return self.facts.get("wandb", {}).get("id", "")

    @cached_property
    def curves(self) -> Curves:
        """All of its metrics.jsonl."""
        return self.read_curves()

    def read_curves(self, part: str = "") -> Curves:
        """Its metrics.jsonl, or the lines of a part, as "val". Raises: RunError."""
        return read_curves(self.path / "metrics.jsonl", part)


def collect(paths: Sequence[str | Path], root: Path = runs.ROOT) -> tuple[list[ComparedRun], list[LeftOut]]:
    """The finished runs that paths name, in the order of the paths, and what is left out.

    paths: runs, as `runs.find` takes them, or folders with runs in them. A run that is named twice is read once.
    Raises: RunError for a path at which there is nothing.
    """
    found: list[ComparedRun] = []
    left_out: list[LeftOut] = []
    for folder in _folders(paths, root, left_out):
        try:
            run = read_run(folder)
        except (RunError, RecipeError) as error:
            left_out.append(LeftOut(folder, str(error).splitlines()[0].rstrip(".")))
            continue
        if isinstance(run, str):
            left_out.append(LeftOut(folder, run))
        else:
            found.append(run)
    for run, name in zip(found, short_names([run.path for run in found]), strict=True):
        run.name = name
    return found, left_out


def read_run(folder: Path) -> ComparedRun | str:
    """A run, or why it cannot be compared. Raises: RunError, RecipeError for files that cannot be read."""
    raw = read_summary(folder)
    facts = well_formed(raw)
    if not raw:
        return "it has no summary"
    status = facts.get("status")
    if status != "finished":
        ended = f" ({inline(facts['ended_by'], 200)})" if facts.get("ended_by") else ""
        why = {"failed": "it failed", "running": "it is still running", "interrupted": "it was interrupted"}
        return why.get(status or "", "its summary has no status") + ended
    config = read_config(folder) or _mapping(raw.get("config"))
    if config is None:
        return "it has no config.yaml"
    scores = _scores(raw.get("metrics"))
    if not scores:
        return "its summary has no scores"
    settings = flat(config)
    seed = facts.get("seed", settings.get("seed"))
    return ComparedRun(
        path=folder,
        name=folder.name,
        recipe=str(config.get("name") or facts.get("recipe") or folder.parent.name),
        seed=seed if type(seed) is int else None,
        digest=seedless_digest(config),
        settings=settings,
        scores=scores,
        facts=facts,
    )


def seedless_digest(config: JsonObject) -> str:
    """The digest of what a recipe computes, the same for all of its seeds. Raises: RunError."""
    kept = {key: value for key, value in config.items() if key != "seed"}
    if isinstance(trainer := kept.get("trainer"), dict):
        kept["trainer"] = {key: value for key, value in trainer.items() if f"trainer.{key}" not in LOOSE}
    try:
        return recipes.digest(kept)
    except (TypeError, ValueError) as error:
        raise RunError(f"its config.yaml holds what no recipe has: {files.reason(error)}") from error


def flat(settings: Mapping[str, object], key: str = "") -> dict[str, object]:
    """Nested settings as one level, by dotted keys; an empty mapping has none."""
    leaves: dict[str, object] = {}
    for name, value in settings.items():
        path = f"{key}.{name}" if key else str(name)
        leaves.update(flat(value, path) if isinstance(value, Mapping) else {path: value})
    return leaves


def short_names(paths: Sequence[Path]) -> list[str]:
    """Each folder's name, with as many of the folders above it as tell it apart from the others."""
    absolute = [Path(os.path.abspath(path)).parts for path in paths]
    names = [""] * len(paths)
    open_ones, depth = list(range(len(paths))), 1
    while open_ones:
        for index in open_ones:
            names[index] = "/".join(absolute[index][-depth:])
        counts: dict[str, int] = {}
        for name in names:
            counts[name] = counts.get(name, 0) + 1
        open_ones = [i for i in open_ones if counts[names[i]] > 1 and depth < len(absolute[i])]
        depth += 1
    return names


def _folders(paths: Sequence[str | Path], root: Path, left_out: list[LeftOut]) -> Iterator[Path]:
    """The folders of the runs that paths name, each once."""
    seen: set[str] = set()
    for path in map(Path, paths):
        if not runs.is_run(path) and os.path.isdir(path):
            inside = list(_runs_below(path))
            if not inside:
                left_out.append(LeftOut(path, "no run is in it"))
        elif os.path.isfile(path):
            inside = []
            left_out.append(LeftOut(path, "it is a file, not a run's folder"))
        else:
            inside = [runs.find(path, root)]
        for folder in inside:
            if (real := os.path.realpath(folder)) not in seen:
                seen.add(real)
                yield folder


def _runs_below(folder: Path) -> Iterator[Path]:
    """The runs in a folder and in the folders in it, by their names; links are not followed, and runs not searched.

    Raises: RunError where there are more folders than anyone keeps runs in.
    """
    waiting, looked_at = [(folder, 1)], 0
    while waiting:
        place, depth = waiting.pop()
        try:
            inside = sorted((e.name for e in os.scandir(place) if e.is_dir(follow_symlinks=False)), reverse=True)
        except OSError:
            continue
        looked_at += len(inside)
        if looked_at > MOST:
            raise RunError(f"{folder} has more than {MOST:,} folders in it.\n  Name one that runs are kept in.")
        found = [place / name for name in inside if runs.is_run(place / name)]
        yield from reversed(found)
        if depth < DEPTH:
            waiting += [(place / name, depth + 1) for name in inside if place / name not in found]


def _scores(metrics: object) -> dict[str, float | None]:
    """The scores of a summary; what is neither a number nor null is left out."""
    if not isinstance(metrics, dict):
        return {}
    kinds = {name: value for name, value in metrics.items() if value is None or type(value) in (int, float)}
    return {name: float(value) if is_number(value) else None for name, value in kinds.items()}


def _mapping(value: object) -> JsonObject | None:
    return value if isinstance(value, dict) else None
