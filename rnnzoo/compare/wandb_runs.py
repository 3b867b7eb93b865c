"""A run as W&B has it, in the shape in which runs are compared; config and summary as `rnnzoo fit` logs them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rnnzoo.compare.collect import ComparedRun, flat, seedless_digest
from rnnzoo.compare.curves import COUNTED_FROM_0, Curves
from rnnzoo.runs.summary import well_formed

STEP = "trainer/global_step"  # what Lightning calls the step
OWN = ("_wandb", "facts")  # keys of a config that are no settings
NOT_FINITE = ("NaN", "Infinity", "-Infinity")  # as W&B writes them
ENDED = "it has not ended, or was killed"


@dataclass
class Logged:
    """What was logged of a run. exit_code: None for one that has not ended. notes: what of it could not be read."""

    id: str
    path: Path
    name: str = ""
    entity: str = ""
    project: str = ""
    started: str = ""  # ISO 8601
    config: dict[str, object] = field(default_factory=dict)
    summary: dict[str, object] = field(default_factory=dict)
    history: list[dict[str, object]] = field(default_factory=list)
    exit_code: int | None = None
    notes: list[str] = field(default_factory=list)
    read_history: Callable[[], list[dict[str, object]]] | None = None  # where it is read only when asked for


@dataclass
class WandbRun(ComparedRun):
    """A run of W&B's. It has no per-example predictions."""

    logged: Logged | None = None

    @property
    def id(self) -> str:
        return self.logged.id if self.logged else self.name

    @property
    def wandb_id(self) -> str:
        return self.id

    @property
    def predictions(self) -> Path | None:
        return None

    def read_curves(self, part: str = "") -> Curves:
        """Lines of W&B's history that have a metric of a part, as "val"; steps and epochs counted from 1."""
        return Curves([line for line in self._lines if not part or any(key.startswith(f"{part}/") for key in line)])

    @cached_property
    def _lines(self) -> list[dict[str, object]]:
        if self.logged is None:
            return []
        history = self.logged.read_history() if self.logged.read_history else self.logged.history
        return [_line(row) for row in history]


def compared(logged: Logged) -> WandbRun | str:
    """A run for a comparison, or why it cannot be compared. Raises: RunError for a config that no recipe has."""
    damage = "".join(f"; {note}" for note in logged.notes)
    if logged.exit_code is None:
        return ENDED + damage
    if logged.exit_code:
        return f"it failed (exit code {logged.exit_code})" + damage
    numbers = {name: _number(value) for name, value in _flat_summary(logged.summary).items()}
    scores = {name: v for name, v in numbers.items() if v is not None and name.startswith(("test/", "best/"))}
    if not scores:
        return "its summary has no test/* or best/* scores" + damage
    recipe = settings_of(logged)
    settings = flat(recipe)
    seed = settings.get("seed")
    name = recipe.get("name")
    return WandbRun(
        path=logged.path,
        name=logged.name or logged.id,
        recipe=name if isinstance(name, str) else logged.name or logged.id,
        seed=seed if type(seed) is int else None,
        digest=seedless_digest(recipe),
        settings=settings,
        scores={name: value if math.isfinite(value) else None for name, value in scores.items()},
        facts=well_formed({**_facts(logged), "seed": seed, "metrics": scores}),
        logged=logged,
    )


def settings_of(logged: Logged) -> dict[str, object]:
    """The resolved recipe that a run was logged with."""
    return {key: value for key, value in logged.config.items() if key not in OWN}


def _facts(logged: Logged) -> dict[str, object]:
    """Of the config's `facts` and the summary, by the names of a run's summary.json."""
    at_start = logged.config.get("facts")
    facts = dict(at_start) if isinstance(at_start, Mapping) else {}
    summary = {name: value for name, value in logged.summary.items() if "/" not in name and name[:1] != "_"}
    layers = {name[7:]: value for name, value in logged.summary.items() if name.startswith("engine/")}
    engine = [{"layer": layer, "path": path} for layer, path in layers.items()]
    return {**facts, **summary, "engine": engine, "status": "finished", "started": logged.started}


def _flat_summary(summary: Mapping[str, object]) -> dict[str, object]:
    """A metric with several summaries, as {"max": 0.9}, is its last value or the only one."""
    values = {}
    for name, value in summary.items():
        if isinstance(value, Mapping) and value and "_type" not in value:  # which pictures and tables have
            value = value.get("last", next(iter(value.values())))
        values[name] = value
    return values


def _line(row: Mapping[str, object]) -> dict[str, object]:
    """A row of history as a line of metrics.jsonl: the step by our name, counts as whole numbers."""
    line = {"step" if name == STEP else name: value for name, value in row.items() if name[:1] != "_"}
    for name in COUNTED_FROM_0:
        if isinstance(value := line.get(name), float) and value.is_integer():
            line[name] = int(value)
    bad = {name: value for name, value in line.items() if isinstance(value, str) and value in NOT_FINITE}
    return line | ({"not_finite": bad} if bad else {})


def _number(value: object) -> float | None:
    """A number as a float; NaN and infinity as W&B writes them, in words, too; None for anything else."""
    if isinstance(value, str) and value in NOT_FINITE:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.nan
