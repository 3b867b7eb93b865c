"""A run as a job for a launcher: the recipe checked, the launcher built with its settings, the words of the command."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from rnnzoo import recipe as recipes
from rnnzoo import registry, runs
from rnnzoo.errors import RecipeError, ZooError
from rnnzoo.experiment.parts import Parts
from rnnzoo.experiment.resolver import resolve
from rnnzoo.launchers.base import Job, Launcher
from rnnzoo.recipe.merging import override_tree

KEY = "launch"


def prepare(
    launcher: str,
    recipe: str,
    overrides: Sequence[str],
    run_dir: Path | None = None,
    nodes: int | None = None,
    devices: int | None = None,
) -> tuple[Launcher, Job]:
    """A launcher with its settings, `--launch.KEY VALUE` among the overrides, and a recipe's run as a job for it.

    run_dir: where the run is, or goes on; a new folder if None. nodes, devices: machines, and processes on each; by
    default the recipe's own. Raises: RecipeError with all mistakes of the recipe and of the settings; ZooError.
    """
    settings, keys = split(overrides)
    for flag, count in (("nodes", nodes), ("devices", devices)):
        if count is not None:
            if count < 1:
                raise ZooError(f"--{flag} must be 1 or more, got {count}.")
            keys += [f"--trainer.{'num_nodes' if flag == 'nodes' else 'devices'}", str(count)]
    raw = recipes.read(recipe, keys)
    mistakes: list[str] = []
    try:
        resolved = resolve(raw)
    except RecipeError as error:
        mistakes += error.messages
    try:
        built = build(launcher, settings)
    except ZooError as error:
        mistakes += error.messages
    if mistakes:
        raise RecipeError(*mistakes)
    trainer = resolved["trainer"]
    chosen = trainer["devices"]
    if not isinstance(chosen, int) or chosen < 1:
        raise ZooError(
            f"the recipe's trainer.devices is {chosen}: say how many processes each machine has, --devices N."
        )
    name = resolved["name"]
    if run_dir is None:
        stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        run_dir = runs.ROOT / runs.slug(name) / f"{stamp}-{secrets.token_hex(4)}"
    words = ("fit", recipe, "--run_dir", str(run_dir), "--resume", "auto", *keys)
    return built, Job(words, name, run_dir, Path.cwd(), trainer["num_nodes"], chosen)


def split(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """The launcher's settings among overrides, and the recipe's keys."""
    settings: list[str] = []
    keys: list[str] = []
    target = keys
    for word in overrides:
        if word.startswith("--"):
            target = settings if word.startswith(f"--{KEY}.") else keys
        target.append(word)
    return settings, keys


def build(name: str, settings: Sequence[str]) -> Launcher:
    """A launcher with its settings as words, `--launch.KEY VALUE`. Raises: RecipeError with all mistakes; ZooError."""
    mistakes: list[str] = []
    node = override_tree([f"--{KEY}.name={name}", *settings], mistakes).value.get(KEY)
    if mistakes:
        raise RecipeError(*mistakes)
    parts = Parts(recipes.of({}, KEY))
    component = parts.component(node, KEY, "launchers")
    if parts.mistakes:
        raise RecipeError(*parts.messages({}))
    for module, package in getattr(parts.classes[KEY], "requires", {}).items():
        if find_spec(module.partition(".")[0]) is None:
            raise ZooError(f"the launcher '{name}' needs {module}, which is not installed.\n  pip install '{package}'")
    try:
        launcher = registry.build("launchers", component)
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{KEY}: {error}") from error
    if not isinstance(launcher, Launcher):
        raise ZooError(f"the launcher '{name}' is not a rnnzoo.Launcher, but {type(launcher).__name__}.")
    return launcher
