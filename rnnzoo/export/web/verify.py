"""A page against its model: the same texts answered in a headless Chromium and by PyTorch, before the page is kept."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rnnzoo.errors import ZooError
from rnnzoo.export.web import forms
from rnnzoo.export.web.pages import Page
from rnnzoo.inference.predictor import UNKNOWN_SHARE, Predictor
from rnnzoo.system import chromium, files

TOLERANCE = 1e-4  # of numbers up to 1; of larger ones, their share
WRITTEN = 60  # tokens that a language model continues a prompt by


class Difference(NamedTuple):
    """Two answers to the same question. where: the text, and the place in it. size: infinite for other words."""

    size: float
    where: str


class Verified(NamedTuple):
    """What was compared. largest: between page and model, of numbers up to 1 or as a share. browser: what ran it."""

    largest: float
    questions: int
    browser: str


class Rounding(NamedTuple):
    """What rounding the weights changes: the logits, at most by so much, and the words of so many answers."""

    logits: float
    changed: int
    questions: int


def verify(page: Page, predictor: Predictor) -> Verified | None:
    """Compare a page with the model that it computes; None where there is no Chromium.

    Raises: ZooError if they disagree.
    """
    program = chromium.find()
    if program is None:
        return None
    try:
        with chromium.Chromium(program) as browser:
            worst, name = compare(browser, page, predictor), browser.version
            if browser.errors:
                raise ZooError(f"the page has an error of its own, and was not kept: {browser.errors[0]:.300}")
    except chromium.BrowserError as error:
        raise ZooError(f"the page could not be verified, and was not kept: {error!s:.300}.") from error
    if not worst.size <= TOLERANCE:
        raise ZooError(
            f"the page does not answer as the model does, and was not kept: {worst.where}, a difference of "
            f"{worst.size:.2g}.\n"
            "  A part of the model computes something that a page does not know; `rnnzoo predict` answers for it."
        )
    return Verified(worst.size, len(forms.of(predictor.spec).questions(predictor.spec)), name)


def compare(browser: chromium.Chromium, page: Page, predictor: Predictor) -> Difference:
    """The largest difference between a page in a browser and the model that it computes. Raises: BrowserError."""
    with tempfile.TemporaryDirectory(prefix="rnnzoo-page-") as folder:
        path = Path(folder) / "page.html"
        files.write_text(path, page.source)
        browser.show(path)
        browser.run("ready.then(() => null)")
    found = _differences(browser, rounded(page, predictor), forms.of(predictor.spec).questions(predictor.spec))
    return max(found, key=lambda difference: difference.size)


def rounded(page: Page, predictor: Predictor) -> Predictor:
    """The predictor with the weights of the page."""
    model = copy.copy(predictor)
    model.model, model.device = page.network, "cpu"
    return model


def rounding(page: Page, predictor: Predictor) -> Rounding:
    """What the model's answers lose by the page's precision."""
    model, asked = rounded(page, predictor), forms.of(predictor.spec).questions(predictor.spec)
    pairs = zip(predictor.predict(asked), model.predict(asked), strict=True)
    changed = sum(any(one.size == float("inf") for one in differences(old, new, "")) for old, new in pairs)
    rows = [one for text in asked for one in differences(_logits(predictor, text), _logits(model, text), "")]
    return Rounding(max((one.size for one in rows), default=0.0), changed, len(asked))


# -- comparing ------------------------------------------------------------------------------------------------------


def _differences(browser: chromium.Chromium, model: Predictor, asked: Sequence[str]) -> list[Difference]:
    found = [Difference(0.0, "")]
    answers, unit = model.predict(asked), max(model.spec.target.options.get("std", (1.0,)))
    for text, answer in zip(asked, answers, strict=True):
        reply = browser.run(f"(() => {{ const r = model.reply({json.dumps(text)}); return [r.answer, r.logits] }})()")
        expected = {key: value for key, value in answer.items() if key != UNKNOWN_SHARE}
        where = f"of {text!r:.60}"
        found += differences(expected, reply[0], where, unit)
        if (logits := _logits(model, text)) is not None:
            found += differences(logits, reply[1], f"{where}, logits")
    if model.task.generates_text:
        for prompt in ("", asked[0]):
            written = browser.run(f"model.write({json.dumps(prompt)}, {WRITTEN})")
            text = model.generate(prompt, WRITTEN, temperature=0).text
            found += differences(text[len(prompt) :], written, f"what follows {prompt!r:.60}")
    return found


@torch.inference_mode()
def _logits(model: Predictor, text: str) -> list[Any] | None:
    """The model's logits for a text, a row for each answer; None where they are asked of some steps only."""
    if model.spec.form == "masked_text":
        return None
    logits = model.task.raw_logits(model.model, model.form.ask([text], model.spec).collate([0]))[0].float()
    rows: list[Any] = (logits[0] if logits.dim() > 2 else logits).tolist()
    return rows


def differences(one: Any, other: Any, where: str, unit: float = 1.0) -> list[Difference]:
    """Every difference of two JSON values. unit: numbers differ by a share of it, or of themselves if larger."""
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        return [found for key in one for found in differences(one[key], other[key], f"{where}, {key}", unit)]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        return [
            found
            for k, pair in enumerate(zip(one, other, strict=True))
            for found in differences(*pair, f"{where}[{k}]", unit)
        ]
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        size = abs(one - other) / max(unit, abs(one))
        return [Difference(size if size == size else float("inf"), f"{other:.6g} {where}, and PyTorch {one:.6g}")]
    return [] if one == other else [Difference(float("inf"), f"{other!r:.80} {where}, and PyTorch {one!r:.80}")]
