"""The pictures of a run, from what its folder holds."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rnnzoo.errors import RunError
from rnnzoo.pictures import curves
from rnnzoo.pictures.bars import bars
from rnnzoo.pictures.calibration import calibration, reliability
from rnnzoo.pictures.confusion import confusion
from rnnzoo.pictures.forecast import forecast
from rnnzoo.pictures.lines import lines
from rnnzoo.pictures.scatter import scatter
from rnnzoo.pictures.theme import Picture
from rnnzoo.reports.examples import Examples
from rnnzoo.runs import calibration as calibrations
from rnnzoo.runs import predictions
from rnnzoo.runs.summary import Summary

log = logging.getLogger("rnnzoo")
CURVES = 16  # that are drawn


def read_examples(folder: Path, facts: Summary) -> Examples | None:
    """The results of the test, one by one; None where the run kept none, or they cannot be read."""
    if not (folder / predictions.FILE).exists():
        return None
    try:
        file = predictions.read(folder)
        metrics = file.header.metrics
        monitor = facts.get("best", {}).get("monitor", "").partition("/")[2]
        return Examples(file, monitor if monitor in metrics else next(iter(metrics), None))
    except RunError as error:
        log.warning("%s", error)
        return None


def draw_curves(folder: Path) -> dict[str, Picture]:
    """The loss and each metric in training and validation, by the file's name; none where there are no records."""
    try:
        by_name = curves.by_step(curves.read(folder))
    except (OSError, ValueError):
        return {}
    return {
        f"curve-{_file_name(name)}": lines(name, "step", stages, curves.STAGES)
        for name, stages in list(by_name.items())[:CURVES]
    }


def draw_examples(examples: Examples | None) -> dict[str, Picture]:
    """What the test's results show, by the file's name: as far as there are labels, confidences or numbers."""
    if examples is None:
        return {}
    pairs = examples.label_pairs()
    charts: dict[str, Callable[[], Picture]] = {
        "confusion": lambda: confusion(pairs),
        "calibration": lambda: calibration(examples.confidences()),
        "labels": lambda: _by_label(pairs),
        "truth": lambda: scatter("Prediction over truth", examples.numbers()),
    }
    for name, one in examples.forecasts().items():
        charts[f"forecast-{name}"] = partial(forecast, f"Forecast and truth: the {name} of the test", one)
    pictures = {}
    for name, chart in charts.items():
        with contextlib.suppress(ValueError):  # there is nothing to draw
            pictures[name] = chart()
    return pictures


def draw_calibration(folder: Path) -> dict[str, Picture]:
    """The reliability before and after the temperature, on test or, where there is no test, on dev."""
    found = calibrations.read(folder)
    part = "test" if "test" in found else "dev"
    with contextlib.suppress(ValueError, KeyError, TypeError):  # there is none, or a stranger wrote the file
        bins = found[part]  # type: ignore[literal-required]  # test or dev
        return {"calibration": reliability(part, bins["before"]["bins"], bins["after"]["bins"])}
    return {}


def _by_label(pairs: list[tuple[str, str]]) -> Picture:
    """The F1 of each label, 2 tp / (2 tp + fp + fn)."""
    true, guessed = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    right = Counter(truth for truth, prediction in pairs if truth == prediction)
    scores = {label: 2 * right[label] / (count + guessed[label]) for label, count in true.items()}
    return bars("F1 by label", scores, true)


def _file_name(metric: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in metric)[:40]
