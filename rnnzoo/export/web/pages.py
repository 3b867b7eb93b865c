"""One HTML file that runs a trained model itself: no network, no runtime, JavaScript made from the engine's trace."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rnnzoo.errors import ZooError
from rnnzoo.export.web import html, parts, tasks
from rnnzoo.export.web.bundle import PRECISIONS, Bundle, Precision
from rnnzoo.export.web.cells import Writer
from rnnzoo.model import SequenceModel
from rnnzoo.reports.page import asset

MOST = 5_000_000  # bytes of a page
ASSETS = Path(__file__).parent / "page"
SCRIPTS = ("bundle.js", "text.js", "engine.js", "channels.js", "answer.js", "heat.js", "views.js", "main.js")


class Page(NamedTuple):
    """A page, and the model that it computes: with its weights rounded to what is stored."""

    source: str
    network: SequenceModel
    precision: Precision
    stored: dict[str, int]  # numbers by how they are stored
    rounds: bool  # whether any of them is not the model's own

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.source.encode())


def page(predictor: html.Trained) -> str:
    """The page of a model, of at most 5 MB. Raises: ZooError for a model that a page cannot run."""
    return make(predictor).source


def make(predictor: html.Trained, precision: Precision | None = None, text: str | None = None) -> Page:
    """The page of a model, in the highest precision of 5 MB or less, or in the one given.

    text: what stands in its field at first. Raises: ZooError.
    """
    shown = tasks.shown(predictor.task) | tasks.asked(predictor.spec)
    size = 0.0
    for candidate in PRECISIONS if precision is None else (precision,):
        made = _made(predictor, candidate, shown, text)
        if isinstance(made, Page) and made.size <= MOST:
            return made
        size = made.size if isinstance(made, Page) else made
    raise ZooError(
        f"the page would have {size / 1e6:.1f} MB, and may have {MOST / 1e6:.0f}: the model has "
        f"{parts.parameters(predictor.model):,} weights.\n  Train it with a smaller vocabulary or hidden size."
    )


def _made(predictor: html.Trained, precision: Precision, shown: dict[str, Any], text: str | None) -> Page | float:
    """The page, or about how many bytes it has where these are too many."""
    network = copy.deepcopy(predictor.model).cpu().eval()
    bundle = Bundle(precision)
    writer = Writer(bundle)
    with torch.no_grad():
        description = parts.model(network, writer)
    if bundle.least > MOST:
        return bundle.least
    view = {key: value for key, value in shown.items() if key not in ("form", "fields")}
    facts = {**description, "form": shown["form"], "fields": shown["fields"], "shown": view}
    programs = "const PROGRAMS = [\n" + ",\n".join(writer.functions) + "\n];\n"
    script = programs + "".join(asset(ASSETS / name) for name in SCRIPTS)
    source = html.page(predictor, network, facts, bundle, script, asset(ASSETS / "page.css"), text)
    return Page(source, network, precision, bundle.stored, bundle.rounds)
