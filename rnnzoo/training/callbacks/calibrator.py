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
from rnnzoo.runs import per_class
from rnnzoo.system import console
from rnnzoo.system.files import JsonObject, write_text
from rnnzoo.tasks.base import Output, Task
from rnnzoo.tasks.calibration import KEY, Calibration, best_threshold, fit_temperature, reliability
from rnnzoo.tasks.decisions import Counts, Decisions, Kept
from rnnzoo.training.callbacks.predictions import gathered
from rnnzoo.training.module import Observer, ZooModule

log = logging.getLogger("rnnzoo")


class Calibrator(Callback):
    """Keeps the logits of each validation and test. A task that fails to give them costs a warning, and no calibration.

    `Checkpoints` asks it for the calibration of the best checkpoint; place it after that callback. After a test or a
    validation that is no part of training, `found` has how well confidences came true, in the first process.

    file: to write at the end of the test, with `dev`, the calibration that was fitted; no file if not given. Beside it
    each class's scores in the test are written, of the answers that `rnnzoo predict` would give.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file, self.dev = file, JsonObject()
        self.found: JsonObject | None = None
        self.scores = JsonObject()
        self._kept, self._counts, self._failed = Kept(), Counts(), ""
        self._observer: Observer | None = None

    # -- watching ---------------------------------------------------------------------------------------------------

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._watch(cast(ZooModule, pl_module), "val")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._watch(cast(ZooModule, pl_module), "test")

    def _watch(self, module: ZooModule, stage: str) -> None:
        self._kept, self._counts, self._failed = Kept(), Counts(), ""
        self._observer = partial(self._add, module, stage)
        module.observers[stage].append(self._observer)

    def _add(self, module: ZooModule, stage: str, output: Output, batch: Batch, loss: Tensor) -> None:
        if not self._failed:
            try:
                decisions = module.task.decisions(output, batch, module.model)
                if decisions is not None:
                    self._kept.add(decisions)
                if decisions is not None and stage == "test":
                    self._counts.add(chosen(module.task, decisions), decisions.target, len(module.task.class_names()))
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
        module = cast(ZooModule, pl_module)
        self._measure(trainer, module)
        counts = gathered(self._counts, trainer.world_size)
        self._unwatch(module)
        if trainer.is_global_zero:
            self.scores = Counts.merged(counts).scores(module.task.class_names())
            self.write()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(pl_module, ZooModule):
            self._unwatch(pl_module)

    # -- asking -----------------------------------------------------------------------------------------------------

    def _tensors(self, trainer: Trainer) -> tuple[Tensor, Tensor] | None:
        """The logits and targets of all processes, in the first one; None in others, and where there are none."""
        alone = trainer.state.fn == "fit" and not cast(ZooModule, trainer.lightning_module).splits_validation
        parts = gathered((self._kept, self._failed), trainer.world_size)[: 1 if alone else None]
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
        found: JsonObject = {"temperature": temperature, "dev": reliability(*answers, temperature)}
        if thresholds := best_thresholds(cast(ZooModule, trainer.lightning_module).task, *answers, temperature):
            found["thresholds"] = thresholds
        return {KEY: found}

    def _measure(self, trainer: Trainer, module: ZooModule) -> None:
        answers = self._tensors(trainer)
        sound = answers is not None and bool(answers[0].isfinite().all())
        temperature = module.task.calibration.temperature
        self.found = reliability(*answers, temperature) if sound and answers is not None else None

    def write(self) -> None:
        """Write the run's file, where anything is known. A full disk costs a warning."""
        if self.file is None:
            return
        test = {} if self.found is None else {"test": self.found}
        contents = {self.file: self.dev | test, self.file.with_name(per_class.FILE): self.scores}
        try:
            for file, content in contents.items():
                if content:
                    write_text(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        except Unwritable as error:
            log.warning("%s", error)


def chosen(task: Task, decisions: Decisions) -> Tensor:
    """What the task answers, as the target of its decisions."""
    if decisions.chosen is not None or decisions.logits is None:
        return cast(Tensor, decisions.chosen)
    independent = decisions.target.ndim == decisions.logits.ndim
    return task.chosen(task.calibration.probabilities(decisions.logits, independent))


def best_thresholds(task: Task, logits: Tensor, target: Tensor, temperature: float) -> dict[str, float]:
    """The thresholds that a task asks for, by label; a label that is never true has none."""
    independent = target.ndim == logits.ndim
    probabilities = Calibration(temperature).probabilities(logits, independent)
    names, found = list(task.class_names()), {}
    for label in task.threshold_labels():
        number = names.index(label)
        true = target[:, number] if independent else target == number
        threshold = best_threshold(probabilities[:, number], true)
        if threshold is not None:
            found[label] = threshold
    return found
