"""Student's t: how far a mean of a few may be off, of which the spread is known from these few alone."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
TAIL = 0.05


@lru_cache(maxsize=256)
def _student(freedom: float) -> tuple[Values, Values]:
    """Of Student's t: the share beyond -x and x, falling, and log x, on a grid that is dense in the tails.

    With x = sqrt(freedom) tan(angle), the density in the angle is as cos(angle)^(freedom - 1).
    """
    logs = np.linspace(-12, 25, 20_000)
    angles = np.arctan(np.exp(logs) / math.sqrt(freedom))
    density = np.cos(angles) ** (freedom - 1)
    beyond = ((density[1:] + density[:-1]) / 2 * np.diff(angles))[::-1].cumsum()[::-1]
    return np.append(beyond, 0) / beyond[0], logs


def t_quantile(freedom: float, tail: float = TAIL) -> float:
    """What Student's t passes, to either side, with the probability `tail`. freedom: degrees, 1 or more."""
    beyond, logs = _student(min(freedom, 10_000.0))
    return math.exp(np.interp(-tail, -beyond, logs))
