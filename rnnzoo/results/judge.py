"""Which runs count: complete runs of a shipped recipe as it is now, with the test split scored."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import cast

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.errors import RunError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.results.manifests import KEPT, NEEDED, Manifest, digest, flaw, read
from rnnzoo.runs.summary import at
from rnnzoo.system.files import JsonObject

FREE = (  # what runs of one recipe may differ in
    "format",
    "name",
    "seed",
    "engine",
    "tracking",
    "checkpoint",
    "data.num_workers",
    "trainer.accelerator",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
)
AUTO = ("bf16-mixed", "32-true")  # what a precision of "auto" can be
PIN = "#sha256="  # after a file's address, before its digest


def manifest(run: str | Path) -> Manifest:
    """The facts of a run that counts.

    run: a run's folder or id, or a kept manifest, which is judged again.
    Raises: RunError with the reason why the run does not count.
    """
    if Path(run).suffix == ".json":
        facts: JsonObject = {**read(Path(run))}
    else:
        record = runs.read(run)
        facts = record["summary"] | {"config": record["config"]}
    if facts.get("status") != "finished":
        raise _refused(run, f"it is {facts.get('status', 'no finished run')}", "Wait for its end, or run it again.")
    if facts.get("extended_at"):
        raise _refused(run, "it was made longer than its recipe said at first", "Run the recipe as it is, in one go.")
    facts.setdefault("precision", at(facts, "config.trainer.precision"))  # summaries did not always have it
    if missing := [key for key in NEEDED if key not in facts]:
        raise _refused(run, f"its summary lacks {', '.join(missing)}", "Run it again, with this rnnzoo.")
    if problem := flaw(cast(Manifest, facts)):
        raise _refused(run, problem, "Only a whole run whose test split was scored counts; run it again.")
    name = _recipe_of(run, cast(Manifest, facts))
    config = {key: _local(value) for key, value in facts["config"].items() if key not in ("name", "tracking")}
    facts_to_keep = {key: facts[key] for key in ("migrated", *KEPT) if key in facts}
    return cast(Manifest, {"recipe": name, "digest": digest(name), **facts_to_keep, "config": config})


def _recipe_of(run: str | Path, facts: Manifest) -> str:
    """The shipped recipe that a run was of, down to every default."""
    asked = facts["recipe"]
    names = [name for name in recipes.shipped() if asked in (name, Path(name).stem)]
    if not names:
        raise _refused(run, f"no recipe '{asked}' comes with rnnzoo", "Give its settings a file in recipes/.")
    ran = _leaves(resolve(recipes.of(facts["config"], Path(asked).stem)))
    changed: list[str] = []
    for name in names:
        stated = _leaves(resolve(recipes.read(name)))
        if stated["trainer.precision"] == "auto" and facts["precision"] in AUTO:
            ran["trainer.precision"] = "auto"
        unlike = [key for key in stated | ran if _file_name(stated.get(key)) != _file_name(ran.get(key))]
        changed = [key for key in unlike if not _free(key)]
        if not changed:
            _check_pins(run, name, facts, stated, ran)
            return name
    difference = f"{changed[0]} was {ran.get(changed[0])!r} and is {stated.get(changed[0])!r}"
    raise _refused(run, f"recipe '{names[-1]}' differs from the run: {difference}", "Run the recipe as it is now.")


def _check_pins(
    run: str | Path, name: str, facts: Manifest, stated: Mapping[str, object], ran: Mapping[str, object]
) -> None:
    """Raises: RunError for a run on a file of its own where the recipe names the digest of another."""
    for key, value in stated.items():
        pin = value.partition(PIN)[2] if isinstance(value, str) and key.startswith("data.") else ""
        digest = str(ran.get(key)).partition(PIN)[2] or facts["data"].get("revision")
        if pin and pin.lower() != str(digest).lower():
            difference = f"{key} was {ran.get(key)!r}, of SHA-256 {digest}, and is {value!r}"
            raise _refused(run, f"recipe '{name}' differs from the run: {difference}", "Run the recipe as it is now.")


def _file_name(value: object) -> object:
    """A setting; of a path or an address, only the file's name, since the folder does not change the content."""
    return PurePosixPath(value.partition("#")[0]).name if isinstance(value, str) and "/" in value else value


def _free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def _leaves(value: object, key: str = "") -> dict[str, object]:
    """Nested settings as one level, by dotted keys."""
    if not isinstance(value, Mapping) or not value:
        return {key: value}
    pairs = ((f"{key}.{name}" if key else name, item) for name, item in value.items())
    return {name: leaf for path, item in pairs for name, leaf in _leaves(item, path).items()}


def _local(value: object) -> object:
    """Nested settings, with a file's name for its path on this machine."""
    if isinstance(value, dict):
        return {key: _local(item) for key, item in value.items()}
    return Path(value).name if isinstance(value, str) and os.path.isabs(value) else value


def _refused(run: str | Path, why: str, remedy: str) -> RunError:
    return RunError(f"{run} does not count: {why}.\n  {remedy}")
