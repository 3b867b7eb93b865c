"""The two axes of a chart: where a value is drawn, and the marks along both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rnnzoo.pictures.svg import ticks
from rnnzoo.pictures.theme import stroke, text


@dataclass(frozen=True)
class Axes:
    """The range of each axis with its round numbers, within a box of pixels."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_marks: list[float]
    y_marks: list[float]
    left: float
    right: float
    top: float
    bottom: float

    def x(self, value: float) -> float:
        """Pixels from the left."""
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        low, high = self.y_range
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def drawn(self, x_label: str) -> Iterator[str]:
        """Rules and numbers, and what is along the x axis."""
        for mark in self.y_marks:
            yield f'<path d="M{self.left:.1f} {self.y(mark):.1f}H{self.right:.1f}" {stroke("rule")}/>'
            yield text(self.left - 6, self.y(mark) + 4, number(mark), "end")
        for mark in self.x_marks:
            yield text(self.x(mark), self.bottom + 17, number(mark))
        yield text((self.left + self.right) / 2, self.bottom + 34, x_label)


def fitted(xs: Iterable[float], ys: Iterable[float], box: tuple[float, float, float, float]) -> Axes:
    """Axes for these values: a curve uses the whole width, and the height between round numbers.

    box: left, right, top, bottom.
    """
    xs, y_marks = list(xs), ticks(min(ys := list(ys)), max(ys))
    low, high = min(xs), max(xs)
    whole = all(float(x).is_integer() for x in xs)
    marks = ticks(low, high, whole=whole)
    if low == high:
        low, high = low - 0.5, high + 0.5
    inside = [mark for mark in marks if low <= mark <= high]
    return Axes((low, high), (y_marks[0], y_marks[-1]), inside, y_marks, *box)


def number(value: float) -> str:
    """A mark's number, short: "0.25", "1,500", "2.5M"."""
    if value and abs(value) >= 1e15:
        return f"{value:.3g}"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.4g}{unit}"
    return f"{value:,.6g}"
