"""Saves the model after each validation; keeps the last and the best."""

import logging
import math
import re
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from rnnzoo.errors import RunError, Unwritable, unknown
from rnnzoo.runs import atomic_folder, checkpoint
from rnnzoo.system.files import JsonObject
from rnnzoo.training.callbacks.averaging import Averaging
from rnnzoo.training.callbacks.calibrator import Calibrator
from rnnzoo.training.strategies.fsdp2 import whole_weights

NAME = re.compile(r"step-\d{9,}(-\d+)?")  # of a checkpoint's folder
log = logging.getLogger("rnnzoo")


class Checkpoints(Callback):
    """Writes `folder/step-000001200` at the end of each validation during training, and the pointers `last` and `best`.

    It saves exactly the weights that were validated: averaged ones if there is an `Averaging` callback, in any order.
    At the end of training it saves once more if the weights have changed since. Folders that neither pointer names are
    deleted once the pointers are written. Rank 0 writes; all ranks know `best_path`. Where a checkpoint cannot be
    written, as the disk is full, those before stay, and training goes on with one warning.

    Raises: RunError for a metric that is not logged; Unwritable if there is no checkpoint at all after training.
    """

    def __init__(
        self,
        folder: Path,
        meta: JsonObject,
        spec: JsonObject,
        monitor: str = "val/accuracy",
        mode: Literal["max", "min"] = "max",
        calibrator: Calibrator | None = None,
    ) -> None:
        """folder: the run's checkpoints folder. meta, spec: JSON values to save too; meta gets the step and scores.

        monitor: the metric that decides which is best, as logged. NaN or infinity is never best.
        calibrator: fits the calibration of each that is best, which its meta gets too.
        """
        if mode not in ("max", "min"):
            raise ValueError(f"mode must be 'max' or 'min', got {mode!r}")
        self.folder, self.meta, self.spec, self.monitor, self.mode = folder, meta, spec, monitor, mode
        self.calibrator = calibrator
        self.best_score: float | None = None
        self.best_path: Path | None = None
        self.last_path: Path | None = None
        self._saved_step = -1
        self._warned = False

    def state_dict(self) -> JsonObject:
        best, last = (None if path is None else path.name for path in (self.best_path, self.last_path))
        return {"best_score": self.best_score, "best": best, "last": last, "saved_step": self._saved_step}

    def load_state_dict(self, state_dict: JsonObject) -> None:
        """Raises: RunError for a checkpoint that is not one of the folder's: a stranger may have written the state."""
        self.best_path, self.last_path = (self._beside(state_dict[name]) for name in ("best", "last"))
        score = state_dict["best_score"]
        self.best_score, self._saved_step = None if score is None else float(score), int(state_dict["saved_step"])

    def _beside(self, name: str | None) -> Path | None:
        if name is not None and not NAME.fullmatch(name):
            raise RunError(f"the training state names a checkpoint {name!r:.80}, which is no name of one.")
        return None if name is None else self.folder / name

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit":
            return
        if self.monitor not in trainer.callback_metrics:  # raised in the sanity check, before any training
            what = "cannot choose the best checkpoint: validation logged no metric named"
            raise RunError(unknown(what, self.monitor, trainer.callback_metrics))
        if not trainer.sanity_checking:
            self._save(trainer, pl_module, float(trainer.callback_metrics[self.monitor]))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step != self._saved_step:
            self._save(trainer, pl_module, None)

    def _save(self, trainer: Trainer, pl_module: LightningModule, score: float | None) -> None:
        path = self.folder / f"step-{trainer.global_step:09d}"  # of another name where it is there: validated twice
        path = trainer.strategy.broadcast(atomic_folder.unused(path))  # between two steps, or resumed from before it
        best = score is not None and self._improves(score)
        calibration = self.calibrator.fit(trainer) if best and self.calibrator is not None else {}
        with _averages(trainer, pl_module):
            weights = whole_weights(trainer, pl_module.model)  # type: ignore[arg-type]
            written = not trainer.is_global_zero or self._write(trainer, path, weights, score, best, calibration)
        if not trainer.strategy.broadcast(written):
            return
        self.last_path, self._saved_step = path, trainer.global_step
        if best:
            self.best_score, self.best_path = score, path
        if trainer.is_global_zero:
            self._rotate()

    def _write(
        self,
        trainer: Trainer,
        path: Path,
        weights: dict[str, Tensor],
        score: float | None,
        best: bool,
        calibration: JsonObject,
    ) -> bool:
        """Write a checkpoint and the pointers to it. Returns whether the system let us; those before stay if not."""
        try:
            meta = self.meta | self._progress(trainer, score) | calibration
            checkpoint.save(path, weights, meta, self.spec)
            checkpoint.point(self.folder / "last", path.name)
            if best:
                checkpoint.point(self.folder / "best", path.name)
        except Unwritable as error:
            if score is None and self.last_path is None:  # training is over, and nothing of it would be left
                raise
            if not self._warned:
                log.warning("%s\n  The run goes on.", error)
            self._warned = True
            return False
        return True

    def _improves(self, score: float) -> bool:
        if not math.isfinite(score) or self.best_score is None:
            return math.isfinite(score)
        return score > self.best_score if self.mode == "max" else score < self.best_score

    def _progress(self, trainer: Trainer, score: float | None) -> JsonObject:
        metrics = {} if score is None else {name: float(value) for name, value in trainer.callback_metrics.items()}
        return {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "monitor": self.monitor,
            "metrics": {name: value if math.isfinite(value) else None for name, value in metrics.items()},
        }

    def _rotate(self) -> None:
        """Delete checkpoints that are neither the last nor the best, and what crashes left.

        A pointer may have been written although its writing failed at the end, so what the pointers name stays, too.
        """
        kept = {self.last_path, self.best_path}
        for pointer in checkpoint.POINTERS:
            with suppress(RunError):
                kept.add(checkpoint.follow(self.folder / pointer))
        for folder in self.folder.glob("step-*"):
            if folder not in kept:
                atomic_folder.remove(folder)
        atomic_folder.sweep(self.folder)


def _averages(trainer: Trainer, pl_module: LightningModule) -> AbstractContextManager[None]:
    """Within the block the model holds averages of its weights, where a callback makes them."""
    averaging = next((c for c in trainer.callbacks if isinstance(c, Averaging)), None)  # type: ignore[attr-defined]
    return averaging.applied(pl_module) if averaging else nullcontext()
