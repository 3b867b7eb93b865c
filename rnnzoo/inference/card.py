"""What a trained model is, in a few lines: printed in Python, shown in a notebook."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, Protocol

from rnnzoo.batch import DataSpec
from rnnzoo.errors import RunError, ZooError
from rnnzoo.recipe import Recipe
from rnnzoo.reports import page
from rnnzoo.runs.report import network
from rnnzoo.runs.summary import Summary
from rnnzoo.system import files
from rnnzoo.system.console import inline, printable, short
from rnnzoo.system.quantities import amount

LABELS = 8  # that are named
SCORES = 4
HEIGHT = 640  # pixels of a page in a notebook
STYLE = "border-collapse:collapse;font:13px/1.5 system-ui,sans-serif"
Rows = list[tuple[str, str]]


class Trained(Protocol):
    """A trained model, as `rnnzoo.load` gives it."""

    recipe: Recipe
    spec: DataSpec
    model: Any
    run: Path | None

    @property
    def summary(self) -> Summary: ...


def rows(predictor: Trained) -> Rows:
    """Names and values: what the model answers, how it is built, what it was trained on, how well it does."""
    recipe, summary = predictor.recipe, _summary(predictor)
    found = [("task", str(recipe["task"].get("name", "?")))]
    found += [("network", network(recipe)), ("parameters", printable(_parameters(predictor)))]
    if predictor.spec.target.kind in ("label", "tags"):
        labels = predictor.spec.labels
        more = [f"... ({len(labels):,})"] if len(labels) > LABELS else []
        found.append(("answers", ", ".join([*(inline(label, 40) for label in labels[:LABELS]), *more])))
    if trained := _trained_on(summary):
        found.append(("trained on", trained))
    if scores := _scores(summary):
        found.append(("scores", scores))
    if predictor.run is not None:
        found.append(("run", str(short(predictor.run))))
    return [(name, inline(value, 200)) for name, value in found]


def text(predictor: Trained) -> str:
    """The rows below each other."""
    lines = rows(predictor)
    width = max(len(name) for name, _ in lines)
    return "\n".join(["rnnzoo model", *(f"  {name.ljust(width)}  {value}" for name, value in lines)])


def markup(predictor: Trained) -> str:
    """The rows as a table of HTML."""
    left = 'style="text-align:left"'
    cells = "".join(
        f"<tr><th {left}>{page.text(name)}</th><td {left}>{page.text(value)}</td></tr>"
        for name, value in rows(predictor)
    )
    return f'<table style="{STYLE}"><caption {left}>rnnzoo model</caption>{cells}</table>'


class Page:
    """The page of a run: pictures, scores and examples. A notebook shows it; `save` writes it."""

    def __init__(self, html: str, run: Path) -> None:
        self.html, self.run = html, run

    def save(self, path: str | Path) -> None:
        """Write the page, which needs no other file. Raises: Unwritable."""
        files.write_text(path, self.html)

    def __repr__(self) -> str:
        return f"page of {short(self.run)}: a notebook shows it, and save('page.html') writes it"

    def _repr_html_(self) -> str:
        """In a frame of its own: neither can the page's style reach the notebook, nor is a script run."""
        source = html.escape(self.html, quote=True)
        return f'<iframe sandbox="" srcdoc="{source}" width="100%" height="{HEIGHT}" style="border:0"></iframe>'


def report(predictor: Trained) -> Page:
    """The page of the model's run. Raises: RunError if it has none."""
    from rnnzoo.reports.write import FAILURES, rendered

    if predictor.run is None:
        raise RunError("the model is of a checkpoint alone, and a page is drawn of a run.\n  Load the run's folder.")
    try:
        return Page(rendered(predictor.run), predictor.run)
    except FAILURES as error:
        raise RunError(f"the page of {predictor.run} cannot be drawn: {files.reason(error)}") from error


def _summary(predictor: Trained) -> Summary:
    """A `repr` does not fail for a summary that cannot be read."""
    try:
        return predictor.summary
    except ZooError:
        return Summary()


def _parameters(predictor: Trained) -> int:
    return sum(parameter.numel() for parameter in predictor.model.parameters())


def _trained_on(summary: Summary) -> str:
    """ "given in memory: 36 examples, 4 epochs"."""
    data = summary.get("data", {})
    parts = [amount(data["sizes"]["train"], "example")] if "train" in data.get("sizes", {}) else []
    parts += [amount(summary["epochs"], "epoch")] if "epochs" in summary else []
    source = [str(data["id"])] if data.get("id") else []
    return ": ".join([*source, *([", ".join(parts)] if parts else [])])


def _scores(summary: Summary) -> str:
    """Those on test, or on dev where there is no test; the one that chose the checkpoint first, the loss last."""
    metrics = {name: value for name, value in summary.get("metrics", {}).items() if value is not None}
    part = "test/" if any(name.startswith("test/") for name in metrics) else "best/"
    chosen = summary.get("best", {}).get("monitor", "").removeprefix("val/")
    names = sorted(
        (name for name in metrics if name.startswith(part)),
        key=lambda name: (name != part + chosen, name == f"{part}loss", name),
    )
    return ", ".join(f"{name} {printable(metrics[name])}" for name in names[:SCORES])
