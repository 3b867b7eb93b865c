"""A forecast beside what came true: the steps before it, the truth, the forecast and its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rnnzoo.pictures import theme
from rnnzoo.pictures.axes import Axes, fitted, number
from rnnzoo.pictures.theme import Picture, fill, stroke

WIDTH, HEIGHT = 440, 270
LEFT, TOP, BOTTOM = 52, 34, 44  # margins
NAMES = {"truth": "quiet", "forecast": "s0", "interval": "s0"}


@dataclass(frozen=True)
class Forecast:
    """Numbers by step: those before; and as many of the truth, of the forecast, and of its interval, if it has one."""

    history: Sequence[float]
    truth: Sequence[float]
    forecast: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def forecast(title: str, one: Forecast) -> Picture:
    """Steps from the forecast's first, 1, on; those before it are 0 and below.

    Raises: ValueError if there is nothing to draw, or what is there does not fit together.
    """
    steps, before = len(one.forecast), len(one.history)
    ends = [one.low, one.high] if one.low or one.high else []
    rows = [one.history, one.truth, one.forecast, *ends]
    if (
        not steps
        or any(len(row) != steps for row in rows[1:])
        or not all(math.isfinite(v) for row in rows for v in row)
    ):
        raise ValueError(f"'{title}' has nothing to draw")
    ahead = range(1, steps + 1)
    right = WIDTH - 14 - 1.08 * max(map(theme.width, NAMES))
    box = (LEFT, right, TOP, HEIGHT - BOTTOM)
    axes = fitted((1 - before if before else 1, steps), (value for row in rows for value in row), box)
    axes = replace(axes, left=max(LEFT, 10 + max(theme.width(number(mark)) for mark in axes.y_marks)))
    parts = [theme.heading(title), *axes.drawn("step")]
    if ends:
        there = _points(axes, ahead, one.low) + _points(axes, ahead[::-1], one.high[::-1])
        parts.append(f'<polygon points="{" ".join(there)}" {fill("s0")} fill-opacity="0.2"/>')
    past = range(1 - before, 1)
    came = " ".join(_points(axes, [*past, *ahead], [*one.history, *one.truth]))
    parts.append(f'<polyline points="{came}" {stroke("quiet", 2)} stroke-linejoin="round"/>')
    said = " ".join(_points(axes, [*past[-1:], *ahead], [*one.history[-1:], *one.forecast]))
    parts.append(f'<polyline points="{said}" {stroke("s0", 2)} stroke-dasharray="6 3" stroke-linejoin="round"/>')
    for row, (name, shade) in enumerate(NAMES.items()):
        if name != "interval" or ends:
            parts.append(theme.text(right + 8, TOP + 12 + 18 * row, name, "start", shade, ' font-weight="600"'))
    far = math.fsum(abs(a - b) for a, b in zip(one.truth, one.forecast, strict=True)) / steps
    held = sum(low <= y <= high for low, y, high in zip(one.low, one.truth, one.high, strict=False))
    within = f" The interval holds {held} of {steps} truths." if ends else ""
    return Picture(WIDTH, HEIGHT, title, f"The mean distance from the truth is {far:.4g}.{within}", parts)


def _points(axes: Axes, steps: Sequence[int], values: Sequence[float]) -> list[str]:
    return [f"{axes.x(step):.1f},{axes.y(value):.1f}" for step, value in zip(steps, values, strict=True)]
