"""Gives trackers the best checkpoint and the latest one, and the best scores while they are made."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo.runs import tracking
from rnnzoo.runs.atomic_folder import MANIFEST
from rnnzoo.runs.checkpoint import META, WEIGHTS
from rnnzoo.runs.summary import scores
from rnnzoo.system import console, files
from rnnzoo.system.files import JsonObject
from rnnzoo.training.callbacks.checkpoints import Checkpoints

log = logging.getLogger("rnnzoo")


class TrackedCheckpoints(Callback):
    """Tells trackers `best/*`, the dev scores of the best checkpoint so far, and gives them checkpoints.

    when: "end" of the training, "each" time that one is saved, or "none". Place it after `checkpoints`.
    """

    def __init__(self, checkpoints: Checkpoints, when: Literal["end", "each", "none"] = "end") -> None:
        self.checkpoints, self.when = checkpoints, when
        self._best: Path | None = None  # that trackers know of

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        best, last = self.checkpoints.best_path, self.checkpoints.last_path
        if best is not None and best == last != self._best:
            metrics = trainer.callback_metrics
            dev = {name: float(value) for name, value in metrics.items() if name.startswith("val/")}
            tracking.summarise(trainer.loggers, scores(dev))
        self._best = best
        if self.when == "each" and last is not None:
            self._log(trainer, last, ["best", "latest"] if best == last else ["latest"], final=False)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero or self.when == "none":
            return
        best, last = self.checkpoints.best_path, self.checkpoints.last_path
        if best is not None and best != last:
            self._log(trainer, best, ["best"], final=True)
        if last is not None:
            self._log(trainer, last, ["best", "latest"] if best == last else ["latest"], final=True)

    def _log(self, trainer: Trainer, folder: Path, aliases: list[str], final: bool) -> None:
        """Give trackers a checkpoint; one that is gone from the disk, or that nobody can read, is a warning."""
        try:
            metadata = _metadata(folder) | {
                "final": final
            }  # False: the run deletes the folder once there is a newer one
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("trackers do not get the checkpoint %s: %s.", console.short(folder), files.reason(error))
            return
        tracking.log_checkpoint(trainer.loggers, folder, aliases, metadata)


def _metadata(folder: Path) -> JsonObject:
    meta, manifest = (files.json_value(files.read_text(folder / name), nan=True) for name in (META, MANIFEST))
    return {
        "step": meta["step"],
        "epoch": meta["epoch"],
        "monitor": meta["monitor"],
        "score": meta["metrics"].get(meta["monitor"]),
        "digest": manifest["files"][WEIGHTS]["sha256"],
    }
