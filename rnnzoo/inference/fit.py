"""Training from Python: a recipe and rows in memory in, the trained model out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.data.readers.frames import Rows
from rnnzoo.data.sources.in_memory import held
from rnnzoo.errors import RecipeError, RunError, ZooError
from rnnzoo.experiment import fit as training
from rnnzoo.experiment.resolver import resolve
from rnnzoo.inference.own_data import PYTHON, changed, plain, section, with_data
from rnnzoo.inference.predictor import Predictor, load
from rnnzoo.recipe import Raw
from rnnzoo.recipe.merging import merged

RecipeLike = str | Path | Mapping[str, Any]


def fit(
    recipe: RecipeLike | None = None,
    *overrides: str,
    data: Any = None,
    columns: Mapping[str, str] | None = None,
    run_dir: str | Path | None = None,
    **sections: Any,
) -> Predictor:
    """Train a recipe and return the model, as `rnnzoo.load` does: its `run` is the folder, its `summary` the facts.

    recipe: a path, a shipped name, or a mapping of sections. overrides: as on the command line,
    "--model.head.dropout=0.3". sections: the same as keywords, `seed=2, trainer={"max_epochs": 3}`.
    data: rows, where they are not those of the recipe: a frame of pandas or polars, a `datasets.Dataset` or
    `DatasetDict`, a mapping of lists, a list of (text, label) pairs, a tuple of columns such as (series, numbers), or
    a path; or a mapping of such by "train", "dev" and "test". Without dev, a part of the training rows is held out.
    columns: what the data call a column of the form: `{"text": "review", "label": "stars"}`. Without a task, the
    columns say which it is.
    run_dir: a new folder for the run; runs/RECIPE/ID if not given.

    Raises: RecipeError, DataError, RunError; KeyboardInterrupt, which leaves in the folder what was saved so far.
    """
    from lightning.pytorch.utilities.seed import isolate_rng

    run = None if run_dir is None else Path(run_dir)
    with isolate_rng():
        _, folder = train(recipe, overrides, data, columns, run, sections)
        return load(folder)


def train(
    recipe: RecipeLike | None,
    overrides: Sequence[str] = (),
    data: Any = None,
    columns: Mapping[str, str] | None = None,
    run_dir: Path | None = None,
    sections: Mapping[str, Any] | None = None,
    show: bool = True,
) -> tuple[dict[str, Any], Path]:
    """See `fit`. show: whether anything is printed and drawn. Returns the run's summary and its folder."""
    with registry.scanned_once():
        return _train(recipe, overrides, data, columns, run_dir, sections or {}, show)


def _train(
    recipe: RecipeLike | None,
    overrides: Sequence[str],
    data: Any,
    columns: Mapping[str, str] | None,
    run_dir: Path | None,
    sections: Mapping[str, Any],
    show: bool,
) -> tuple[dict[str, Any], Path]:
    raw = read(recipe)
    parts: dict[str, Rows] = {}
    if data is not None:
        raw, parts = with_data(changed(raw, (), _without_data(sections)), data, dict(columns or {}))
    raw = changed(raw, overrides, sections)
    if raw.name == PYTHON and (task := section(raw, "task").get("name")):
        raw = replace(raw, name=str(task))
    with held(parts):
        resolved = resolve(raw)
        try:
            summary, run = training.fit(resolved, run_dir, show=show)
        except (ZooError, KeyboardInterrupt):
            raise
        except Exception as error:  # of a plugin, or of torch
            raise RunError(f"{resolved['name']}: training failed: {type(error).__name__}: {error}") from error
    return dict(summary), run.path


def read(recipe: RecipeLike | None) -> Raw:
    """A recipe as it was given in Python. Raises: RecipeError."""
    if isinstance(recipe, (str, os.PathLike)):
        return recipes.read(recipe if isinstance(recipe, str) else Path(recipe))
    if recipe is not None and not isinstance(recipe, Mapping):
        what = type(recipe).__name__
        raise RecipeError(f"{PYTHON}: a recipe is a path, a shipped name or a mapping of sections, got {what}.")
    sections = dict(recipe or {})
    base = sections.pop("base", None)
    own = recipes.of(plain(sections), PYTHON)
    if base is None:
        return own
    if not isinstance(base, (str, os.PathLike)):
        raise RecipeError(f"{PYTHON}: base: must be a recipe's path or name, got {base!r:.80}.")
    below = recipes.read(base if isinstance(base, str) else Path(base))
    return Raw(below.name, below.file, merged(below.root, own.root, top=True))


def _without_data(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The sections that are about the task, which decides what is read of the data."""
    return {key: value for key, value in sections.items() if key == "task" or key.startswith("task.")}
