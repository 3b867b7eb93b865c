"""Going on with a run that was stopped, or with more epochs than it had."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import torch

from rnnzoo import recipe as recipes
from rnnzoo import registry, runs
from rnnzoo.batch import DataSpec
from rnnzoo.data.datamodule import ZooData
from rnnzoo.errors import RecipeError, RunError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe import Recipe
from rnnzoo.runs import atomic_folder, snapshot
from rnnzoo.runs.state import State, pack
from rnnzoo.runs.summary import StartFacts, at, mistake, well_formed
from rnnzoo.system.files import JsonObject
from rnnzoo.system.launcher import rank
from rnnzoo.system.redaction import marked, redact
from rnnzoo.training.schedules import interval

log = logging.getLogger("rnnzoo")
FREE = {  # what may change; None for all of a section
    "data": {"num_workers"},
    "trainer": {
        "max_epochs",
        "max_steps",
        "max_time",
        "log_every_n_steps",
        "limit_test_batches",
        "enable_progress_bar",
        "detect_anomaly",
    },
    "tracking": None,
    "checkpoint": None,
    "bad_numbers": None,
    "name": None,
}
LENGTH = ("max_epochs", "max_steps")
COMPARED_STEPS = 1000  # of two schedules


MOST = 2**53  # of a count: from there on, floating-point numbers are not exact


class _Recipe(TypedDict):
    """What is asked of a saved recipe before it is resolved, which checks the rest."""

    name: str
    data: dict[str, Any]
    task: dict[str, Any]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    trainer: dict[str, Any]


class _DataPrint(TypedDict):
    fingerprint: str


class _Identity(TypedDict):
    recipe: _Recipe
    parts: list[dict[str, str]]
    data: _DataPrint


class _Ours(TypedDict):
    """What `Snapshots` adds to Lightning's state."""

    identity: _Identity
    total_steps: int
    batches_done: int
    batches_that_stepped: int
    metrics_bytes: int
    processes: list[dict[str, Any]]


class _TrainingState(TypedDict):
    """A training state as far as it is read here; a stranger's may hold anything."""

    epoch: int
    global_step: int
    rnnzoo: _Ours


PART = ("kind", "name", "distribution", "version")
COUNTS = (
    "epoch",
    "global_step",
    *map("rnnzoo.{}".format, ("total_steps", "batches_done", "batches_that_stepped", "metrics_bytes")),
)
CHECKED = (
    *COUNTS,
    "rnnzoo.processes",
    "rnnzoo.identity.data.fingerprint",
    *map("rnnzoo.identity.recipe.{}".format, ("name", "data", "task", "model", "optimizer", "schedule", "trainer")),
)


class AtItsEnd(RunError):
    """A run that is finished, asked to go on with nothing more to do: it is trained to its end, and tested."""


class Resumption(NamedTuple):
    """A run that goes on: its folder, its resolved recipe from here on, and the training state that it starts from.

    extends: a new schedule begins here, as the run is to be longer than the one before was planned for.
    """

    folder: Path
    recipe: Recipe
    path: Path
    state: State
    extends: bool

    @property
    def step(self) -> int:
        return int(self.state["global_step"])

    @property
    def identity(self) -> JsonObject:
        return self.state["rnnzoo"]["identity"]

    @property
    def spec(self) -> DataSpec | None:
        """How the data were encoded, where the data alone do not say: of a run that started from a trained model."""
        spec = self.identity.get("spec")
        try:
            return None if spec is None else DataSpec.from_json(spec)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            why = f"its rnnzoo.identity.spec does not describe data: {type(error).__name__}: {error}"
            raise RunError(f"cannot load the training state {self.path}: {why}.\n  {snapshot.FORMAT.remedy}") from error

    @property
    def extended_at(self) -> list[int]:
        """Steps after which a new schedule began, in this training and those before."""
        before = well_formed({"extended_at": self.identity.get("extended_at")}).get("extended_at", [])
        return [*before, self.step] if self.extends else before

    @property
    def initial(self) -> StartFacts | None:
        """The trained model that the run started from, as its summary had it."""
        return well_formed({"init_from": self.identity.get("init_from")}).get("init_from")

    def check(self, data: ZooData) -> None:
        """Refuse data that are not those of the run so far. Raises: RunError."""
        known = self.identity["data"]["fingerprint"]
        if known != data.fingerprint:
            raise RunError(
                f"the run {self.folder} cannot go on: its data have changed since it was stopped.\n"
                f"  {data.identity['id']} has the digest {data.fingerprint[:12]}..., the run knows {known[:12]}...\n"
                "  Put the data back, or start a new run."
            )

    def __str__(self) -> str:
        what = "extended: a new schedule begins" if self.extends else "continued: the same schedule goes on"
        return f"{what} after {self.step:,} steps, in epoch {int(self.state['epoch']) + 1}"


