"""A clear message where memory runs out."""

from __future__ import annotations

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo.batch import Batch
from rnnzoo.errors import RunError

MESSAGES = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")  # of torch's RuntimeErrors


def ran_out(error: BaseException) -> bool:
    """Whether an error means that the machine or an accelerator is out of memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error).lower() for message in MESSAGES)


class BatchSize(Callback):
    """Remembers the size of the current batch, for the message."""

    def __init__(self) -> None:
        self._work: tuple[str, int, int] | None = None  # what is done, sequences, steps of the longest

    def _remember(self, work: str, batch: Batch) -> None:
        self._work = work, len(batch), int(batch.lengths.max())

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        self._remember(f"training, step {trainer.global_step}", batch)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._remember("validation", batch)

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._remember("the test", batch)

    def error(self, cause: BaseException) -> RunError:
        """The message for a user: what was too large, and how to make it smaller."""
        line = (str(cause).splitlines() or [""])[0][:200] or type(cause).__name__
        if self._work is None:
            return RunError(f"out of memory before the first batch.\n  {line}\n  Try a smaller model.")
        work, rows, steps = self._work
        size = "data.batch_size" if work.startswith("training") else "data.eval_batch_size"
        return RunError(
            f"out of memory in {work}: a batch of {rows:,} sequences, the longest of {steps:,} steps.\n"
            f"  {line}\n"
            f"  Try a lower {size}, data.max_length or data.tbptt_steps where there is one, or a smaller model.\n"
            "  In training, trainer.accumulate_grad_batches makes up for smaller batches."
        )
