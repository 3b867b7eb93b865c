"""Facts of a training, for the process that asked for it."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo.engine import recurrence
from rnnzoo.runs.summary import EngineLayer, Summary
from rnnzoo.system.files import write_text
from rnnzoo.training.callbacks.costs import Costs
from rnnzoo.training.callbacks.finite import Finite
from rnnzoo.training.callbacks.throughput import Throughput


class Outcome(Callback):
    """Seconds, tokens, steps, epochs, speed and the engine's paths, whichever process trained. Place it after `Costs`.

    Under ddp_spawn and ddp_notebook the Trainer starts processes that train copies of the module and the callbacks, and
    end: there the first of them leaves the facts in a file.
    """

    def __init__(self, file: Path, throughput: Throughput, finite: Finite, costs: Costs) -> None:
        self.file, self.throughput, self.finite, self.costs = file, throughput, finite, costs
        self._facts: Summary | None = None

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._facts = {
            "train_seconds": round(self.costs.seconds, 3),
            "cpu_seconds": round(self.costs.cpu_seconds, 3),
            "tokens": self.costs.tokens,
            "steps": trainer.global_step,
            "epochs": trainer.fit_loop.epoch_progress.current.completed,
            "engine": cast("list[EngineLayer]", recurrence.report(pl_module)),
            "throughput": self.throughput.summary(),
        }
        if pl_module.device.type == "cuda":
            self._facts["peak_gpu_memory_bytes"] = torch.cuda.max_memory_allocated(pl_module.device)
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
