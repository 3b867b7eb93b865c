"""Options of a recipe's `trainer` that are refused before a run begins."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rnnzoo import registry
from rnnzoo.data.datamodule import ZooData
from rnnzoo.errors import RecipeError
from rnnzoo.recipe import Recipe
from rnnzoo.system import launcher
from rnnzoo.training import sparse
from rnnzoo.training.schedules import interval
from rnnzoo.training.strategies import refusals
from rnnzoo.training.trainer import device


def check_options(recipe: Recipe) -> None:
    """Refuse options that train nothing, or that wait for a score that never comes.

    Raises: RecipeError with all mistakes.
    """
    if mistakes := list(_mistakes(recipe)):
        raise RecipeError(*(f"{recipe['name']}: {mistake}" for mistake in mistakes))


def _mistakes(recipe: Recipe) -> Iterator[str]:
    trainer = recipe["trainer"]
    for key in ("max_epochs", "max_steps", "limit_train_batches"):
        if trainer[key] == 0:
            yield f"trainer.{key}: is 0, so nothing would be trained.\n  Leave it out, or give more."
    if trainer["max_time"] is not None and not any(map(int, re.findall(r"\d+", trainer["max_time"]))):
        yield "trainer.max_time: is zero, so nothing would be trained.\n  Leave it out, or give more."
    if trainer["num_nodes"] > 1 and launcher.world() is None:
        yield (
            f"trainer.num_nodes: is {trainer['num_nodes']}, and no launcher has started this process: "
            "the other nodes would never join.\n  Start it by torchrun or srun on each of them."
        )
    if trainer["limit_val_batches"] == 0 and trainer["overfit_batches"]:
        yield "trainer.limit_val_batches: is 0, and overfit_batches validates, too.\n  Leave one of them out."
    yield from _sparse_mistakes(recipe)
    yield from refusals.mistakes(recipe)
    yield from _exact_mistakes(recipe)
    never = (trainer["check_val_every_n_epoch"] or 1) > trainer["max_epochs"] and trainer["val_check_interval"] is None
    if trainer["limit_val_batches"] == 0 or never:
        callbacks = {name: registry.load("callbacks", name) for name in recipe["callbacks"]}
        waiting = [f"callbacks.{name}" for name, cls in callbacks.items() if getattr(cls, "needs_validation", False)]
        schedule = registry.load("schedules", recipe["schedule"]["name"])
        waiting += ["schedule"] if interval(schedule) == "plateau" else []
        for key in waiting:
            why = "waits for a score of the dev split, and "
            why += "no epoch that is trained ends with one" if never else "trainer.limit_val_batches is 0"
            yield f"{key}: {why}.\n  Leave one of them out."


def _sparse_mistakes(recipe: Recipe) -> Iterator[str]:
    """Sparse gradients that the recipe's optimizer or strategy cannot take."""
    inputs = (recipe["model"].get("inputs") or {}).items()
    keys = [f"model.inputs.{name}.sparse" for name, part in inputs if isinstance(part, Mapping) and part.get("sparse")]
    if not keys:
        return
    name, strategy = recipe["optimizer"]["name"], recipe["trainer"]["strategy"]
    if why := sparse.refusal(registry.load("optimizers", name), registry.settings(recipe["optimizer"])):
        ours = [entry.name for entry in registry.entries("optimizer") if entry.distribution == "rnnzoo"]
        able = [n for n in ours if sparse.refusal(registry.load("optimizers", n), {}) is None]
        yield f"{keys[0]}: the optimizer '{name}' cannot take sparse gradients: {why}.\n  Can: {', '.join(able)}."
    if strategy != "auto" and not strategy.startswith("ddp"):
        yield f"{keys[0]}: trainer.strategy {strategy} cannot share sparse gradients.\n  Can: ddp, or one process."


def _exact_mistakes(recipe: Recipe) -> Iterator[str]:
    """What the weights of an exact training would depend on beside."""
    trainer = recipe["trainer"]
    if not trainer.get("exact", False):
        return
    if (where := device(trainer["accelerator"])) != "cpu":
        yield f"trainer.exact: {where} adds up in no fixed order.\n  Set trainer.accelerator to cpu."
    if (strategy := trainer["strategy"]) != "auto" and not strategy.startswith("ddp"):
        yield f"trainer.exact: each process has all weights, not so with trainer.strategy {strategy}.\n  Take ddp."
    for name, part in (recipe["model"].get("inputs") or {}).items():
        if isinstance(part, Mapping) and part.get("sparse"):
            yield f"model.inputs.{name}.sparse: trainer.exact adds up dense gradients.\n  Leave one of them out."


def check_batches(recipe: Recipe, data: ZooData) -> None:
    """Refuse shares of a part that are less than a batch, and validation after more batches than an epoch has.

    Raises: RecipeError with all mistakes.
    """
    if mistakes := list(_mistakes_in_batches(recipe["trainer"], data)):
        raise RecipeError(*(f"{recipe['name']}: {mistake}" for mistake in mistakes))


def _mistakes_in_batches(trainer: Recipe, data: ZooData) -> Iterator[str]:
    if trainer["fast_dev_run"]:
        return
    loaders = {"train": data.train_dataloader, "val": data.val_dataloader, "test": data.test_dataloader}
    counts = {part: len(loaders[part]()) for part in loaders if part != "test" or "test" in data.sizes}
    for part, count in counts.items():
        for key in (f"limit_{part}_batches", *(["overfit_batches"] if part != "test" else [])):
            share = trainer[key]
            if isinstance(share, float) and share > 0 and share * count < 1:
                of = f"the {count} batches that the {part.replace('val', 'dev')} split has"
                remedy = f"Give at least {1 / count:.3g}, or a whole number of batches."
                yield f"trainer.{key}: is {share:g} of {of}, less than one.\n  {remedy}"
    interval, batches = trainer["val_check_interval"], counts["train"]
    limit = trainer["overfit_batches"] or trainer["limit_train_batches"]
    if limit is not None:
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    if isinstance(interval, int) and not isinstance(interval, bool) and interval > batches:
        yield (
            f"trainer.val_check_interval: is {interval} batches, and an epoch has {batches}.\n"
            "  Give at most as many, a share of an epoch, or check_val_every_n_epoch."
        )
