"""Curves of a run: its metrics in training and validation, from the records of its metrics.jsonl."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rnnzoo.errors import RunError
from rnnzoo.pictures.lines import HEIGHT, WIDTH, lines
from rnnzoo.pictures.theme import Picture
from rnnzoo.system import files

Curve = dict[int, float]  # epoch, from 1 -> value
Record = Mapping[str, Any]
STAGES = ("train", "val")
BYTES = 256 * 2**20  # of a run's metrics


def draw(folder: Path, path: Path) -> None:
    """Write the curves of the run in `folder` to an SVG file. Raises: RunError."""
    if path.suffix.lower() != ".svg":
        raise RunError(f"curves are written as SVG, got '{path}'.\n  Give a name such as curves.svg; browsers show it.")
    try:
        records = read(folder)
    except (OSError, ValueError) as cause:
        raise RunError(f"cannot read {folder / 'metrics.jsonl'}: {files.reason(cause)}.") from cause
    by_name = curves(records)
    if not by_name:
        raise RunError(f"{folder} has no epoch that was both trained and validated, so there is no curve.")
    files.write_text(path, svg(by_name, folder.name))


def read(folder: Path) -> list[Record]:
    """The records of a run's metrics; a line that a crash cut short is left out. Raises: OSError, ValueError."""
    records: list[Record] = []
    for line in files.read_text(folder / "metrics.jsonl", BYTES).split("\n"):
        try:
            record = files.json_value(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def curves(records: Iterable[Record]) -> dict[str, dict[str, Curve]]:
    """By name, what both training and validation have; the last value of each epoch counts. The loss comes last."""
    by_name: dict[str, dict[str, Curve]] = {}
    for record in records:
        for key, value in record.items():
            stage, _, name = key.partition("/")
            epoch = record.get("epoch")
            if stage in STAGES and isinstance(epoch, int) and _is_finite(value):
                by_name.setdefault(name, {}).setdefault(stage, {})[epoch + 1] = value
    both = {name: stages for name, stages in by_name.items() if len(stages) == len(STAGES)}
    return dict(sorted(both.items(), key=lambda item: (item[0] == "loss", item[0])))


def svg(by_name: Mapping[str, Mapping[str, Curve]], title: str) -> str:
    """One panel a name, side by side, training and validation in each."""
    panels = [
        lines(name, "epoch", {stage: list(stages[stage].items()) for stage in STAGES}, STAGES)
        for name, stages in by_name.items()
    ]
    parts = []
    for column, panel in enumerate(panels):
        parts += [f'<g transform="translate({WIDTH * column} 0)">', *panel.parts, "</g>"]
    summary = " ".join(f"{panel.title}: {panel.summary}" for panel in panels)
    return Picture(WIDTH * len(panels), HEIGHT, title, summary, parts).svg()


def by_step(records: Iterable[Record]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """By name and stage, the values over the optimizer steps so far: the loss first, then what validation has.

    `train/loss_step`, the loss of single batches, is left out where epochs have a mean.
    """
    by_name: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for record in records:
        step = record.get("step")
        if not isinstance(step, int):
            continue
        for key, value in record.items():
            stage, _, name = key.partition("/")
            if stage in STAGES and _is_finite(value):
                by_name.setdefault(name, {}).setdefault(stage, []).append((step + 1, value))
    if "train" in by_name.get("loss", {}):
        by_name.pop("loss_step", None)
    return dict(sorted(by_name.items(), key=lambda item: (item[0] != "loss", "val" not in item[1], item[0])))


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
