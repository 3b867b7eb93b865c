"""Ends a training that gets no better."""

from typing import Literal

from lightning.pytorch import callbacks

from rnnzoo.limits import Count, NonNegative, checked


class EarlyStopping(callbacks.EarlyStopping):
    """Stop after `patience` evaluations in a row of which none is better by more than `min_delta`."""

    needs_validation = True

    @checked
    def __init__(
        self, monitor: str, mode: Literal["max", "min"], patience: Count = 3, min_delta: NonNegative = 0.0
    ) -> None:
        super().__init__(monitor=monitor, mode=mode, patience=patience, min_delta=min_delta, check_finite=False)
