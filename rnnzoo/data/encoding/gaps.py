"""Missing values of a series of numbers, by a named policy."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rnnzoo.errors import DataError

Missing = Literal["refuse", "mask", "forward", "interpolate"]
MASKED = " is there"  # of a channel's 0/1 feature: its name ends so


def filled(values: np.ndarray, names: tuple[str, ...], missing: Missing, instead: np.ndarray) -> np.ndarray:
    """(steps, channels) without NaN.

    missing: "refuse" raises; "forward" takes the value before, "interpolate" the line between the values on both sides,
    and at the ends the nearest one; "mask" takes `instead`, (channels,).
    Raises: DataError, naming the step and the channel, for what the policy cannot fill.
    """
    gaps = np.isnan(values)
    if not gaps.any():
        return values
    if missing == "mask":
        return np.where(gaps, instead, values)
    if missing == "refuse":
        step, channel = np.argwhere(gaps)[0]
        raise DataError(
            f"step {step + 1}: '{names[channel]}' has no value ({gaps.sum()} are missing in the series).\n"
            "  `missing: forward`, `interpolate` or `mask` says what to read there; or fill the gaps, or leave it out."
        )
    if gaps.all(0).any():
        name = names[int(np.argmax(gaps.all(0)))]
        raise DataError(f"'{name}' has no value at all, so there is none to go by.\n  `missing: mask` needs none.")
    if missing == "forward":
        return _forward(values, gaps, names)
    steps = np.arange(len(values))
    columns = zip(values.T, gaps.T, strict=True)
    return np.stack([np.interp(steps, steps[~gap], column[~gap]) for column, gap in columns], 1)


def _forward(values: np.ndarray, gaps: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    if gaps[0].any():
        name = names[int(np.argmax(gaps[0]))]
        raise DataError(
            f"step 1: '{name}' has no value, and none before it to carry forward.\n"
            "  `missing: interpolate` takes the next one; `mask` needs none."
        )
    last = np.maximum.accumulate(np.where(gaps, 0, np.arange(len(values))[:, None]))
    return np.take_along_axis(values, last, 0)