def prepare(run: str | Path, overrides: Sequence[str] = (), auto: bool = False) -> Resumption:
    """What `fit` needs to go on with a run, with the recipe that it has and what is changed of it.

    overrides: as on the command line. auto: the command may be one that is repeated (a job that is queued again): an
    older training state is taken, with a warning, where the newest is damaged, and a run that has stopped early is at
    its end. Raises: AtItsEnd; RunError if there is no state to go on from; RecipeError for a change that would not be
    the same training any more.
    """
    folder = runs.find(run)
    finished = runs.read(folder)["summary"].get("status") == "finished"
    if auto and finished and not snapshot.complete(folder / "resume"):
        raise AtItsEnd(f"the run {folder} is finished.")
    path, state = _state(folder, auto)
    before = state["rnnzoo"]["identity"]["recipe"]
    with registry.of_run(state["rnnzoo"]["identity"]["parts"]):
        after = resolve(recipes.changed(recipes.of(before, before["name"]), overrides))
    if fixed := list(_fixed(before, after)):
        raise RecipeError(
            f"command line: {fixed[0]}: it is part of what was trained so far, and cannot change when a run goes on.\n"
            f"  Free to change: {', '.join(_free())}.\n"
            f"  A new run can start from these weights: rnnzoo fit RECIPE --init_from {run}"
        )
    changed = any(before["trainer"].get(key) != after["trainer"][key] for key in LENGTH)
    epochs, limit = int(state["epoch"]), after["trainer"]["max_epochs"]
    steps, most = int(state["global_step"]), after["trainer"]["max_steps"]
    trained = epochs >= limit >= 0 or steps >= most >= 0
    same = not changed and before.get("callbacks") == redact(after["callbacks"])
    if auto and finished and same and (trained or after["trainer"]["max_time"] is None):  # or stopped early
        raise AtItsEnd(f"the run {folder} is finished: {epochs:,} epochs, {steps:,} steps.")
    if hidden := [f"data.{key}" for key in marked(after["data"])]:
        raise RecipeError(
            f"{after['name']}: {hidden[0]}: a secret was taken out of it when the run was kept.\n"
            f"  A run that needs it cannot go on; start a new one."
        )
    more = f"max_steps {2 * steps}" if steps >= most >= 0 else f"max_epochs {epochs + 3}"
    if trained and (changed or finished):
        raise RunError(
            f"the run {folder} is trained to its end: {epochs:,} epochs, {steps:,} steps.\n"
            f"  To go on with it, give it more: rnnzoo fit --resume {run} --trainer.{more}"
        )
    return Resumption(folder, after, path, state, changed and _depends_on_length(before, state))


def _state(folder: Path, fall_back: bool) -> tuple[Path, State]:
    paths = snapshot.complete(folder / "resume")
    if not paths:
        raise RunError(
            f"the run {folder} cannot go on: it has no training state.\n"
            "  One is saved every few minutes, when the run is stopped, and at its end (checkpoint.every_minutes)."
        )
    for path in paths:
        try:
            return path, _checked(path, snapshot.read(path))
        except RunError as error:
            if not fall_back or path == paths[-1]:
                raise
            log.warning("%s\n  The one before is taken.", str(error).splitlines()[0])
            if rank() == 0:
                atomic_folder.remove(path)
    raise AssertionError("the last path returns or raises")


def _checked(path: Path, state: State) -> State:
    """The state, if what is read of it here is as it should be. Raises: RunError."""
    problem = next((problem for key in CHECKED if (problem := mistake(state, key, _TrainingState))), None)
    if problem is None:
        problem = next((f"its {key} is out of range" for key in COUNTS if not 0 <= _count(state, key) < MOST), None)
    if problem is None:
        identity = state["rnnzoo"]["identity"]
        packed, tensors = pack(identity)
        problem = "its rnnzoo.identity is not JSON" if tensors or packed != identity else None
    parts = at(state, "rnnzoo.identity.parts")
    if not (isinstance(parts, list) and all(_is_part(part) for part in parts)):
        problem = problem or "its rnnzoo.identity.parts is no list of registered parts"
    if problem:
        raise RunError(f"cannot load the training state {path}: {problem}.\n  {snapshot.FORMAT.remedy}")
    return state


def _count(state: State, key: str) -> int:
    value = at(state, key)
    assert isinstance(value, int)
    return value


def _is_part(part: object) -> bool:
    return isinstance(part, dict) and all(isinstance(part.get(key), str) for key in PART)


def _fixed(before: Recipe, after: Recipe) -> Iterator[str]:
    """Keys that differ and that a run cannot change."""
    for section in {**before, **after}:
        free = FREE.get(section, set())
        old, new = before.get(section), redact(after.get(section))
        if free is None or old == new:
            continue
        if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
            yield section
            continue
        for key in {**old, **new}:
            if old.get(key) != new.get(key) and key not in free and (section, key) != ("callbacks", "early_stopping"):
                yield f"{section}.{key}"


def _free() -> list[str]:
    keys = [f"{section}.{key}" for section, free in FREE.items() for key in sorted(free or ())]
    return [*keys, "callbacks.early_stopping", *(section for section, free in FREE.items() if free is None)]


def _depends_on_length(recipe: Recipe, state: State) -> bool:
    """Whether the learning rates so far would have been others, had the run been planned to be longer."""
    steps = min(int(state["global_step"]), COMPARED_STEPS)
    total = max(1, int(state["rnnzoo"]["total_steps"]))
    return _rates(recipe, steps, total) != _rates(recipe, steps, 2 * total)


def _rates(recipe: Recipe, steps: int, total: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = registry.build("schedule", recipe["schedule"], optimizer, total_steps=total, mode="max")
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps if interval(scheduler) == "step" else 0):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates
