"""A confusion matrix: how often each label was given, for each label that is right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from rnnzoo.pictures import theme
from rnnzoo.pictures.theme import Picture, fill

LABELS = 24  # that have a row; the rarest of more are one row together
OTHERS = "(others)"
SIDE_MIN, SIDE_MAX, SPAN = 25, 76, 300  # pixels of a cell; about of all
NAME = 16  # letters of a label


def confusion(pairs: Iterable[tuple[str, str]]) -> Picture:
    """Rows are the truth, columns the prediction; a cell's colour is its share of its row.

    pairs: (truth, prediction) of each example. Raises: ValueError if there is none.
    """
    counts = Counter(pairs)
    if not counts:
        raise ValueError("a confusion matrix has nothing to draw")
    labels, table = matrix(counts)
    side = max(SIDE_MIN, min(SIDE_MAX, SPAN // len(labels)))
    names = [theme.shortened(label, NAME) for label in labels]
    upright = max(map(theme.width, names)) > side - 4  # a name that is wider than its column is turned
    longest = max(map(theme.width, names))
    left, top = 34 + longest, 50 + (longest if upright else 12)
    parts = [theme.heading("Confusion matrix"), _axis_name("truth", left, top, side * len(labels))]
    parts.append(theme.text(left + side * len(labels) / 2, 36, "prediction"))
    for index, name in enumerate(names):
        middle = (index + 0.5) * side
        parts.append(theme.text(left - 6, top + middle + 4, name, "end", "ink"))
        x, y = left + middle, top - 6
        turn = f' transform="rotate(-90 {x + 4:.1f} {y:.1f})"' if upright else ""
        parts.append(theme.text(x + (4 if upright else 0), y, name, "start" if upright else "middle", "ink", turn))
    for row, line in enumerate(table):
        for column, count in enumerate(line):
            parts += _cell(left + side * column, top + side * row, side, count, sum(line))
    right = sum(count for (truth, prediction), count in counts.items() if truth == prediction)
    total = sum(counts.values())
    width = max(left + side * len(labels) + 8, 220)
    words = f"{right:,} of {total:,} right. {_worst(counts)}"
    return Picture(width, top + side * len(labels) + 8, "Confusion matrix", words, parts)


def matrix(counts: Counter[tuple[str, str]]) -> tuple[list[str], list[list[int]]]:
    """The labels in order, and the counts by truth and prediction; beyond `LABELS`, the rarest labels as one."""
    total: Counter[str] = Counter()
    for (truth, prediction), count in counts.items():
        total[truth] += count
        total[prediction] += count
    labels = sorted(total, key=_in_order)
    if len(labels) > LABELS:
        labels = sorted((label for label, _ in total.most_common(LABELS - 1)), key=_in_order)
        labels.append(OTHERS)
    index = {label: number for number, label in enumerate(labels)}
    rest = len(labels) - 1  # only asked for where there are others
    table = [[0] * len(labels) for _ in labels]
    for (truth, prediction), count in counts.items():
        table[index.get(truth, rest)][index.get(prediction, rest)] += count
    return labels, table


def _in_order(label: str) -> list[tuple[int, str]]:
    """For sorting: numbers within names by their size, "label 2" before "label 10"."""
    return [
        (len(digits) if digits else 0, digits or other) for digits, other in re.findall(r"([0-9]+)|([^0-9]+)", label)
    ]


def _cell(x: float, y: float, side: float, count: int, total: int) -> list[str]:
    share = count / total if total else 0.0
    box = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{side - 2:.1f}" height="{side - 2:.1f}" rx="2"'
    parts = [f'<rect {box} {fill("rule")} fill-opacity="0.5"/>']
    parts += [f'<rect {box} {fill("s0")} fill-opacity="{share:.3f}"/>'] if count else []
    texts = (f"{count:,}", f"{count / 1e3:.1f}k", f"{count / 1e3:.0f}k", f"{count / 1e6:.0f}M")
    words = next((words for words in texts if theme.width(words) <= side - 1), None)
    if count and words is not None:
        shade = "strong" if share > 0.5 else "ink"
        parts.append(theme.text(x + side / 2, y + side / 2 + 4, words, shade=shade))
    return parts


def _axis_name(words: str, left: float, top: float, height: float) -> str:
    x, y = 12.0, top + height / 2
    return theme.text(x, y, words, extra=f' transform="rotate(-90 {x:.1f} {y:.1f})"')


def _worst(counts: Counter[tuple[str, str]]) -> str:
    """The mistake that was made most often, in words."""
    wrong = {pair: count for pair, count in counts.items() if pair[0] != pair[1]}
    if not wrong:
        return "No mistake."
    (truth, prediction), count = max(wrong.items(), key=lambda item: (item[1], item[0]))
    return f"Most often mistaken: {truth} for {prediction}, {count:,} times."
