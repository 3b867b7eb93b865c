"""Numbers that were predicted over those that came true."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rnnzoo.pictures import theme
from rnnzoo.pictures.axes import Axes
from rnnzoo.pictures.svg import ticks
from rnnzoo.pictures.theme import Picture, fill, stroke

SIDE, LEFT, TOP = 250, 60, 34
POINTS = 1000  # that are drawn, evenly of more


def scatter(title: str, pairs: Sequence[tuple[float, float]]) -> Picture:
    """A dot for each pair; the closer to the diagonal, the better.

    pairs: (truth, prediction). Those that are not finite are left out. Raises: ValueError if none is left.
    """
    pairs = [pair for pair in pairs if all(map(math.isfinite, pair))]
    if not pairs:
        raise ValueError(f"'{title}' has nothing to draw")
    shown = pairs[:: math.ceil(len(pairs) / POINTS)]
    marks = ticks(min(map(min, shown)), max(map(max, shown)))
    ends = (marks[0], marks[-1])
    axes = Axes(ends, ends, marks, marks, LEFT, LEFT + SIDE, TOP, TOP + SIDE)
    parts = [theme.heading(title), *axes.drawn("truth")]
    parts.append(
        f'<path d="M{axes.left} {axes.bottom}L{axes.right} {axes.top}" {stroke("quiet")} stroke-dasharray="4 4"/>'
    )
    for truth, prediction in shown:
        at = f'cx="{axes.x(truth):.1f}" cy="{axes.y(prediction):.1f}"'
        parts.append(f'<circle {at} r="2.5" {fill("s0")} fill-opacity="0.45"/>')
    x, y = 12.0, (axes.top + axes.bottom) / 2
    parts.append(theme.text(x, y, "prediction", extra=f' transform="rotate(-90 {x:.1f} {y:.1f})"'))
    far = math.fsum(abs(truth - prediction) for truth, prediction in pairs) / len(pairs)
    return Picture(LEFT + SIDE + 20, TOP + SIDE + 44, title, f"The mean distance is {far:.4g}.", parts)
