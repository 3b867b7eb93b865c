"""How fast a recipe trains here, measured on some of its batches."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback

from rnnzoo.bench import timing
from rnnzoo.engine.recurrence import report, set_path
from rnnzoo.experiment import build
from rnnzoo.runs.trackers.metrics_file import MetricsFile
from rnnzoo.system.files import JsonObject
from rnnzoo.system.memory import peak_memory
from rnnzoo.training.callbacks.finite import Finite
from rnnzoo.training.callbacks.throughput import Throughput
from rnnzoo.training.trainer import make_trainer, quiet


class FirstStep(Callback):
    """When the first training batch was done; None before."""

    at: float | None = None  # seconds of `time.perf_counter`

    def on_train_batch_end(self, *args: Any) -> None:
        if self.at is None:
            self.at = time.perf_counter()


def measure(recipe: JsonObject, batches: int = 20, threads: int = 1) -> JsonObject:
    """Train on so many batches of a resolved recipe, after those that warm up, as a run does but for its checkpoints.

    Data loading and logging to a file are in it; validation, the recipe's callbacks, the progress bar and W&B are not.
    "seconds_to_first_step" goes from before the data is read to the end of the first batch, which may compile.
    Nothing is left on the disk. Raises: RecipeError, DataError.
    """
    load_before, began, first = timing.load(), time.perf_counter(), FirstStep()
    data = build.make_data(recipe)
    data.prepare()
    build.seed_everything(recipe["seed"])
    module = build.make_module(recipe, data.spec)
    set_path(module, recipe["engine"])
    throughput = Throughput()
    accumulated = recipe["trainer"]["accumulate_grad_batches"]
    steps = math.ceil((batches + Throughput.WARM_UP) / accumulated)
    with (
        tempfile.TemporaryDirectory(prefix="rnnzoo-bench-") as folder,
        timing.conditions(threads),
        quiet(),
    ):
        trainer = make_trainer(
            recipe,
            callbacks=[throughput, Finite(), first],
            logger=MetricsFile(Path(folder) / "metrics.jsonl"),
            default_root_dir=folder,
            max_steps=steps,
            max_epochs=-1,
            limit_val_batches=0,
            enable_progress_bar=False,
        )
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        trainer.fit(module, data)
    on_gpu = trainer.strategy.root_device.type == "cuda"
    return {
        "machine": timing.facts(),
        "settings": {"threads": threads, "device": trainer.strategy.root_device.type, "clock": "wall and processor"},
        "load_before": load_before,
        "load_after": timing.load(),
        "recipe": recipe["name"],
        "batches": trainer.fit_loop.epoch_loop.total_batch_idx + 1 - Throughput.WARM_UP,
        "throughput": throughput.summary(),
        "seconds_to_first_step": None if first.at is None else first.at - began,
        "peak_memory_bytes": peak_memory(),
        "peak_gpu_memory_bytes": torch.cuda.max_memory_allocated(trainer.strategy.root_device) if on_gpu else None,
        "engine": report(module),
    }
