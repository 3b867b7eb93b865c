"""Writes a run's pictures and its page."""

from __future__ import annotations

import logging
from pathlib import Path

from rnnzoo.errors import RunError, ZooError
from rnnzoo.reports import drawing, report
from rnnzoo.runs.record import read
from rnnzoo.runs.summary import well_formed
from rnnzoo.system import files, shipped

log = logging.getLogger("rnnzoo")
FILE, PICTURES = "report.html", "pictures"
ELSEWHERE = "Name a file for the page: --report page.html"
FAILURES = (ZooError, OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, ImportError)


def rendered(folder: Path) -> str:
    """The page of the run in `folder`. Nothing is written. Raises: RunError."""
    record = read(folder)
    folder = Path(record["path"])
    examples = drawing.read_examples(folder, well_formed(record["summary"]))
    return report.render(record, drawing.draw_curves(folder), drawing.draw_examples(examples), examples)


def write(folder: Path, path: Path | None = None) -> Path:
    """Draw the run in `folder` and write its page: into the folder with the pictures, or the page alone to `path`.

    Returns the page's path. Raises: RunError, Unwritable.
    """
    record = read(folder)
    folder = Path(record["path"])
    curves = drawing.draw_curves(folder)
    examples = drawing.read_examples(folder, well_formed(record["summary"]))
    errors = drawing.draw_examples(examples) | drawing.draw_calibration(folder)
    if path is None:
        if folder.is_relative_to(shipped.PACKAGE):
            raise RunError(f"{folder.name} is part of rnnzoo, and nothing is written there.\n  {ELSEWHERE}")
        path = folder / FILE
        _make(folder / PICTURES)
        for name, picture in {**curves, **errors}.items():
            files.write_text(folder / PICTURES / f"{name}.svg", picture.svg())
    files.write_text(path, report.render(record, curves, errors, examples))
    return path


def attempt(folder: Path) -> None:
    """As `write`, at the end of a run, which is not lost where nothing can be drawn: that is one warning."""
    try:
        write(folder)
    except FAILURES as error:
        log.warning("The run's report is not drawn: %s", files.reason(error))


def _make(folder: Path) -> None:
    if folder.is_symlink():
        raise RunError(f"cannot draw into {folder}: it is a link.\n  Remove it.")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise files.unwritable(folder, error) from error
