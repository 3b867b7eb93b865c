"""per_class.json of a run: precision, recall, F1 and support of each class in the test. Read without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, cast

from rnnzoo.runs.summary import fitting
from rnnzoo.system import files

FILE = "per_class.json"


class Scores(TypedDict, total=False):
    """Of a class, or of several. support: how often it is true."""

    precision: float
    recall: float
    f1: float
    support: int


class PerClass(TypedDict, total=False):
    """micro: of all decisions. macro: means over the classes that are said or true."""

    micro: Scores
    macro: Scores
    classes: dict[str, Scores]


def read(folder: Path) -> PerClass:
    """A run's scores by class; what is missing, or of a wrong type, is left out."""
    try:
        value = files.read_json(folder / FILE)
    except (OSError, ValueError):
        return {}
    return cast(PerClass, fitting(value, PerClass)) if isinstance(value, dict) else {}
