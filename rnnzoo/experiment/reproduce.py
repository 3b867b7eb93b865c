"""Running a finished run again: what is missing or different today, and whether the same comes out."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import stdev
from typing import Literal, NamedTuple

import torch

from rnnzoo import recipe as recipes
from rnnzoo import registry, runs
from rnnzoo.errors import RecipeError, RunError, ZooError
from rnnzoo.experiment import build
from rnnzoo.experiment.facts import versions
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe import Recipe
from rnnzoo.runs import checkpoint
from rnnzoo.runs.student import t_quantile
from rnnzoo.runs.summary import Summary, is_number, well_formed
from rnnzoo.system import provenance
from rnnzoo.system.console import inline
from rnnzoo.system.files import JsonObject
from rnnzoo.system.redaction import marked

DISTRIBUTION = re.compile(r"[A-Za-z0-9][\w.-]{0,100}==[\w.+!-]{1,50}", re.ASCII)  # what goes into a command
COMMIT = re.compile(r"[0-9a-f]{40}")

Outcome = Literal["equal", "alike", "other", "unknown"]


class Claim(NamedTuple):
    """What a finished run says of itself: its resolved recipe, its facts, and its folder where there is one.

    source: what the user named it by.
    """

    source: str
    recipe: Recipe
    facts: Summary
    folder: Path | None = None

    @property
    def scored(self) -> str:
        """The key of the score that counts."""
        key = scored(self.facts)
        assert key is not None, "a claim has a score"
        return key


class Difference(NamedTuple):
    """A fact that is another today. blocks: what would be run is then not what was run."""

    what: str
    then: str
    now: str
    blocks: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.now}, was {self.then}"


class Reproduction(NamedTuple):
    """What came out: "equal" to the last bit, "alike" within the spread of other seeds, "other", or "unknown" where
    there are no other seeds to tell. weights: whether the best checkpoints are equal; None where one is not kept.
    """

    outcome: Outcome
    metric: str
    then: float
    now: float
    spread: float | None  # standard deviation over seeds, n - 1
    seeds: int
    weights: bool | None

    def __str__(self) -> str:
        figures = f"{self.metric} {self.now:.6g}, was {self.then:.6g}"
        if self.outcome == "equal":
            also = "weights and scores" if self.weights else "all scores"
            return f"the same to the last bit, {also}: {figures}."
        if self.spread is None:
            return f"not the same: {figures}.\n  No run of another seed is near to tell how much seeds differ."
        verdict = "not the same, but within" if self.outcome == "alike" else "not reproduced: beyond"
        return (
            f"{verdict} what seeds differ by: {figures}.\n"
            f"  {self.seeds} seeds have a standard deviation of {self.spread:.3g}; two runs differ by up to "
            f"{within(self.spread, self.seeds):.3g} in 19 of 20 cases."
        )


def claim_of(source: str, recipe: JsonObject | None, facts: JsonObject, folder: Path | None = None) -> Claim:
    """A run that can be made again. Raises: RunError if it did not finish, or does not say what it was."""
    summary = well_formed(facts)
    if summary.get("status") != "finished":
        status = summary.get("status", "unknown")
        raise RunError(f"{source} cannot be reproduced: its status is {status}, so it has no result.")
    if recipe is None:
        raise RunError(f"{source} cannot be reproduced: its config.yaml, the resolved recipe, is not there.")
    if scored(summary) is None:
        raise RunError(f"{source} cannot be reproduced: its summary has no scores.")
    name = summary.get("recipe", "run")
    return Claim(source, {"name": name, "seed": summary.get("seed", 1), **recipe}, summary, folder)


def pinned(claim: Claim) -> Recipe:
    """The run's recipe as it resolves today, its data in the revision that the run read.

    Raises: RecipeError, with how to install what is missing; PluginError.
    """
    recipe = {**claim.recipe, "data": dict(claim.recipe.get("data", {}))}
    if secrets := [f"data.{key}" for key in marked(recipe["data"])]:
        raise RecipeError(
            f"{claim.source}: {secrets[0]}: a secret was taken out of it when the run was kept.\n"
            "  Run its recipe with `rnnzoo fit`, and compare the two."
        )
    revision = claim.facts.get("data", {}).get("revision")
    if recipe["data"].get("revision", "") is None and COMMIT.fullmatch(revision or ""):
        recipe["data"]["revision"] = revision
    try:
        return resolve(recipes.of(recipe, recipe["name"]))
    except ZooError as error:
        if missing := [difference for difference in _versions(claim, {}) if difference.blocks]:
            named = [f"{gone.what}=={gone.then}" for gone in missing]
            installs = " ".join(filter(DISTRIBUTION.fullmatch, named))
            command = f"\n  pip install {installs}" if installs else ""
            told = inline(", ".join(named), 200)
            raise RecipeError(*_messages(error), f"not installed: {told}.{command}") from error
        raise


def _messages(error: ZooError) -> Sequence[str]:
    return getattr(error, "messages", None) or [str(error)]


def differences(claim: Claim, recipe: Recipe) -> Iterator[Difference]:
    """What is another today than when the run was made: versions, code, machine, the recipe's meaning, the data.

    Reads the data. Raises: DataError, RunError if they cannot be read.
    """
    facts = claim.facts
    if steps := facts.get("extended_at"):
        yield Difference("schedule", f"begun anew after {steps[0]:,} steps, to train longer", "one for all steps", True)
    yield from _versions(claim, versions(recipe))
    code = provenance.commit()
    if facts.get("commit") != code:
        yield Difference("commit", str(facts.get("commit"))[:12], str(code)[:12])
    hardware = provenance.hardware()
    for key in ("cpu", "gpu"):
        then = facts.get("hardware", {}).get(key)
        if then != hardware[key]:
            yield Difference(key, str(then), str(hardware[key]))
    yield from _settings(claim.recipe, recipe)
    data = build.make_data(recipe)
    if (then := facts.get("data", {}).get("fingerprint")) not in (None, data.fingerprint):
        yield Difference(
            "data", f"digest {str(then)[:12]}", f"{data.identity['id']}, digest {data.fingerprint[:12]}", True
        )


def _versions(claim: Claim, now: dict[str, str]) -> Iterator[Difference]:
    """Of Python, of libraries, and of the plugins that the run used."""
    installed = {entry.distribution: entry.version for entry in registry.entries()}
    for name, then in sorted(claim.facts.get("versions", {}).items()):
        library = name in ("python", "torch", "lightning", "rnnzoo")
        today = now.get(name) or installed.get(name)
        if today != then and (now or not library):
            yield Difference(name, then, today or "not installed", today is None)


def _settings(then: Recipe, now: Recipe) -> Iterator[Difference]:
    """Keys of a recipe that the run's version did not have, or had another default for."""
    for section, settings in now.items():
        before = then.get(section)
        if section in ("name", "format", "tracking", "checkpoint") or settings == before:
            continue
        if isinstance(settings, dict) and isinstance(before, dict):
            changed = [
                key for key in {**before, **settings} if settings.get(key) != before.get(key) and key != "revision"
            ]
            for key in changed:
                yield Difference(f"{section}.{key}", str(before.get(key, "not set")), str(settings.get(key, "not set")))
        else:
            yield Difference(section, str(before), str(settings))


