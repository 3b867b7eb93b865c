"""Models with weights as they are drawn, as `rnnzoo.load` returns trained ones; a page need not be good to be right."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rnnzoo import registry
from rnnzoo.batch import DataSpec
from rnnzoo.data.forms import FORMS
from rnnzoo.inference.predictor import Predictor
from rnnzoo.model import build_model

TEXTS = ["the dog was not bad at all", "it's a “fine” day, isn't it?", "bad day , bad dog", "One of the best films"]
SERIES = [np.sin(np.arange(n))[:, None].repeat(2, 1).astype("float32") for n in (3, 5, 4, 6)]


def predictor(
    task: str, spec: DataSpec, architecture: dict[str, Any], options: dict[str, Any] | None = None, **model: Any
) -> Predictor:
    """A model of a task on data, with larger weights than torch draws: its gates open and close."""
    torch.manual_seed(0)
    made = Predictor.__new__(Predictor)
    made.spec, made.device = spec, "cpu"
    made.recipe = {"name": f"{task}_test", "task": {"name": task}, "data": {"name": "test"}}
    made.recipe["model"] = {"architecture": {"name": architecture["name"]}}
    made.task = registry.load("tasks", task)(spec, **(options or {}))
    made.form = FORMS[spec.form].from_spec(spec)
    made.model = build_model(spec, made.task, architecture, **model).eval()
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.mul_(2.5)
    return made


def labelled(**settings: Any) -> DataSpec:
    columns = {"text": TEXTS, "label": ["a", "b", "c", "a"]}
    return FORMS["labelled_text"](**settings).fit(columns)


def tagged(tags: tuple[str, ...] = ("X", "Y", "Z"), **settings: Any) -> DataSpec:
    words = [text.split() for text in TEXTS]
    rows = [[tags[k % len(tags)] for k in range(len(row))] for row in words]
    return FORMS["tagged_text"](**settings).fit({"words": words, "tags": rows})


def stream(**settings: Any) -> DataSpec:
    return FORMS["text_stream"](**settings).fit({"text": TEXTS})


def masked(**settings: Any) -> DataSpec:
    return FORMS["masked_text"](**settings).fit({"text": TEXTS})


def series(target: str) -> DataSpec:
    if target == "label":
        return FORMS["labelled_series"]().fit({"values": SERIES, "label": ["up", "down", "up", "down"]})
    return FORMS["measured_series"]().fit({"values": SERIES, "target": [[1.0, 2.0]] * 4})


def channels(target: str, missing: str = "refuse", scale: str = "standard", static: bool = True) -> DataSpec:
    """Two named channels; of a series its age, and its kind among three."""
    named = [np.rec.fromarrays([40 + 9 * row[:, 0], row[:, 1] ** 2], names="heart rate,2") for row in SERIES]
    about = [{"age": 20.0 + k, "10": ["new", "old", "<b>"][k % 3]} if static else {} for k in range(len(named))]
    targets: dict[str, list[Any]] = {
        "label": ["up", "down", "up", "down"],
        "target": [{"weight": 3000.0 * k, "size": 0.1 * k * k} for k in range(len(named))],
        "tags": [[("rise", "fall", "O")[k % 3] for k in range(len(row))] for row in named],
    }
    form = {"label": "labelled", "target": "measured", "tags": "tagged"}[target]
    columns = {"values": named, "static": about, target: targets[target]}
    return FORMS[f"{form}_channels"](missing=missing, scale=scale).fit(columns)


def sentiment(cell: Any = "gru", **architecture: Any) -> Predictor:
    """A labeller of texts with this cell."""
    layers = {"name": "stacked", "cell": cell, "hidden_size": 8, "num_layers": 1} | architecture
    return predictor("sentiment", labelled(), layers, inputs={"tokens": {"size": 6}})
