"""calibration.json of a run: its temperature, and how well confidences come true. Read without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, cast

from rnnzoo.runs.summary import fitting
from rnnzoo.system import files

FILE = "calibration.json"


class Bins(TypedDict, total=False):
    """ece: the expected calibration error, 0 to 1. bins: [answers, mean confidence, share right] of each."""

    ece: float
    bins: list[list[float]]


class Part(TypedDict, total=False):
    """A part of the data: how many answers, and how well their confidences came true at temperature 1 and after."""

    answers: int
    before: Bins
    after: Bins


class Calibrated(TypedDict, total=False):
    """What `rnnzoo.training.callbacks.calibrator` writes."""

    temperature: float
    thresholds: dict[str, float]
    dev: Part
    test: Part


def read(folder: Path) -> Calibrated:
    """A run's calibration; what is missing, or of a wrong type, is left out."""
    try:
        value = files.read_json(folder / FILE)
    except (OSError, ValueError):
        return {}
    return cast(Calibrated, fitting(value, Calibrated)) if isinstance(value, dict) else {}


def errors(found: Calibrated) -> dict[str, float]:
    """The expected calibration errors by "dev before", "dev after", "test before", "test after", as far as they are."""
    parts: dict[str, Part] = {"dev": found.get("dev", {}), "test": found.get("test", {})}
    named: dict[str, Bins] = {}
    for name, part in parts.items():
        named |= {f"{name} before": part.get("before", {}), f"{name} after": part.get("after", {})}
    return {name: bins["ece"] for name, bins in named.items() if "ece" in bins}
