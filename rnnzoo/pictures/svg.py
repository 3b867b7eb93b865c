"""Line charts and grids as SVG text, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#c77d0a", "#7b4ea3", "#555555")
WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50  # margins
LETTER = 7  # about as wide as one

Points = Sequence[tuple[float, float]]


def chart(title: str, x_label: str, y_label: str, lines: Mapping[str, Points], log_y: bool = False) -> str:
    """One chart of named lines. A point that is not finite, or not positive on a logarithmic axis, is left out.

    Raises: ValueError if no point is left.
    """
    drawn = {
        name: [(x, math.log10(y) if log_y else y) for x, y in points if math.isfinite(y) and (y > 0 or not log_y)]
        for name, points in lines.items()
    }
    everything = [point for points in drawn.values() for point in points]
    if not everything:
        raise ValueError(f"'{title}' has nothing to draw")
    x_ticks = ticks(min(x for x, _ in everything), max(x for x, _ in everything))
    y_ticks = ticks(min(y for _, y in everything), max(y for _, y in everything), whole=log_y)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(WIDTH / 2, 22, title, size=15),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_label),
        f'<g transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2:.0f})">'
        + _text(16, (TOP + HEIGHT - BOTTOM) / 2, y_label)
        + "</g>",
    ]
    for tick in x_ticks:
        x, y = place(tick, y_ticks[0])
        parts += [_line(x, y, x, y + 4), _text(x, y + 18, f"{tick:g}")]
    for tick in y_ticks:
        x, y = place(x_ticks[0], tick)
        parts += [_line(x, y, WIDTH - RIGHT, y, "#e5e5e5"), _text(x - 6, y + 4, _named(tick, log_y), "end")]
    legend = min(WIDTH - 150, max(LEFT, WIDTH - 30 - LETTER * max(map(len, drawn))))
    for number, (name, points) in enumerate(drawn.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = TOP + 6 + 16 * number
        parts += [_line(legend, y, legend + 20, y, colour, 2), _text(legend + 26, y + 4, name, "start")]
    return "\n".join([*parts, "</svg>", ""])


def grid(title: str, columns: Sequence[str], rows: Sequence[str], values: Sequence[Sequence[float]]) -> str:
    """A square for each row and column, named on top and on the left; from white, 0, to dark, 1."""
    side, left = 22, 20 + 7.5 * max(map(len, rows))
    top = 50 + 7.5 * max(map(len, columns))
    width, height = max(left + side * len(columns) + 10, 9.0 * len(title)), top + side * len(rows) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif">',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        _text(width / 2, 22, title, size=15),
    ]
    for number, name in enumerate(columns):
        x, y = left + side * (number + 0.7), top - 6
        parts.append(f'<g transform="rotate(-90 {x:.1f} {y:.1f})">{_text(x, y, name, "start")}</g>')
    for number, (name, line) in enumerate(zip(rows, values, strict=True)):
        y = top + side * number
        parts.append(_text(left - 6, y + side * 0.7, name, "end"))
        for column, value in enumerate(line):
            x = left + side * column
            shade = f'fill="{COLOURS[0]}" fill-opacity="{value:.3f}"'
            parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{side}" height="{side}" {shade} stroke="#eee"/>')
    return "\n".join([*parts, "</svg>", ""])


def ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Two to nine round numbers, evenly spaced, from at most `low` to at least `high`; whole ones if asked for."""
    largest = max(abs(low), abs(high))
    span = max(high - low or largest or 1.0, 1e-9 * largest, 1e-300)  # no step may be lost in rounding
    power = 10.0 ** math.floor(math.log10(span / 6))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 6)
    step = max(1.0, math.ceil(step)) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _named(tick: float, log: bool) -> str:
    return f"1e{tick:g}" if log else f"{tick:g}"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = "#333", width: int = 1) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, words: str, anchor: str = "middle", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
