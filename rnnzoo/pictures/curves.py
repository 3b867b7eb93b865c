"""Curves of a run: what training and validation gave epoch by epoch, drawn as SVG from its metrics.jsonl."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from rnnzoo.errors import RunError
from rnnzoo.pictures.svg import ticks
from rnnzoo.system import files

Curve = dict[int, float]  # epoch, from 1 -> value
WIDTH, HEIGHT = 420, 300  # of a panel, pixels
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 36, 44  # its margins
COLOURS = {"train": "#0b62a4", "val": "#d95f02"}


def draw(folder: Path, path: Path) -> None:
    """Write the curves of the run in `folder` to an SVG file. Raises: RunError."""
    if path.suffix.lower() != ".svg":
        raise RunError(f"curves are written as SVG, got '{path}'.\n  Give a name such as curves.svg; browsers show it.")
    try:
        lines = files.read_text(folder / "metrics.jsonl", 2**30).split("\n")
    except (OSError, ValueError) as cause:
        raise RunError(f"cannot read {folder / 'metrics.jsonl'}: {files.reason(cause)}.") from cause
    by_name = curves(_records(lines))
    if not by_name:
        raise RunError(f"{folder} has no epoch that was both trained and validated, so there is no curve.")
    files.write_text(path, svg(by_name, folder.name))


def curves(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Curve]]:
    """By name, what both training and validation have; the last value of each epoch counts. The loss comes last."""
    by_name: dict[str, dict[str, Curve]] = {}
    for record in records:
        for key, value in record.items():
            stage, _, name = key.partition("/")
            epoch = record.get("epoch")
            if stage in COLOURS and isinstance(epoch, int) and isinstance(value, (int, float)) and math.isfinite(value):
                by_name.setdefault(name, {}).setdefault(stage, {})[epoch + 1] = value
    both = {name: stages for name, stages in by_name.items() if len(stages) == len(COLOURS)}
    return dict(sorted(both.items(), key=lambda item: (item[0] == "loss", item[0])))


def svg(by_name: Mapping[str, Mapping[str, Curve]], title: str) -> str:
    """One panel a name, side by side, training and validation in each."""
    size = f'width="{WIDTH * len(by_name)}" height="{HEIGHT}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">']
    lines += [f"<title>{escape(title)}</title>", '<rect width="100%" height="100%" fill="white"/>']
    for column, (name, stages) in enumerate(by_name.items()):
        lines += [f'<g transform="translate({WIDTH * column} 0)">', *_panel(name, stages), "</g>"]
    return "\n".join([*lines, "</svg>", ""])


def _panel(name: str, stages: Mapping[str, Curve]) -> Iterator[str]:
    epochs = sorted({epoch for curve in stages.values() for epoch in curve})
    values = [value for curve in stages.values() for value in curve.values()]
    marks = ticks(min(values), max(values))
    low, high, right, bottom = marks[0], marks[-1], WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(epoch: float) -> float:
        span = epochs[-1] - epochs[0]
        return LEFT + (right - LEFT) * ((epoch - epochs[0]) / span if span else 0.5)

    def y(value: float) -> float:
        return bottom - (bottom - TOP) * (value - low) / (high - low)

    yield f'<text x="{WIDTH / 2}" y="20" text-anchor="middle" font-size="14">{escape(name)}</text>'
    for mark in marks:
        yield f'<path d="M{LEFT} {y(mark):.1f}H{right}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:.6g}</text>'
    for epoch in epochs[:: math.ceil(len(epochs) / 10)]:
        yield f'<text x="{x(epoch):.1f}" y="{bottom + 18}" text-anchor="middle">{epoch}</text>'
    yield f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">epoch</text>'
    for index, (stage, colour) in enumerate(COLOURS.items()):
        points = [f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in sorted(stages[stage].items())]
        yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for cx, _, cy in (point.partition(",") for point in points):
            yield f'<circle cx="{cx}" cy="{cy}" r="3" fill="{colour}"/>'
        yield f'<text x="{right - 60 * (1 - index)}" y="{TOP - 6}" text-anchor="end" fill="{colour}">{stage}</text>'


def _records(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The objects of JSON lines; one that a crash cut short is left out."""
    for line in lines:
        try:
            record = files.json_value(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record
