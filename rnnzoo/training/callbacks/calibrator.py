"""Fits the calibration of a checkpoint on dev, and measures it on whatever part of the data is scored."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from rnnzoo.batch import Batch
from rnnzoo.errors import Unwritable
from rnnzoo.system import console
from rnnzoo.system.files import JsonObject, write_text
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.calibration import KEY, fit_temperature, reliability
from rnnzoo.tasks.decisions import Kept
from rnnzoo.training.callbacks.predictions import gathered
from rnnzoo.training.module import Observer, ZooModule

log = logging.getLogger("rnnzoo")


class Calibrator(Callback):
    """Keeps the logits of each validation and test. A task that fails to give them costs a warning, and no calibration.

    `Checkpoints` asks it for the calibration of the best checkpoint; place it after that callback. After a test or a
    validation that is no part of training, `found` has how well confidences came true, in the first process.

    file: to write at the end of the test, with `dev`, the calibration that was fitted; no file if not given.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file, self.dev = file, JsonObject()
        self.found: JsonObject | None = None
        self._kept, self._failed = Kept(), ""
        self._observer: Observer | None = None

    # -- watching ---------------------------------------------------------------------------------------------------

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._watch(cast(ZooModule, pl_module), "val")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._watch(cast(ZooModule, pl_module), "test")

    def _watch(self, module: ZooModule, stage: str) -> None:
        self._kept, self._failed = Kept(), ""
        self._observer = partial(self._add, module)
        module.observers[stage].append(self._observer)

    def _add(self, module: ZooModule, output: Output, batch: Batch, loss: Tensor) -> None:
        if not self._failed:
            try:
                decisions = module.task.decisions(output, batch, module.model)
                if decisions is not None:
                    self._kept.add(decisions)
            except Exception as error:  # of a plugin's task
                self._failed = f"{type(error).__name__}: {console.inline(error, 200)}"

    def _unwatch(self, module: ZooModule) -> None:
        for observers in module.observers.values():
            if self._observer in observers:
                observers.remove(self._observer)
        self._observer, self._kept = None, Kept()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit":
            self._measure(trainer, cast(ZooModule, pl_module))
        self._unwatch(cast(ZooModule, pl_module))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._measure(trainer, cast(ZooModule, pl_module))
        self._unwatch(cast(ZooModule, pl_module))
        if trainer.is_global_zero:
            self.write()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(pl_module, ZooModule):
            self._unwatch(pl_module)

    # -- asking -----------------------------------------------------------------------------------------------------

    def _tensors(self, trainer: Trainer) -> tuple[Tensor, Tensor] | None:
        """The logits and targets of all processes, in the first one; None in others, and where there are none."""
        parts = gathered((self._kept, self._failed), trainer.world_size)
        if failed := next((failed for _, failed in parts if failed), None):
            log.warning("the model is not calibrated: %s", failed)
            return None
        return Kept.merged([kept for kept, _ in parts]).tensors() if parts else None

    def fit(self, trainer: Trainer) -> JsonObject:
        """What the meta of a checkpoint says of its calibration, fitted on the validation that has just ended.

        All processes are to call it; others than the first one get {}, and so do tasks that choose among no classes.
        """
        answers = self._tensors(trainer)
        if answers is None or not answers[0].isfinite().all():
            return {}
        temperature = fit_temperature(*answers) or 1.0
        return {KEY: {"temperature": temperature, "dev": reliability(*answers, temperature)}}

    def _measure(self, trainer: Trainer, module: ZooModule) -> None:
        answers = self._tensors(trainer)
        sound = answers is not None and bool(answers[0].isfinite().all())
        temperature = module.task.calibration.temperature
        self.found = reliability(*answers, temperature) if sound and answers is not None else None

    def write(self) -> None:
        """Write the run's file, where anything is known. A full disk costs a warning."""
        test = {} if self.found is None else {"test": self.found}
        if self.file is None or not self.dev | test:
            return
        try:
            write_text(self.file, json.dumps(self.dev | test, indent=1) + "\n")
        except Unwritable as error:
            log.warning("%s", error)
