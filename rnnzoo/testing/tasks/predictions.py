"""Predictions as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import torch

from rnnzoo.batch import Batch
from rnnzoo.testing.tasks.subject import TaskSubject, splits


@torch.no_grad()
def check_predictions(subject: TaskSubject) -> str:
    """A prediction is one JSON object for each sequence, without a target, the same in any batch."""
    task, model, batch = subject.built()

    def predictions(of: Batch) -> list[dict[str, Any]]:
        return task.predictions(model, Batch(of.inputs, of.lengths))

    found = predictions(batch)
    message = f"predictions: expected a list of {len(batch)} mappings, found {found!r:.100}"
    subject.require(isinstance(found, list) and len(found) == len(batch), message)
    subject.require(all(isinstance(row, dict) for row in found), message)
    try:
        again = json.loads(json.dumps(found, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{subject.name}: predictions: expected JSON: {error}") from error
    subject.require(_alike(again, found), "predictions: expected the same after JSON; keys are text")
    for how, parts in splits(batch).items():
        alone = [row for part in (parts[::-1] if "backwards" in how else parts) for row in predictions(part)]
        subject.require(_alike(alone, found), f"predictions: expected the same {how}")
    for answer in found:
        lines = task.describe(answer)
        described = isinstance(lines, list) and bool(lines) and all(isinstance(line, str) for line in lines)
        subject.require(described, f"describe: expected a list of lines of text, found {lines!r:.100}")
    return ", ".join(found[0])


def _alike(found: Any, wanted: Any) -> bool:
    """Whether JSON is equal, numbers up to rounding."""
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and sorted(found) == sorted(wanted)
            and all(_alike(found[k], wanted[k]) for k in wanted)
        )
    if isinstance(wanted, (list, tuple)):
        return len(found) == len(wanted) and all(map(_alike, found, wanted))
    if isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-4, abs_tol=1e-5)
    return found == wanted
