"""What trackers get of a run beside its metrics: its config at the start; its facts, tables and plots at the end.

Tables and plots are of the test's results, example by example, that the run's folder holds (`rnnzoo.runs.predictions`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger

from rnnzoo.pictures.lines import Points, lines
from rnnzoo.pictures.theme import Picture
from rnnzoo.recipe import Recipe
from rnnzoo.reports import drawing
from rnnzoo.reports.examples import Examples
from rnnzoo.reports.write import FAILURES
from rnnzoo.runs import tracking
from rnnzoo.runs.summary import Summary
from rnnzoo.system import files
from rnnzoo.system.memory import peak_memory

WORST = 200  # examples of the table, at most
AT_START = ("digest", "versions", "commit", "parameters", "hardware", "scoring", "directions", "precision", "threads")
COUNTS = ("parameters", "steps", "epochs", "tokens", "train_seconds", "cpu_seconds", "peak_gpu_memory_bytes")
DATA = ("id", "revision", "fingerprint", "scored_rows", "sizes")
log = logging.getLogger("rnnzoo")


def config(recipe: Recipe, summary: Summary) -> dict[str, Any]:
    """The resolved recipe, and as `facts` what it is run with: its digest, versions of all plugins, data, machine."""
    facts: dict[str, object] = {key: summary[key] for key in AT_START if key in summary}  # type: ignore[literal-required]
    data: Mapping[str, object] = summary.get("data", {})  # type: ignore[assignment]
    return {**recipe, "facts": {**facts, "data": {key: data[key] for key in DATA if data.get(key) is not None}}}


def facts(summary: Summary) -> dict[str, object]:
    """A finished run in numbers: its scores, its cost, its speed, its memory, and what ran each layer."""
    values: dict[str, object] = dict(summary.get("metrics", {}))
    values |= {key: summary[key] for key in COUNTS if key in summary}  # type: ignore[literal-required]
    if "best" in summary:
        values["best"] = {key: summary["best"].get(key) for key in ("monitor", "mode")}
    values["tokens_per_second"] = summary.get("throughput", {}).get("tokens_per_second")
    values["peak_memory_bytes"] = peak_memory()
    values |= {f"engine/{layer['layer']}": layer.get("path") for layer in summary.get("engine", []) if "layer" in layer}
    values |= {f"hardware/{name}": value for name, value in summary.get("hardware", {}).items()}
    return {name: value for name, value in values.items() if value is not None}


def attempt(loggers: Sequence[Logger], folder: Path, summary: Summary) -> None:
    """Give the trackers the facts, tables and plots of a finished run. What fails is one warning: the run is done."""
    if not tracking.has_trackers(loggers):
        return
    tracking.summarise(loggers, facts(summary))
    try:
        examples, step = drawing.read_examples(folder, summary), summary["steps"]
        if examples is None:
            return
        for name, (columns, rows) in tables(examples).items():
            tracking.log_table(loggers, f"test/{name}", columns, rows, step)
        for name, picture in {**drawing.draw_examples(examples), **dict(rates(examples))}.items():
            tracking.show(loggers, f"test/{name}", picture.svg(), step)
    except FAILURES as error:
        log.warning("The run's tables and plots are not tracked: %s", files.reason(error))


def tables(examples: Examples) -> dict[str, tuple[list[str], list[list[object]]]]:
    """Columns and rows, by name: the examples that the model got most wrong, and the scores of each class."""
    chosen = examples.worst(WORST) or examples.random(WORST)
    names = ["input", "truth", "prediction", "confidence", "score"]
    names = ["id", *(name for name in names if any(getattr(example, name) is not None for example in chosen))]
    found = {"predictions": (names, [[getattr(example, name) for name in names] for example in chosen])}
    if pairs := examples.label_pairs():
        found["classes"] = (["class", "precision", "recall", "f1", "count"], classes(pairs))
    return found


def classes(pairs: Sequence[tuple[str, str]]) -> list[list[object]]:
    """Class, precision, recall, F1 and how often it is right, a row per class. pairs: truth and prediction.

    Precision is None where a class was never given, recall where it never was right.
    """
    true, given = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    right = Counter(truth for truth, prediction in pairs if truth == prediction)
    return [
        [
            name,
            right[name] / given[name] if given[name] else None,
            right[name] / true[name] if true[name] else None,
            2 * right[name] / (true[name] + given[name]),
            true[name],
        ]
        for name in sorted({*true, *given})
    ]


def rates(examples: Examples) -> Iterator[tuple[str, Picture]]:
    """Precision over recall, and true over false positives, of the second of two classes: of more, confidence says too
    little."""
    labels, confidence = examples.file.header.labels, examples.file.confidence
    truths, predictions = examples.truths, examples.predictions
    if len(labels) != 2 or confidence is None or truths is None or predictions is None:
        return
    import torch
    from torchmetrics.functional.classification import binary_precision_recall_curve, binary_roc

    positive = torch.tensor([prediction == labels[1] for prediction in predictions])
    sure = torch.tensor(confidence.copy())
    target = torch.tensor([int(truth == labels[1]) for truth in truths])
    if target.min() == target.max():
        return
    scores = torch.where(positive, sure, 1 - sure)
    precision, recall, _ = binary_precision_recall_curve(scores, target)
    false, true, _ = binary_roc(scores, target)
    curves = {"precision": _points(recall, precision)}
    yield "precision_recall", lines(f"Precision over recall: {labels[1]}", "recall", curves)
    yield "roc", lines(f"ROC: {labels[1]}", "false positive rate", {"true positive rate": _points(false, true)})


def _points(xs: Any, ys: Any) -> Points:
    return list(zip(xs.tolist(), ys.tolist(), strict=True))
