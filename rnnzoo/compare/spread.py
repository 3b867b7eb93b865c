"""A quantity over the runs of a group: its mean and spread, and how many runs it is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Spread:
    """values: one a run, in the order of the group's runs; None where it is NaN, infinite or not known.

    unknown: for how many of these it is not known.
    """

    values: tuple[float | None, ...]
    unknown: int = 0

    @property
    def known(self) -> list[float]:
        return [value for value in self.values if value is not None]

    @property
    def n(self) -> int:
        return len(self.known)

    @property
    def missing(self) -> int:
        """Runs without a value."""
        return len(self.values) - self.n

    @property
    def mean(self) -> float | None:
        """None where any run has no value: a mean of the others would flatter the group."""
        return _of(fmean, self.known) if self.known and not self.missing else None

    @property
    def std(self) -> float | None:
        """The standard deviation (n - 1); None for one run, and where there is no mean."""
        return _of(stdev, self.known) if self.n > 1 and not self.missing else None


def _of(function: Callable[[Sequence[float]], float], values: Sequence[float]) -> float | None:
    """None where the result is beyond a float."""
    try:
        return function(values)
    except OverflowError:
        return None
