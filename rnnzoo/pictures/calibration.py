"""A reliability diagram: whether predictions of confidence p are right a share p of the time.

Source: Niculescu-Mizil and Caruana, "Predicting good probabilities with supervised learning", ICML 2005. The expected
calibration error is the mean distance between confidence and share over the bins, by their examples: Naeini et al.,
"Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rnnzoo.pictures import theme
from rnnzoo.pictures.axes import Axes
from rnnzoo.pictures.theme import Picture, fill, stroke

BINS = 10
MOST = 100  # bins that are drawn
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
    words = f"The share that is right differs from the confidence by {100 * gap:.1f} % on average."
    return _drawn("Calibration", {f"calibration error {100 * gap:.1f} %": bins}, words)


def reliability(part: str, before: Sequence[Sequence[float]], after: Sequence[Sequence[float]]) -> Picture:
    """The diagrams of a part of the data before and after its confidences were calibrated, in one.

    before, after: [answers, mean confidence, share right] of each bin that has any. Raises: ValueError if none has.
    """
    both = {}
    for name, rows in {"before": before, "after": after}.items():
        bins: list[Bin | None] = [Bin(int(many), confidence, right) for many, confidence, right in rows if many > 0]
        if not 0 < len(bins) <= MOST or not all(0 <= share <= 1 for entry in bins if entry for share in entry[1:]):
            raise ValueError("a reliability diagram has nothing to draw")
        both[f"{name}: error {100 * error(bins):.1f} %"] = bins
    return _drawn(f"Calibration on {part}", both, f"Confidence against the share that is right; {', '.join(both)}.")


def _drawn(title: str, named: Mapping[str, list[Bin | None]], words: str) -> Picture:
    """A line for each name, and under them how many examples the last one has in each tenth."""
    axes = Axes((0, 1), (0, 1), TENTHS, TENTHS, LEFT, LEFT + SIDE, TOP, TOP + SIDE)
    parts = [theme.heading(title), *axes.drawn("")]
    parts.append(
        f'<path d="M{axes.left} {axes.bottom}L{axes.right} {axes.top}" {stroke("quiet")} stroke-dasharray="4 4"/>'
    )
    parts.append(theme.text(axes.left - 40, (axes.top + axes.bottom) / 2, "share right", extra=_turned(axes)))
    for number, (name, bins) in enumerate([*named.items()][::-1]):  # the last one has the first colour
        colour = theme.series(number)
        places = [(axes.x(entry.confidence), axes.y(entry.right)) for entry in bins if entry is not None]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{joined}" {stroke(colour, 2)}/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {fill(colour)}/>' for x, y in places]
        line = axes.top + 14 + 16 * (len(named) - 1 - number)
        parts.append(theme.text(axes.left + 10, line, name, "start", colour if len(named) > 1 else "ink"))
    parts += _counts([*named.values()][-1], axes)
    return Picture(LEFT + SIDE + 20, TOP + SIDE + STRIP + 62, title, words, parts)


def _counts(bins: list[Bin | None], axes: Axes) -> list[str]:
    """A bar for each bin's examples, under the square."""
    most = max(entry.examples for entry in bins if entry is not None)
    base, width = axes.bottom + 26 + STRIP, SIDE / max(BINS, len(bins))
    parts = []
    for entry in bins:
        if entry is not None:
            start = min(max(axes.x(entry.confidence) - width / 2, axes.left), axes.right - width)
            height = max(1.0, STRIP * entry.examples / most)
            box = f'x="{start + 1:.1f}" y="{base - height:.1f}" width="{width - 2:.1f}"'
            parts.append(f'<rect {box} height="{height:.1f}" {fill("quiet")} fill-opacity="0.5"/>')
    parts.append(theme.text(axes.left - 6, base, "0", "end"))
    parts.append(theme.text(axes.left - 6, base - STRIP + 8, f"{most:,}", "end"))
    return [*parts, theme.text((axes.left + axes.right) / 2, base + 20, "confidence, and how many examples have it")]


def _turned(axes: Axes) -> str:
    return f' transform="rotate(-90 {axes.left - 40:.1f} {(axes.top + axes.bottom) / 2:.1f})"'
