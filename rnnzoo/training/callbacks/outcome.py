"""Facts of a training, for the process that asked for it."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path
from typing import cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo.engine import recurrence
from rnnzoo.runs.summary import EngineLayer, Summary
from rnnzoo.system.files import write_text
from rnnzoo.training.callbacks.finite import Finite
from rnnzoo.training.callbacks.throughput import Throughput


class Outcome(Callback):
    """Seconds, steps, epochs, speed and the engine's paths, whichever process trained.

    Under ddp_spawn and ddp_notebook the Trainer starts processes that train copies of the module and the callbacks, and
    end: there the first of them leaves the facts in a file.
    """

    def __init__(self, file: Path, throughput: Throughput, finite: Finite) -> None:
        self.file, self.throughput, self.finite = file, throughput, finite
        self._facts: Summary | None = None
        self._began = self._cpu_began = self._cpu_seconds = 0.0
        self._wall_before = self._cpu_before = 0.0

    def state_dict(self) -> dict[str, float]:
        """Seconds before a training was stopped, which are those of all its parts together once it is resumed."""
        return {
            "wall": self._wall_before + time.perf_counter() - self._began,
            "cpu": self._cpu_before + time.process_time() - self._cpu_began,
        }

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self._wall_before, self._cpu_before = float(state_dict["wall"]), float(state_dict["cpu"])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began, self._cpu_began = time.perf_counter(), time.process_time()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._cpu_seconds = self._cpu_before + time.process_time() - self._cpu_began
        if trainer.world_size > 1:
            seconds = torch.tensor(self._cpu_seconds, device=pl_module.device)
            self._cpu_seconds = float(trainer.strategy.reduce(seconds, reduce_op="sum"))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._facts = {
            "train_seconds": round(self._wall_before + time.perf_counter() - self._began, 3),
            "cpu_seconds": round(self._cpu_seconds, 3),
            "steps": trainer.global_step,
            "epochs": trainer.fit_loop.epoch_progress.current.completed,
            "engine": cast("list[EngineLayer]", recurrence.report(pl_module)),
            "throughput": self.throughput.summary(),
        }
        if any(self.finite.summary().values()):
            self._facts["bad_numbers"] = self.finite.summary()
        if trainer.is_global_zero and multiprocessing.parent_process() is not None:
            write_text(self.file, json.dumps(self._facts))

    def facts(self) -> Summary:
        """The facts, in the process that trained or the one that started it."""
        if self._facts is None:
            self._facts = json.loads(self.file.read_text(encoding="utf-8"))
            self.file.unlink()
        return self._facts
