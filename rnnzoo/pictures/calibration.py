"""A reliability diagram: whether predictions of confidence p are right a share p of the time.

Source: Niculescu-Mizil and Caruana, "Predicting good probabilities with supervised learning", ICML 2005. The expected
calibration error is the mean distance between confidence and share over the bins, by their examples: Naeini et al.,
"Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from rnnzoo.pictures import theme
from rnnzoo.pictures.axes import Axes
from rnnzoo.pictures.theme import Picture, fill, stroke

BINS = 10
SIDE, LEFT, TOP = 230, 52, 34  # of the square, and its margins
STRIP = 36  # pixels of the counts below it
TENTHS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


class Bin(NamedTuple):
    """The examples whose confidence is within a tenth."""

    examples: int
    confidence: float  # mean
    right: float  # share


def binned(examples: Iterable[tuple[float, bool]]) -> list[Bin | None]:
    """A bin of each tenth of confidence, None where it is empty. Confidences outside 0 to 1 are left out."""
    groups: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, right in examples:
        if 0 <= confidence <= 1:
            groups[min(int(confidence * BINS), BINS - 1)].append((confidence, right))
    return [
        Bin(len(group), math.fsum(c for c, _ in group) / len(group), sum(r for _, r in group) / len(group))
        if group
        else None
        for group in groups
    ]


def error(bins: list[Bin | None]) -> float:
    """The expected calibration error, 0 to 1."""
    full = [entry for entry in bins if entry is not None]
    total = sum(entry.examples for entry in full)
    return math.fsum(entry.examples * abs(entry.right - entry.confidence) for entry in full) / total


def calibration(examples: Iterable[tuple[float, bool]]) -> Picture:
    """The share that is right over the confidence, with how many examples each bin has.

    examples: (confidence from 0 to 1, whether the prediction is right). Raises: ValueError if there is none.
    """
    bins = binned(examples)
    if not any(bins):
        raise ValueError("a reliability diagram has nothing to draw")
    gap = error(bins)
    axes = Axes((0, 1), (0, 1), TENTHS, TENTHS, LEFT, LEFT + SIDE, TOP, TOP + SIDE)
    parts = [theme.heading("Calibration"), *axes.drawn("")]
    parts.append(
        f'<path d="M{axes.left} {axes.bottom}L{axes.right} {axes.top}" {stroke("quiet")} stroke-dasharray="4 4"/>'
    )
    parts.append(theme.text(axes.left - 40, (axes.top + axes.bottom) / 2, "share right", extra=_turned(axes)))
    full = [entry for entry in bins if entry is not None]
    places = [(axes.x(entry.confidence), axes.y(entry.right)) for entry in full]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(f'<polyline points="{joined}" {stroke("s0", 2)}/>')
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {fill("s0")}/>' for x, y in places]
    parts.append(theme.text(axes.left + 10, axes.top + 14, f"calibration error {100 * gap:.1f} %", "start", "ink"))
    parts += _counts(bins, axes)
    words = f"The share that is right differs from the confidence by {100 * gap:.1f} % on average."
    return Picture(LEFT + SIDE + 20, TOP + SIDE + STRIP + 62, "Calibration", words, parts)


def _counts(bins: list[Bin | None], axes: Axes) -> list[str]:
    """A bar for each bin's examples, under the square."""
    most = max(entry.examples for entry in bins if entry is not None)
    base, width = axes.bottom + 26 + STRIP, SIDE / BINS
    parts = []
    for index, entry in enumerate(bins):
        if entry is not None:
            height = max(1.0, STRIP * entry.examples / most)
            box = f'x="{axes.left + index * width + 1:.1f}" y="{base - height:.1f}" width="{width - 2:.1f}"'
            parts.append(f'<rect {box} height="{height:.1f}" {fill("quiet")} fill-opacity="0.5"/>')
    parts.append(theme.text(axes.left - 6, base, "0", "end"))
    parts.append(theme.text(axes.left - 6, base - STRIP + 8, f"{most:,}", "end"))
    return [*parts, theme.text((axes.left + axes.right) / 2, base + 20, "confidence, and how many examples have it")]


def _turned(axes: Axes) -> str:
    return f' transform="rotate(-90 {axes.left - 40:.1f} {(axes.top + axes.bottom) / 2:.1f})"'
