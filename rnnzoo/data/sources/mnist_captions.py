"""Handwritten digits in words: captions that say what is true of an image, by its label and by measuring it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.mnist import Mnist
from rnnzoo.limits import Fraction, checked

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
INK = 0.5  # a pixel of at least this is ink
THIN, THICK = 1.6, 2.1  # pixels: strokes of at most, and of at least
LEANS = 0.15  # columns to the right for each row upwards


def thickness(image: np.ndarray) -> float:
    """The mean width of the strokes in pixels: twice the ink's area over its perimeter. image: (rows, columns)."""
    ink = np.pad(image >= INK, 1)
    edges = sum(int((ink != np.roll(ink, 1, axis)).sum()) for axis in (0, 1))
    return 2 * int(ink.sum()) / max(edges, 1)


def slant(image: np.ndarray) -> float:
    """How far the ink moves to the right with each row upwards, in pixels: its regression of columns on rows."""
    rows, columns = np.indices(image.shape)
    weight = image / max(float(image.sum()), 1e-9)
    rows, columns = rows - (weight * rows).sum(), columns - (weight * columns).sum()
    return -float((weight * rows * columns).sum()) / max(float((weight * rows**2).sum()), 1e-9)


def caption(image: np.ndarray, digit: int) -> str:
    """As in "a thick seven that leans to the right , odd and greater than five"."""
    width, lean = thickness(image), slant(image)
    stroke = "thin " if width <= THIN else "thick " if width >= THICK else ""
    posture = "stands upright" if abs(lean) < LEANS else f"leans to the {'right' if lean > 0 else 'left'}"
    order = "less than" if digit < 5 else "greater than" if digit > 5 else "equal to"
    return f"a {stroke}{DIGITS[digit]} that {posture} , {('even', 'odd')[digit % 2]} and {order} five"


class MnistCaptions(Mnist):
    """The digits of MNIST, a row of 28 pixels a step, each with a caption: see `caption` and `Mnist`."""

    form = "described_series"

    @checked
    def __init__(self, revision: str | None = None, dev_fraction: Fraction = 0.1) -> None:
        super().__init__("rows", revision, dev_fraction)

    def _columns(self, rows: Any) -> Columns:
        columns = super()._columns(rows)
        pairs = zip(columns["values"], columns["label"], strict=True)
        return {**columns, "text": [caption(image, int(label)) for image, label in pairs]}

    def parts(self, parts: Any) -> dict[str, Columns]:
        splits = super().parts(parts)
        return {part: {name: columns[name] for name in ("values", "text")} for part, columns in splits.items()}
