"""The examples of a run's test that its model answered worst, as a page; texts with what their tokens add."""

from __future__ import annotations

import contextlib
from pathlib import Path

from rnnzoo import runs
from rnnzoo.errors import RunError, ZooError
from rnnzoo.inference import predictor
from rnnzoo.inference.explain import explain
from rnnzoo.inference.explanation_page import LEGEND, STYLE, shaded
from rnnzoo.inference.predictor import Predictor
from rnnzoo.reports import drawing
from rnnzoo.reports import page as pages
from rnnzoo.reports.examples import Example
from rnnzoo.runs.predictions import LONGEST_TEXT
from rnnzoo.runs.record import read
from rnnzoo.runs.summary import well_formed
from rnnzoo.system import files, shipped

FILE = "worst.html"
MOST = 1000  # examples of a page


def write(run: str | Path, count: int = 100, path: Path | None = None) -> Path:
    """Write the page of a run's worst examples: into its folder, or to `path`. Returns where it is.

    The text of an example is the beginning that the test kept. Raises: RunError where the test kept no examples, or
    none has a score; ZooError for a count out of range; Unwritable.
    """
    if not 1 <= count <= MOST:
        raise ZooError(f"the worst 1 to {MOST} examples are shown, got {count}.")
    folder = runs.find(run)
    record = read(folder)
    examples = drawing.read_examples(folder, well_formed(record["summary"]))
    worst = [] if examples is None else examples.worst(count)
    if not worst:
        raise RunError(
            f"{folder} has no examples with a score of their own.\n"
            "  They are in predictions.parquet, which `rnnzoo test RUN` writes; a stream's windows have no label."
        )
    if path is None:
        if folder.is_relative_to(shipped.PACKAGE):
            raise RunError(
                f"{folder.name} is part of rnnzoo, and nothing is written there.\n  Name a file: --html FILE"
            )
        path = folder / FILE
    model = predictor.load(run)
    metric = examples.metric if examples is not None else None
    title = f"The {len(worst)} worst examples of {folder.name}"
    body = [f"<header><h1>{pages.text(title, 200)}</h1></header><main>"]
    body.append(f"<p>By {pages.text(metric, 100)}, of equal ones the most confident first.</p>{LEGEND}")
    body.append('<ol class="examples">' + "\n".join(_item(model, example) for example in worst) + "</ol></main>")
    files.write_text(path, pages.page(title, body, style=STYLE))
    return path


def _item(model: Predictor, example: Example) -> str:
    asked = "" if example.input is None else f"<p>{pages.text(example.input)}</p>"
    if example.input is not None and example.prediction in model.task.classes:
        with contextlib.suppress(ZooError):  # a text that cannot be explained is shown as it is
            asked = shaded(explain(model, example.input, example.prediction))
    said = [("truth", example.truth), ("answer", example.prediction)]
    if example.confidence is not None:
        said.append(("confidence", f"{100 * example.confidence:.1f} %"))
    if example.score is not None:
        said.append(("score", f"{example.score:.4g}"))
    rows = ""
    for name, value in said:
        kind = ' class="said"' if name == "answer" else ""
        if value is not None:
            rows += f"<div{kind}><dt>{name}</dt><dd>{pages.text(value, LONGEST_TEXT)}</dd></div>"
    return f"<li><span>{example.id + 1}</span><div>{asked}</div><dl>{rows}</dl></li>"
