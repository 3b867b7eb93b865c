"""A recipe's `trainer` as a `lightning.Trainer`, and what of it is refused before a run begins."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from rnnzoo.data.datamodule import ZooData
from rnnzoo.errors import RecipeError
from rnnzoo.system import capability, launcher

OURS = {  # Lightning's own of these would do again, or otherwise, what rnnzoo does
    "use_distributed_sampler": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "logger": False,
}
IGNORED_WARNINGS = (  # of Lightning; they are about choices that rnnzoo makes on purpose
    "The .*dataloader.* does not have many workers",
    "The number of training batches .* is smaller than the logging interval",
    ".*sync_dist=True.*",
    ".*LeafSpec.*",
)
NEED_VALIDATION = ("early_stopping", "nt_asgd")  # callbacks that wait for a score of dev


def make_trainer(recipe: Mapping[str, Any], **arguments: Any) -> pl.Trainer:
    """A Trainer with the recipe's options; `arguments` go before them. Raises: RecipeError if Lightning refuses."""
    options: dict[str, Any] = OURS | recipe["trainer"] | {"enable_progress_bar": False} | arguments  # we have a bar
    if options["precision"] == "auto":
        options["precision"] = "bf16-mixed" if capability.bfloat16(device(options["accelerator"])) else "32-true"
    if repeated := options.pop("overfit_batches", 0):  # Lightning's takes the sampler away, and with it the batches
        options |= {"limit_train_batches": repeated, "limit_val_batches": repeated}
    together = launcher.world()
    if together is not None and together.local_size and options["devices"] in (1, "auto"):  # torchrun has decided
        options |= {"devices": together.local_size, "num_nodes": together.size // together.local_size}
    try:
        return pl.Trainer(**options)
    except (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException) as error:
        raise RecipeError(f"{recipe['name']}: Lightning refuses trainer: {str(error).splitlines()[0]}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's remarks on devices and loaders; its other warnings stay."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in IGNORED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            logger.setLevel(level)


def device(accelerator: str) -> str:
    """The type of device that an accelerator is: "cpu", "cuda"."""
    if accelerator in ("auto", "gpu"):
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return accelerator


def check(recipe: Mapping[str, Any]) -> None:
    """Refuse options that train nothing, or that wait for what never comes. Raises: RecipeError with all of them."""
    if mistakes := list(_mistakes(recipe)):
        raise RecipeError(*(f"{recipe['name']}: {mistake}" for mistake in mistakes))


def _mistakes(recipe: Mapping[str, Any]) -> Iterator[str]:
    trainer = recipe["trainer"]
    for key in ("max_epochs", "max_steps", "limit_train_batches"):
        if trainer[key] == 0:
            yield f"trainer.{key}: is 0, so nothing would be trained.\n  Leave it out, or give more."
    if trainer["max_time"] is not None and not any(map(int, re.findall(r"\d+", trainer["max_time"]))):
        yield "trainer.max_time: is no time at all, so nothing would be trained.\n  Leave it out, or give more."
    if trainer["num_nodes"] > 1 and launcher.world() is None:
        yield (
            f"trainer.num_nodes: is {trainer['num_nodes']}, and no launcher has started this process: "
            "the other nodes would never come.\n  Start it by torchrun or srun on each of them."
        )
    if trainer["limit_val_batches"] == 0 and trainer["overfit_batches"]:
        yield "trainer.limit_val_batches: is 0, and overfit_batches validates, too.\n  Leave one of them out."
    never = (trainer["check_val_every_n_epoch"] or 1) > trainer["max_epochs"] and trainer["val_check_interval"] is None
    if trainer["limit_val_batches"] == 0 or never:
        waiting = [f"callbacks.{name}" for name in NEED_VALIDATION if name in recipe["callbacks"]]
        waiting += ["schedule"] if recipe["schedule"]["name"] == "plateau" else []
        for key in waiting:
            why = "waits for a score of the dev part, and "
            why += "no epoch that is trained ends with one" if never else "trainer.limit_val_batches is 0"
            yield f"{key}: {why}.\n  Leave one of them out."


def check_batches(recipe: Mapping[str, Any], data: ZooData) -> None:
    """Refuse shares of a part that are less than a batch, and to validate after more batches than an epoch has.

    Raises: RecipeError with all mistakes.
    """
    if mistakes := list(_of_batches(recipe["trainer"], data)):
        raise RecipeError(*(f"{recipe['name']}: {mistake}" for mistake in mistakes))


def _of_batches(trainer: Mapping[str, Any], data: ZooData) -> Iterator[str]:
    if trainer["fast_dev_run"]:
        return
    loaders = {"train": data.train_dataloader, "val": data.val_dataloader, "test": data.test_dataloader}
    counts = {part: len(loaders[part]()) for part in loaders if part != "test" or "test" in data.sizes}
    for part, count in counts.items():
        for key in (f"limit_{part}_batches", *(["overfit_batches"] if part != "test" else [])):
            share = trainer[key]
            if isinstance(share, float) and share > 0 and share * count < 1:
                told = (
                    f"is {share:g} of the {count} batches that the {part.replace('val', 'dev')} part has, less than one"
                )
                yield f"trainer.{key}: {told}.\n  Give at least {1 / count:.3g}, or a whole number of batches."
    interval, limit, batches = (
        trainer["val_check_interval"],
        trainer["overfit_batches"] or trainer["limit_train_batches"],
        counts["train"],
    )
    if limit is not None:
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    if isinstance(interval, int) and not isinstance(interval, bool) and interval > batches:
        yield (
            f"trainer.val_check_interval: is {interval} batches, and an epoch has {batches}.\n"
            "  Give at most as many, a share of an epoch, or check_val_every_n_epoch."
        )
