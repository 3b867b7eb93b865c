"""A recipe's `trainer` as a `lightning.Trainer`."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from rnnzoo.data.shards import SHARDS
from rnnzoo.errors import RecipeError
from rnnzoo.recipe import Recipe
from rnnzoo.system import capability, launcher
from rnnzoo.training import processes
from rnnzoo.training.exact import make_strategy
from rnnzoo.training.strategies import refusals
from rnnzoo.training.strategies.fsdp2 import FSDP2Strategy, Gathered

OURS = {  # rnnzoo does these itself
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
    "You're resuming from a checkpoint that ended before the epoch ended",  # our samplers go on where they stood
    "The `srun` command is available on your system but is not used",
)

# Set by `run_hosted`: makes what tells Lightning of the processes, which finds those of its own environments alone
HOST_ENVIRONMENT: ContextVar[Callable[[], ClusterEnvironment] | None] = ContextVar("environment", default=None)


def make_trainer(recipe: Recipe, **arguments: Any) -> pl.Trainer:
    """A Trainer with the recipe's options, overridden by `arguments`. Raises: RecipeError if it is refused."""
    strategy = recipe["trainer"]["strategy"]
    if why := refusals.unsupported(strategy):
        raise RecipeError(f"{recipe['name']}: {why}")
    exact = recipe["trainer"].get("exact", False)
    options: dict[str, Any] = OURS | recipe["trainer"] | {"enable_progress_bar": False} | arguments  # see `Progress`
    options.pop("exact", None)
    options["max_time"] = None  # is the business of `Snapshots`, which save before they stop
    if options["precision"] == "auto":
        options["precision"] = "bf16-mixed" if capability.bfloat16(device(options["accelerator"])) else "32-true"
    if repeated := options.pop("overfit_batches", 0):  # Lightning's own option replaces the sampler
        options |= {"limit_train_batches": repeated, "limit_val_batches": repeated}
    if strategy == "fsdp2":
        options |= {"strategy": FSDP2Strategy(), "callbacks": [Gathered(), *(options.get("callbacks") or ())]}
        options["inference_mode"] = False  # weights that are gathered in it could not be trained on
    world = launcher.world()
    if world is not None and world.local_size and options["devices"] in (1, "auto"):  # the launcher has decided
        options |= {"devices": world.local_size, "num_nodes": world.size // world.local_size}
    if exact:
        options["strategy"] = _exact_strategy(recipe["name"], options)
    host = HOST_ENVIRONMENT.get()
    try:
        options["plugins"] = [*options.get("plugins", ()), *(_environments() if host is None else [host()])]
        trainer = pl.Trainer(**options)
    except (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException) as error:
        raise RecipeError(f"{recipe['name']}: Lightning refuses trainer: {str(error).splitlines()[0]}") from error
    if isinstance(trainer.strategy, DDPStrategy):  # gradients lie where they are sent from, not copied there and back
        trainer.strategy._ddp_kwargs.setdefault("gradient_as_bucket_view", True)
    processes.prepare(trainer)
    return trainer


def _environments() -> list[ClusterEnvironment]:
    """In a SLURM job, who has started the processes; elsewhere Lightning finds out.

    Lightning takes a job's shell for one of several processes, and srun within salloc for one alone.
    """
    if launcher.in_step():  # it would save within the signal; `Snapshots` do between batches
        return [SLURMEnvironment(auto_requeue=False)]
    in_job = "SLURM_NTASKS" in os.environ and not TorchElasticEnvironment.detect()
    return [LightningEnvironment()] if in_job else []


def _exact_strategy(name: str, options: Mapping[str, Any]) -> Any:
    """The strategy of an exact training. Raises: RecipeError for a number of processes that has no equal shards."""
    if not isinstance(options["strategy"], str):  # `check_options` refuses it
        return options["strategy"]
    devices = options["devices"]
    each = len(devices) if isinstance(devices, list) else devices if isinstance(devices, int) else 1
    processes = each * options["num_nodes"]
    if processes < 1 or SHARDS % processes:
        able = ", ".join(str(n) for n in range(1, SHARDS + 1) if SHARDS % n == 0)
        raise RecipeError(
            f"{name}: trainer.exact: needs {able} processes, got {processes}.\n"
            f"  Each batch is cut into {SHARDS} shards, and all processes have as many of them. Change trainer.devices."
        )
    return make_strategy(options["strategy"]) if processes > 1 else "auto"


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


def minutes(max_time: str | None) -> float | None:
    """A time such as "00:12:00:00", days, hours, minutes and seconds, in minutes. Raises: RecipeError."""
    if max_time is None:
        return None
    parts = re.fullmatch(r"(\d{1,4}):(\d{1,4}):(\d{1,4}):(\d{1,6})", max_time)
    if parts is None:
        raise RecipeError(
            f"trainer.max_time: must be days, hours, minutes and seconds, got {max_time!r}.\n"
            '  Twelve hours are "00:12:00:00".'
        )
    days, hours, whole, seconds = map(int, parts.groups())
    return 60 * (24 * days + hours) + whole + seconds / 60


def device(accelerator: str) -> str:
    """The type of device that an accelerator is: "cpu", "cuda"."""
    if accelerator in ("auto", "gpu"):
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return accelerator