def reproduce(claim: Claim, recipe: Recipe, others: Sequence[float], run_dir: Path | None = None) -> Reproduction:
    """Train and test the recipe as the run was, and compare. others: the score that counts in runs of other seeds.

    Raises: what `fit` raises; RunError where a score is not there.
    """
    if "threads" in claim.facts and recipe["trainer"]["accelerator"] in ("auto", "cpu"):
        torch.set_num_threads(claim.facts["threads"])  # sums depend on how many
    summary, run = fit(recipe, run_dir)
    return compared(claim, summary["metrics"], _weights_equal(claim.folder, run.path), others)


def compared(
    claim: Claim, metrics: Mapping[str, float | None], weights: bool | None, others: Sequence[float]
) -> Reproduction:
    """What a second run's scores say of the first. Raises: RunError where the score that counts is not there."""
    name, before = claim.scored, claim.facts["metrics"]
    then, now = before[name], metrics.get(name)
    if then is None or now is None or not is_number(now):
        raise RunError(f"cannot compare: {name} is {now} now, and was {then}.")
    spread = stdev([then, *others]) if others else None
    outcome: Outcome = "unknown"
    if weights is not False and all(metrics.get(key) == value for key, value in before.items()):
        outcome = "equal"
    elif spread is not None:
        outcome = "alike" if abs(now - then) <= within(spread, len(others) + 1) else "other"
    return Reproduction(outcome, name, then, now, spread, len(others) + 1, weights)


def within(spread: float, seeds: int) -> float:
    """How far apart two runs are in 19 of 20 cases or more, by a standard deviation that is of so many seeds alone."""
    return t_quantile(seeds - 1) * math.sqrt(2) * spread


def scored(facts: Summary) -> str | None:
    """The key of the score that counts: of the test split or, where there is none, of dev; None where there is neither.

    It is of the metric that chose the checkpoint; a run of W&B's that does not say which has its first that is no loss.
    """
    monitor = facts.get("best", {}).get("monitor", "").removeprefix("val/")
    others = [name for name in facts.get("directions", {}) if name != "loss"]
    keys = [f"{part}/{name}" for name in (monitor, *others, "loss") for part in ("test", "best")]
    return next((key for key in keys if is_number(facts.get("metrics", {}).get(key))), None)


def _weights_equal(then: Path | None, now: Path) -> bool | None:
    """Whether two runs' best checkpoints hold the same bytes; None where one has none, as a run may be kept without."""
    if then is None:
        return None
    try:
        old, new = (checkpoint.load(checkpoint.locate(folder)).weights for folder in (then, now))
    except ZooError:
        return None
    return old.keys() == new.keys() and all(torch.equal(old[key], new[key]) for key in new)


def siblings(folder: Path) -> Iterator[Claim]:
    """The finished runs that stand beside one."""
    for path in sorted(folder.parent.glob("*/summary.json")):
        with contextlib.suppress(ZooError):
            record = runs.read(path.parent)
            yield claim_of(str(path.parent), record["config"], record["summary"], path.parent)


def other_seeds(claim: Claim, candidates: Iterable[Claim]) -> list[float]:
    """The score that counts in runs of the same recipe but for its seed, one for each other seed."""
    wanted, scores = _without_seed(claim.recipe), {}
    for other in candidates:
        score = other.facts["metrics"].get(claim.scored)
        if other.facts.get("extended_at") != claim.facts.get("extended_at"):
            continue
        if score is not None and is_number(score) and _without_seed(other.recipe) == wanted:
            scores[other.recipe["seed"]] = score
    scores.pop(claim.recipe["seed"], None)
    return list(scores.values())


def _without_seed(recipe: Recipe) -> str:
    return recipes.digest({key: value for key, value in recipe.items() if key != "seed"})
