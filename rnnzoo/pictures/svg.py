"""Charts with a legend, and grids, as SVG text, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rnnzoo.pictures import theme
from rnnzoo.pictures.theme import Picture, fill, series, stroke

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

    x, y = 16.0, (TOP + HEIGHT - BOTTOM) / 2
    turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"'
    parts = [_title(WIDTH / 2, title), theme.text(x, y, y_label, extra=turned)]
    parts.append(theme.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_label))
    for tick in x_ticks:
        x, y = place(tick, y_ticks[0])
        parts += [f'<path d="M{x:.1f} {y:.1f}v4" {stroke("quiet")}/>', theme.text(x, y + 18, f"{tick:g}")]
    for tick in y_ticks:
        x, y = place(x_ticks[0], tick)
        parts.append(f'<path d="M{x:.1f} {y:.1f}H{WIDTH - RIGHT}" {stroke("rule")}/>')
        parts.append(theme.text(x - 6, y + 4, _named(tick, log_y), "end"))
    legend = min(WIDTH - 150, max(LEFT, WIDTH - 30 - LETTER * max(map(len, drawn))))
    for number, (name, points) in enumerate(drawn.items()):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        parts.append(f'<polyline points="{path}" {stroke(series(number), 2)}/>')
        y = TOP + 6 + 16 * number
        parts.append(f'<path d="M{legend} {y}h20" {stroke(series(number), 2)}/>')
        parts.append(theme.text(legend + 26, y + 4, name, "start", "ink"))
    return Picture(WIDTH, HEIGHT, title, f"{y_label} by {x_label}: {', '.join(drawn)}.", parts).svg()


def grid(title: str, columns: Sequence[str], rows: Sequence[str], values: Sequence[Sequence[float]]) -> str:
    """A square for each row and column, named on top and on the left; from white, 0, to dark, 1."""
    side, left = 22, 20 + 7.5 * max(map(len, rows))
    top = 50 + 7.5 * max(map(len, columns))
    width, height = max(left + side * len(columns) + 10, 9.0 * len(title)), top + side * len(rows) + 10
    parts = [_title(width / 2, title)]
    for number, name in enumerate(columns):
        x, y = left + side * (number + 0.7), top - 6
        parts.append(theme.text(x, y, name, "start", "ink", f' transform="rotate(-90 {x:.1f} {y:.1f})"'))
    for number, (name, line) in enumerate(zip(rows, values, strict=True)):
        y = top + side * number
        parts.append(theme.text(left - 6, y + side * 0.7, name, "end", "ink"))
        for column, value in enumerate(line):
            x = left + side * column
            shade = f'{fill("s0")} fill-opacity="{value:.3f}"'
            parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{side}" height="{side}" {shade}/>')
    summary = f"{len(rows)} rows by {len(columns)} columns."
    return Picture(width, height, title, summary, parts).svg()


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


def _title(middle: float, words: str) -> str:
    return theme.text(middle, 22, words, shade="ink", extra=' font-size="15"')
