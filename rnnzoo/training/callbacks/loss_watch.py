"""Says once that the loss has jumped, and once that it does not move."""

from __future__ import annotations

import logging
import statistics
from collections import deque

WINDOW = 100  # steps behind the running median
FIRST = 20  # steps whose median is the level that a training starts from
JUMP = 10  # times the running median
JUMP_STEPS = 5  # in a row
LEVEL = 0.1  # of the starting level: a loss below it is one of a training that has succeeded
STILL_STEPS = 500
STILL = 1e-4  # relative to what the loss moves between batches
log = logging.getLogger("rnnzoo")


class LossWatch:
    """Looks at the loss of each optimizer step and at that of each epoch.

    A jump is a loss of more than `JUMP` times its running median, `JUMP_STEPS` steps in a row, and no longer small. A
    loss is still if it is the same number for `STILL_STEPS` steps, or if the gradient is 0 for as many, or if three
    epochs differ by less than `STILL` of what batches differ by. Each is one warning. Where a training has brought its
    loss near zero, nothing is said.
    """

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._epoch: list[float] = []  # the losses of its steps
        self._epochs: deque[float] = deque(maxlen=3)
        self._start: float | None = None  # the level that the training starts from
        self._median = 0.0
        self._steps = self._high = self._same = self._flat = 0
        self._warned: set[str] = set()

    def step(self, step: int, loss: float, norm: float) -> None:
        """Take the finite loss and gradient norm of an optimizer step."""
        self._same = self._same + 1 if self._losses and abs(loss - self._losses[-1]) <= STILL * abs(loss) else 0
        self._flat = self._flat + 1 if norm == 0 else 0
        self._high = self._high + 1 if self._is_high(loss) else 0
        self._losses.append(loss)
        self._epoch.append(loss)
        self._steps += 1
        if self._steps == FIRST:
            self._start = statistics.median(self._losses)
        if self._steps % FIRST == 0:
            self._median = statistics.median(self._losses)
        if self._high == JUMP_STEPS:
            self._warn(
                "jump",
                f"the loss has jumped to {loss:.4g} at step {step}, over {JUMP} times its median of the steps before, "
                f"{self._median:.4g}. A lower optimizer.lr or trainer.gradient_clip_val keeps it from that.",
            )
        if self._same == STILL_STEPS and self._is_large(loss):
            self._warn_still(f"{loss:.4g} for {STILL_STEPS} steps")
        if self._flat == STILL_STEPS and self._is_large(loss):
            self._warn_still(f"the gradient is 0 for {STILL_STEPS} steps")

    def epoch(self, loss: float) -> None:
        """Take the loss of a whole epoch, once it is over."""
        spread = statistics.pstdev(self._epoch) if self._epoch else 0.0
        self._epoch = []
        self._epochs.append(loss)
        moved = max(self._epochs) - min(self._epochs)
        if len(self._epochs) == self._epochs.maxlen and moved <= STILL * spread and self._is_large(loss):
            self._warn_still(f"{loss:.4g} for {len(self._epochs)} epochs")

    def _is_large(self, loss: float) -> bool:
        start = self._start if self._start is not None else statistics.median(self._losses or [loss])
        return abs(loss) > LEVEL * abs(start)

    def _is_high(self, loss: float) -> bool:
        return self._steps >= FIRST and self._median > 0 and loss > JUMP * self._median and self._is_large(loss)

    def _warn_still(self, how: str) -> None:
        remedy = "Is optimizer.lr too small, or every unit at the flat end of its activation?"
        self._warn("still", f"the loss does not move: {how}. {remedy}")

    def _warn(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            log.warning("%s", message)
        self._warned.add(kind)
