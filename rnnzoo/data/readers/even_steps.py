"""Series at even steps: what a forecast needs."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from rnnzoo.data.readers.recorded import Recorded
from rnnzoo.data.readers.time_column import Moments
from rnnzoo.data.readers.times import Uneven, count_steps
from rnnzoo.errors import DataError

log = logging.getLogger("rnnzoo")


def even_steps(one: Recorded) -> Recorded:
    """The series with a step for each of its even steps; those that were missing are without values, and reported.

    Without times, steps are taken as they come. Raises: DataError for times that are not even.
    """
    if one.moments is None or one.times is None:
        return one
    try:
        steps = count_steps(one.moments.places if one.moments.times is None else one.moments.times)
    except Uneven as wrong:
        raise DataError(
            f"{one.file}: series '{one.id}': {one.times[wrong.row]} {wrong.why} the row before, "
            f"{one.times[wrong.row - 1]}{wrong.where}.\n"
            "  Forecasts take even steps of the clock or the calendar. Without `time`, rows are taken as they come."
        ) from None
    positions = steps.positions
    count = int(positions[-1]) + 1
    if count == len(positions):
        return one
    if count > 2 * len(positions):
        raise DataError(
            f"{one.file}: series '{one.id}' has {len(positions)} rows for {count} steps of {steps.name}.\n"
            "  More steps are missing than there are. Is the time that of each step?"
        )
    gap = int(np.argmax(np.diff(positions) > 1))
    log.warning(
        "%s: series '%s' lacks %d steps of %s, the first after %s.",
        one.file,
        one.id,
        count - len(positions),
        steps.name,
        one.times[gap],
    )
    values: Any = np.full(count, np.nan, dtype=one.values.dtype)
    values[positions] = one.values
    before = np.searchsorted(positions, np.arange(count), side="right") - 1
    places = np.interp(np.arange(count), positions, one.moments.places.astype(np.float64))
    moments = Moments(
        places, one.moments.second, None if one.moments.times is None else [one.moments.times[p] for p in before]
    )
    times = [one.times[place] for place in before]
    return one._replace(values=values, times=times, moments=moments)
