"""Published figures, by recipe: published.yaml, whose head describes its keys."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

MADE_HERE = "made here"  # in place of a published figure, where there is none to compare with
UNCHECKED = " (not checked at its source)"


class Figure(TypedDict, total=False):
    """A published number. differs: what is not alike. checked: where it was found."""

    value: float
    by: str
    differs: str
    checked: str


class Shown(TypedDict, total=False):
    """A row of the table: which score of which parts, in which unit, beside which figures."""

    metric: str
    parts: list[str]
    unit: str
    figures: list[Figure]


def published() -> dict[str, list[Shown]]:
    """The rows of each recipe."""
    import yaml

    return yaml.safe_load((Path(__file__).parent / "published.yaml").read_text(encoding="utf-8"))


def cited(figure: Figure) -> str:
    """ "0.8363: LSTM-CRF (Lample and others); differs: ...": one published figure with all that belongs to it."""
    differs = f"; differs: {figure['differs']}" if "differs" in figure else ""
    return f"{figure['value']}: {figure['by']}{differs}" + ("" if "checked" in figure else UNCHECKED)
