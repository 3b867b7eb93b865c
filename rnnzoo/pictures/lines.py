"""Lines over one axis, each named at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rnnzoo.pictures import theme
from rnnzoo.pictures.axes import fitted, number
from rnnzoo.pictures.theme import Picture, fill, series, stroke

WIDTH, HEIGHT = 440, 270
LEFT, TOP, BOTTOM = 52, 34, 44  # margins
POINTS = 300  # of a line; it is no wider in pixels
GAP = 14  # pixels between two names
Points = Sequence[tuple[float, float]]


def lines(title: str, x_label: str, named: Mapping[str, Points], colours: Sequence[str] = ()) -> Picture:
    """One line a name. Points that are not finite are left out.

    colours: names whose colours are the first ones, here or not, so that they are the same in several charts.
    Raises: ValueError if no point is left.
    """
    drawn = {name: [point for point in points if all(map(math.isfinite, point))] for name, points in named.items()}
    drawn = {name: [*thinned(sorted(points), POINTS)] for name, points in drawn.items() if points}
    if not drawn:
        raise ValueError(f"'{title}' has nothing to draw")
    names = [theme.shortened(name, 18) for name in drawn]
    right = WIDTH - 14 - 1.08 * max(map(theme.width, names))  # they are bold
    every = [point for points in drawn.values() for point in points]
    axes = fitted((x for x, _ in every), (y for _, y in every), (LEFT, right, TOP, HEIGHT - BOTTOM))
    axes = replace(axes, left=max(LEFT, 10 + max(theme.width(number(mark)) for mark in axes.y_marks)))
    parts = [theme.heading(title), *axes.drawn(x_label)]
    ends = _above(spread([axes.y(points[-1][1]) for points in drawn.values()], GAP), axes.bottom - 2)
    numbers = {name: number for number, name in enumerate(dict.fromkeys([*colours, *drawn]))}
    for (key, points), name, end in zip(drawn.items(), names, ends, strict=True):
        colour, places = series(numbers[key]), [(axes.x(x), axes.y(y)) for x, y in points]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(
            f'<polyline points="{joined}" {stroke(colour, 2 if len(places) < 100 else 1.2)} stroke-linejoin="round"/>'
        )
        dots = places if len(places) <= 30 else places[-1:]
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" {fill(colour)}/>' for x, y in dots]
        parts.append(theme.text(right + 8, end + 4, name, "start", colour, ' font-weight="600"'))
    last = "; ".join(f"{name}: {number(points[-1][1])} at the end" for name, points in drawn.items())
    return Picture(WIDTH, HEIGHT, title, f"By {x_label}. {last}.", parts)


def thinned(points: Points, most: int) -> Points:
    """At most `most` points of the same look: of each stretch the lowest and the highest; the first and last stay."""
    if len(points) <= most:
        return points
    stretches = (most - 2) // 2
    inner, kept = points[1:-1], [points[0]]
    for index in range(stretches):
        stretch = inner[index * len(inner) // stretches : (index + 1) * len(inner) // stretches]
        kept += sorted({min(stretch, key=_height), max(stretch, key=_height)})
    return [*kept, points[-1]]


def _height(point: tuple[float, float]) -> float:
    return point[1]


def _above(heights: Sequence[float], limit: float) -> list[float]:
    """The heights, those below a limit moved up, and what they then touch."""
    result = list(heights)
    for index in sorted(range(len(result)), key=result.__getitem__, reverse=True):
        result[index] = min(result[index], limit)
        limit = min(limit, result[index]) - GAP
    return result


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """The heights in their order, moved apart until neighbours are `gap` pixels from each other; their middle stays."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    groups: list[tuple[float, int]] = []  # the middle of names that touch, and how many they are
    for index in order:
        middle, count = heights[index], 1
        while groups and middle - groups[-1][0] < gap * (count + groups[-1][1]) / 2:
            other, size = groups.pop()
            middle, count = (other * size + middle * count) / (size + count), count + size
        groups.append((middle, count))
    places = [middle + gap * (index - (count - 1) / 2) for middle, count in groups for index in range(count)]
    result = [0.0] * len(heights)
    for index, place in zip(order, places, strict=True):
        result[index] = place
    return result
