"""Cross-validation: a recipe once for each fold of its data, a run each, and what the runs came to together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rnnzoo.errors import RunError
from rnnzoo.recipe import COMMAND_LINE, Raw, Where, as_node
from rnnzoo.recipe.merging import merged
from rnnzoo.sweep import scores
from rnnzoo.sweep.journal import Journal
from rnnzoo.sweep.options import SWEEP, read
from rnnzoo.sweep.plan import Planner, Run, planned
from rnnzoo.sweep.runner import Runner
from rnnzoo.sweep.scores import Mean
from rnnzoo.system import console

KEY = "data.fold"


class Fold(NamedTuple):
    """A fold's run. number: from 1. dev: its dev score. test: its test scores, by name."""

    number: int
    folder: Path
    dev: float | None
    test: dict[str, float | None]


class Folds(NamedTuple):
    """What the runs came to. metric: of the dev scores. means: by metric, of dev and test. failed: runs and reasons."""

    metric: str
    folds: list[Fold]
    means: dict[str, Mean]
    failed: list[tuple[Run, str]]


def run(raw: Raw, folds: int, folder: Path) -> Folds:
    """Train what is left of the folds of a recipe, one after the other, in a folder of their own.

    Raises: RecipeError, DataError before anything starts; RunError where runs fail; Stopped at a signal.
    """
    sweep = read(_swept(raw, folds))
    runs = planned(Planner(sweep).configurations(), sweep.seeds[:1])
    try:
        journal = Journal(folder, {"name": sweep.recipe["name"], "method": "folds", "keys": {KEY: folds}})
        try:
            runner = Runner(sweep, journal, 1)
            journal.plan(runs)
            runner.do(runs, f"{console.short(folder)}, cross-validation")
        finally:
            journal.close()
    except RunError as error:
        raise RunError(str(error).replace("--sweep_dir", "--run_dir")) from error
    return _outcome(runner, runs)


def _swept(raw: Raw, folds: int) -> Raw:
    """The recipe with a sweep over its folds, in place of its own."""
    where = Where(COMMAND_LINE)
    sections = {key: node for key, node in raw.root.value.items() if key != SWEEP}
    keys = {KEY: list(range(1, folds + 1))}
    added = as_node({"data": {"folds": folds, "fold": 1}, SWEEP: {"keys": keys, "confirm": {"seeds": 0}}}, where)
    return replace(raw, root=merged(raw.root._replace(value=sections), added, top=True))


def _outcome(runner: Runner, runs: list[Run]) -> Folds:
    metric, _ = runner.chosen_by(runs)
    found = []
    for one in runs:
        if (summary := runner.summary(one)) is not None:
            tested = {name: value for name, value in summary.get("metrics", {}).items() if name.startswith("test/")}
            found.append(Fold(one.settings[KEY], runner.folder(one), runner.score(one), tested))
    means = {metric: scores.mean([fold.dev for fold in found])}
    for name in sorted({name for fold in found for name in fold.test}):
        means[name] = scores.mean([fold.test.get(name) for fold in found])
    kept = {name: mean for name, mean in means.items() if mean is not None}
    return Folds(metric, found, kept, [*runner.failed.values()])
