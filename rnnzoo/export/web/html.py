"""The HTML of a page: what stands in it before its script runs. All words of the model are escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from rnnzoo.batch import DataSpec
from rnnzoo.export.web import forms, parts
from rnnzoo.export.web.bundle import Bundle
from rnnzoo.model import SequenceModel
from rnnzoo.recipe import Recipe
from rnnzoo.reports import page as reports
from rnnzoo.tasks.base import Task

HINTS = {
    "classes": "The answer follows as you type.",
    "labels": "The labels follow as you type.",
    "tags": "Each word gets its tag as you type.",
    "writes": "The model continues it, and shows what it expects next.",
    "gaps": "Write ____ where a word is missing.",
    "numbers": "A step a line; the answer follows as you type.",
}
WRITE = """<div class="controls"><button type="button" id="write" class="go">Write on</button>
<button type="button" id="another">Another</button>
<label>Temperature <input type="range" id="temperature" min="0" max="1.5" step="0.05" value="0.8"
 aria-describedby="temperature-is"><output id="temperature-is" for="temperature">0.80</output></label>
<label>Seed <input type="number" id="seed" min="0" max="4294967295" value="1"></label>
<label>Length <input type="number" id="length" min="1" max="5000" value="400"></label></div>"""
INSIDE = """<p class="quiet">Each column is a step, each row a unit of the chosen layer. Point at the picture, or
 use the arrow keys on it, to read a value.</p>
<div class="controls"><label>Layer <select id="layer"></select></label>
<div class="choices" id="what" role="group" aria-label="Gate or state"></div></div>
<div class="heat" id="heat-box"><canvas id="heat" tabindex="0" role="img" aria-describedby="heat-says"
 aria-label="Gates and states by step and unit"></canvas></div>
<div class="legend"><span id="low">0</span><span id="scale" class="scale"></span><span id="high">1</span></div>
<p id="heat-says" class="quiet says" aria-live="polite"></p>"""


class Trained(Protocol):
    """A trained model with what it is from, as a `Predictor` is."""

    model: SequenceModel
    task: Task
    spec: DataSpec
    recipe: Recipe


def page(
    predictor: Trained,
    network: SequenceModel,
    facts: Mapping[str, Any],
    bundle: Bundle,
    script: str,
    style: str,
    text: str | None,
) -> str:
    """The whole page. text: what stands in its field at first; a sentence of ours if None."""
    view, typed = facts["shown"]["view"], forms.of(predictor.spec)
    start = typed.first(predictor.spec, view) if text is None else text
    body = [
        "".join(_header(predictor, network, facts)),
        "<main>",
        "".join(_ask(view, typed, predictor.spec, start)),
        reports.section("inside", "Inside the network", INSIDE),
        reports.section("about", "About this model", reports.facts(_about(predictor, network, facts, bundle))),
        "</main><footer><p>Made by <code>rnnzoo page</code>. One file, no network, no tracking.</p></footer>",
        f'<script type="application/octet-stream" id="weights">{bundle.text(dict(facts))}</script>',
    ]
    return reports.page(name_of(predictor), body, style, script)


def name_of(predictor: Trained) -> str:
    """What a model is called."""
    return str(predictor.recipe.get("name") or predictor.recipe["task"]["name"])


def _header(predictor: Trained, network: SequenceModel, facts: Mapping[str, Any]) -> Iterator[str]:
    layers = facts["stack"]["layers"]
    both = facts["stack"]["bidirectional"]
    depth = len(layers) // 2 if both else len(layers)
    what = f"{depth} {'bidirectional ' if both else ''}layer{'s' if depth > 1 else ''}"
    count = parts.parameters(network)
    weights = (
        f"{count / 1e6:.1f} million" if count >= 1e6 else f"{round(count, -3):,}" if count >= 1e4 else f"{count:,}"
    )
    task = str(predictor.recipe["task"]["name"]).replace("_", " ")
    cell = reports.text(layers[0]["cell"].removesuffix("Cell"), 60)
    yield f'<header><p class="over">rnnzoo · {reports.text(task, 80)}</p>'
    yield f"<h1>{reports.text(name_of(predictor), 120)}</h1>"
    yield f'<p class="lead">A recurrent network of {weights} weights, in {what} of {cell} cells. '
    yield "It runs in this page: nothing that you type leaves it.</p></header>"


def _ask(view: str, typed: forms.Typed, spec: DataSpec, start: str) -> Iterator[str]:
    title = "Write on" if view == "writes" else "Try it"
    yield f'<section id="try" aria-labelledby="try-h"><h2 id="try-h">{title}</h2>'
    label = "The beginning of a text" if view == "writes" else typed.label
    hint = reports.text(typed.hint(spec, HINTS[view]))
    yield f'<label class="field" for="text">{label} <span class="quiet">{hint}</span></label>'
    yield (
        f'<textarea id="text" rows="{typed.lines}" spellcheck="false" autocomplete="off" aria-describedby="says">\n'
        + _typed(start)
    )
    yield "</textarea>"
    yield typed.controls(spec)
    yield WRITE if view == "writes" else ""
    yield '<p id="says" class="quiet says" role="status">Unpacking the weights …</p>'
    yield '<div id="answer"></div>'
    yield "<noscript><p>The network is a script, which this browser does not run.</p></noscript></section>"


def _typed(words: str) -> str:
    """A text in its field: with its line ends."""
    return "\n".join(reports.text(line) for line in words.split("\n"))


def _about(
    predictor: Trained, network: SequenceModel, facts: Mapping[str, Any], bundle: Bundle
) -> Iterator[tuple[str, str]]:
    layers = facts["stack"]["layers"]
    wide = 2 if facts["stack"]["bidirectional"] else 1
    yield "Architecture", str(predictor.recipe["model"]["architecture"].get("name", ""))
    for number, layer in enumerate(layers[::wide], start=1):
        gates = ", ".join(gate["name"] for gate in layer["gates"])
        states = ", ".join(state["name"] for state in layer["states"])
        size = f"{layer['size']} units" + (" in each direction" if wide == 2 else "")
        yield (
            f"Layer {number}" if len(layers) > wide else "Layer",
            f"{layer['cell']}, {size}; gates {gates}; states {states}",
        )
    yield from forms.of(predictor.spec).about(predictor.spec)
    labels = facts["shown"]["labels"]
    if labels and facts["shown"]["view"] in ("classes", "labels", "tags"):
        yield "Labels", ", ".join(labels[:40]) + (f" and {len(labels) - 40} more" if len(labels) > 40 else "")
    yield "Weights", f"{parts.parameters(network):,}, stored as {stored(bundle.stored)}"
    yield "Trained on", str(predictor.recipe["data"].get("name", ""))


def stored(counts: Mapping[str, int]) -> str:
    """How many numbers are stored in which precision."""
    return ", ".join(f"{kind} ({count:,})" for kind, count in sorted(counts.items(), key=lambda item: -item[1]))
