"""The facts of the runs that count, a file each: recipes/manifests/<recipe>-seed<N>.json. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.errors import RunError
from rnnzoo.recipe import Recipe, migrations
from rnnzoo.runs.summary import RunFacts, is_number, mistake
from rnnzoo.system import files
from rnnzoo.system.files import JsonObject
from rnnzoo.system.shipped import recipe_folder

KEPT = tuple(RunFacts.__annotations__)  # of a run's summary
NEEDED = tuple(key for key in KEPT if key not in ("tokens", "peak_gpu_memory_bytes"))  # which not every run has
CHECKED = (  # what tables are made of
    "recipe",
    "seed",
    "config",
    "metrics",
    "data.sizes",
    "best.monitor",
    "best.mode",
    "parameters",
    "epochs",
    "train_seconds",
    "cpu_seconds",
    "peak_memory_bytes",
    "threads",
    "hardware.cpu",
    "hardware.gpu",
    "commit",
)


class Manifest(RunFacts, total=False):
    """The facts of one run: of its recipe, its seed, its scores, its cost, the code and the machine."""

    recipe: str  # the shipped recipe's name
    digest: str  # of that recipe, see `digest`
    config: Recipe  # as it was resolved, without its name and tracking
    migrated: JsonObject  # the format in which it was kept first, and the digest of its recipe in that format
    half: dict[str, float]  # of a shipped model: its scores on dev in half precision


def folder() -> Path:
    """Where manifests are kept."""
    return recipe_folder() / "manifests"


def digest(recipe: str) -> str:
    """The SHA-256 of a shipped recipe's file, merged with its bases: the same for every seed."""
    settings = recipes.read(recipe).data
    return recipes.digest({key: value for key, value in settings.items() if key != "seed"})


def file_name(facts: Manifest) -> str:
    """The name of the file that a run's facts are kept in."""
    return f"{runs.slug(facts['recipe'])}-seed{facts['seed']}.json"


def keep(facts: Manifest) -> Path:
    """Write a manifest beside the recipes; one of the same recipe and seed is replaced. Raises: RunError."""
    path = folder() / file_name(facts)
    path.parent.mkdir(exist_ok=True)
    files.write_text(path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return path


def kept() -> list[Manifest]:
    """The manifests that are kept. Raises: RunError."""
    return [read(path) for path in sorted(folder().glob("*.json"))]


def read(path: Path) -> Manifest:
    """A manifest of a file. Raises: RunError."""
    try:
        facts = files.json_value(files.read_text(path), nan=True)
        if not (isinstance(facts, dict) and {"recipe", "digest", "config", *NEEDED} <= facts.keys()):
            raise ValueError("it does not hold a run's facts")
        if isinstance(facts["metrics"], dict):
            facts["metrics"] = runs.scores(facts["metrics"])
        if problem := flaw(cast(Manifest, facts)):
            raise ValueError(problem)
        return _today(facts)
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read the manifest {path}: {files.reason(error)}.") from error


def _today(facts: JsonObject) -> Manifest:
    """A manifest with its recipe in today's format, and how it was kept where that is another."""
    version = facts["config"].get("format", 1)
    if version != migrations.FORMAT:
        facts.setdefault("migrated", {"format": version, "digest": facts["digest"]})
        facts["config"] = migrations.migrate(facts["config"])
    return cast(Manifest, facts)


def metric(facts: Manifest) -> str:
    """The metric that chose a run's checkpoint: "accuracy"."""
    return facts["best"]["monitor"].removeprefix("val/")


def scored(facts: Manifest) -> str:
    """The key of the score that counts: of the test split or, where there is none, of dev."""
    return f"{'test' if 'test' in facts['data']['sizes'] else 'best'}/{metric(facts)}"


def chosen(facts: Manifest) -> str:
    """The key of the score on dev that chose the checkpoint."""
    return f"best/{metric(facts)}"


def flaw(facts: Manifest) -> str | None:
    """The first fact that is not as it should be, by its key; None if all are."""
    for key in CHECKED:
        if problem := mistake(facts, key, Manifest):
            return problem
    for name in (scored(facts), chosen(facts)):
        value = facts["metrics"].get(name)
        if value is None:
            return f"it has no {name}"
        if not is_number(value):
            return f"its metrics.{name} is {value!r:.80}, not a finite number"
    return None
