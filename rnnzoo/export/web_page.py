"""A page that runs the model in a browser, see `rnnzoo.export.web`, as a format among others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rnnzoo.architectures.base import ONE
from rnnzoo.batch import PAD
from rnnzoo.errors import ZooError
from rnnzoo.export.base import Example, Exported
from rnnzoo.export.format import Format, Run
from rnnzoo.export.web import pages
from rnnzoo.system import chromium, files

CALL = """(({ fields, steps, state }) => {
  if (fields.values) fields.values = Float32Array.from(fields.values.flat());
  const before = state && state.map((layer) => layer.map((one) => Float32Array.from(one)));
  const ran = model.network.run(fields, steps, before), whole = model.facts.pool !== null;
  const logits = whole ? Array.from(ran.whole()) : Array.from({ length: steps }, (_, t) => Array.from(ran.at(t)));
  return { logits, state: ran.state.map((layer) => layer.map((one) => Array.from(one))) };
})"""


class WebPage(Format):
    """One HTML file; a headless Chromium runs it."""

    name, suffix, takes_int8 = "web", ".html", True

    def write(self, exported: Exported, path: Path) -> None:
        """The model is then the one whose weights are stored: rounded, where a page of 5 MB must round them."""
        page = pages.make(exported, "int8" if exported.rounded else None)
        files.write_text(path, page.source)
        exported.model = page.network

    @contextmanager
    def running(self, exported: Exported, path: Path) -> Iterator[Run]:
        program = chromium.find()
        if program is None:
            raise ZooError(
                "format web is checked with Chromium, which is not installed.\n"
                "  Install it, or use `rnnzoo page`, which writes a page without a check then."
            )
        try:
            with chromium.Chromium(program) as browser:
                shown = path.with_suffix(".html")
                if shown != path:
                    files.write_text(shown, files.read_text(path, pages.MOST))
                try:
                    browser.show(shown)
                    browser.run("ready.then(() => null)")
                finally:
                    if shown != path:
                        shown.unlink()
                yield lambda *arguments: _run(browser, exported, exported.named(arguments))
        except chromium.BrowserError as error:
            raise ZooError(f"the page could not be verified, and was not kept: {error!s:.300}.") from error


def _run(browser: chromium.Chromium, exported: Exported, example: Example) -> Sequence[Tensor]:
    """A call, row by row: logits, 0 past the ends, and states."""
    time = max(tensor.shape[1] for tensor in example.inputs.values())
    logits, states = [], []
    for row, length in enumerate(example.lengths.tolist()):
        fields = {name: _row(tensor[row, :length]) for name, tensor in example.inputs.items()}
        layers = exported.layers([tensor[row] for tensor in example.state])
        state = None if layers is None else [[one.tolist() for one in layer] for layer in layers]
        made = browser.run(f"{CALL}({json.dumps({'fields': fields, 'steps': length, 'state': state})})")
        answer = torch.tensor(made["logits"])
        if exported.task.needs != ONE:
            answer = torch.cat([answer, answer.new_zeros(time - length, answer.shape[1])])
        logits.append(answer)
        states.append([torch.tensor(one) for layer in made["state"] for one in layer])
    after = [torch.stack(parts) for parts in zip(*states, strict=True)] if exported.slots else []
    return [torch.stack(logits), *after]


def _row(values: Tensor) -> list[Any]:
    """A field of one sequence as JSON; of letters, those of each word."""
    rows: list[Any] = values.tolist()
    if values.dim() == 2 and not values.is_floating_point():
        return [[letter for letter in word if letter != PAD] for word in rows]
    return rows


FORMAT = WebPage()
