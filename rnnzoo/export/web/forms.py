"""What is typed into a page, by the form of the data: how a page asks for it, and what it is asked in a check."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from rnnzoo.batch import SPECIALS, DataSpec
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.data.forms.masked import GAP
from rnnzoo.errors import ZooError
from rnnzoo.reports import page as reports

SENTENCES = {  # that stand in the field at first, where the model knows their words
    "classes": "One of the best films I have seen in years, with a wonderful cast.",
    "labels": "I cannot sign in, and the invoice is wrong.",
    "toy": "the food was not bad at all , and we were truly happy with the place .",
    "tags": "The old dog barked at Mary Smith in New York, and she didn't like it.",
    "writes": "ROMEO:\n",
    "gaps": "The dog ____ at the man.",
}
KNOWN = 0.7  # share of a sentence's words that a model must know
LENGTHS = (1, 2, 7, 19, 60)  # tokens, or steps, of made-up questions
STEPS = 32  # of the series that stands in the field at first
GAPS = 0.2  # share of a made-up series' values that are missing
NAMED = 40  # names that are shown, of channels and columns
ODD = (
    "",
    " \t\n",
    "naïve “quotes” don’t",
    "日本語 \U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301",
    "ÀÇ 3.14 ___ (x)",
)


class Typed:
    """Text. name: of the function in page/answer.js that makes the model's input of what is typed."""

    name: ClassVar[str] = "text"
    label: ClassVar[str] = "A text"
    lines: ClassVar[int] = 3

    def fields(self, spec: DataSpec) -> dict[str, Any]:
        """What the function must know, as JSON, by the model's inputs."""
        return {
            name: {"names": list(field.names), "size": field.size, "options": field.options}
            for name, field in spec.inputs.items()
        }

    def hint(self, spec: DataSpec, usual: str) -> str:
        """What stands beside the field's label. usual: by what the model does."""
        return usual

    def controls(self, spec: DataSpec) -> str:
        """HTML of further fields."""
        return ""

    def first(self, spec: DataSpec, view: str) -> str:
        """What stands in the field at first: a text whose words the model knows; nothing if there is none."""
        encoder = Encoder.from_field(spec.inputs["tokens"])
        for sentence in dict.fromkeys((SENTENCES[view], *SENTENCES.values())):
            (tokens,) = encoder.tokens([sentence])
            if sum(token in encoder.ids for token in tokens) >= KNOWN * max(1, len(tokens)):
                return sentence
        return ""

    def questions(self, spec: DataSpec) -> list[str]:
        """What a page and `Predictor.predict` are both asked in a check: sentences, odd ones, and made-up ones."""
        generator, field = random.Random(0), spec.inputs["tokens"]
        known = field.names[len(SPECIALS) :] or field.names
        blank = "" if field.options.get("unit") == "character" else " "
        made = [blank.join(generator.choice(known) for _ in range(length)) for length in LENGTHS]
        return [*SENTENCES.values(), *ODD, *made]

    def about(self, spec: DataSpec) -> Iterator[tuple[str, str]]:
        """What the model knows of its input, as names and words."""
        for name, field in spec.inputs.items():
            if field.names:
                unit = field.options.get("unit", "")
                yield name.capitalize(), f"{len(field.names):,} known" + (f", by {unit}" if name == "tokens" else "")


class Words(Typed):
    """A sentence as words."""

    name, label = "words", "A sentence"


class Gaps(Typed):
    """A text with gaps."""

    def questions(self, spec: DataSpec) -> list[str]:
        return [f"{text} {GAP} {text}" for text in super().questions(spec)]


class Series(Typed):
    """A series of numbers."""

    name, label, lines = "series", "A series of numbers", 6

    def first(self, spec: DataSpec, view: str) -> str:
        size = spec.inputs["values"].size
        return "\n".join(" ".join(f"{value:.2f}" for value in step) for step in _waves(size))

    def questions(self, spec: DataSpec) -> list[str]:
        generator, size = random.Random(0), spec.inputs["values"].size
        return [
            json.dumps([[round(generator.gauss(0, 1), 3) for _ in range(size)] for _ in range(length)])
            for length in LENGTHS
        ]


class Channels(Typed):
    """A series of named channels, with gaps, and a field for each static column."""

    name, label, lines = "channels", "Rows of numbers", 8
    filled: ClassVar[Mapping[str, str]] = {
        "refuse": "and none may be missing",
        "mask": "an empty cell is a missing value, which the model knows as such",
        "forward": "an empty cell takes the value before it",
        "interpolate": "an empty cell takes the line between its neighbours",
    }

    def fields(self, spec: DataSpec) -> dict[str, Any]:
        """Static columns in their order: JavaScript would sort those whose names are numbers."""
        options = spec.inputs["values"].options
        static = [{"name": name, **about} for name, about in options["static"].items()]
        return {"values": {"names": [], "size": spec.inputs["values"].size, "options": {**options, "static": static}}}

    def hint(self, spec: DataSpec, usual: str) -> str:
        options = spec.inputs["values"].options
        return (
            f"A step a line: {_names(options['channels'])}, in this order or below a line of the names; "
            f"{self.filled[options['missing']]}."
        )

    def controls(self, spec: DataSpec) -> str:
        static = spec.inputs["values"].options["static"]
        fields = [
            f"<label>{reports.text(name, 80)} {_choice(about) if 'values' in about else _number(about)}</label>"
            for name, about in static.items()
        ]
        return f'<div class="controls">{"".join(fields)}</div>' if fields else ""

    def first(self, spec: DataSpec, view: str) -> str:
        options = spec.inputs["values"].options
        rows = [
            [mean + std * value for mean, std, value in zip(options["mean"], options["std"], step, strict=True)]
            for step in _waves(len(options["channels"]))
        ]
        return "\n".join(", ".join(f"{value:.4g}" for value in row) for row in rows)

    def questions(self, spec: DataSpec) -> list[str]:
        """Series as mappings, in JSON: channels and static columns by their names, null for what is missing."""
        generator, options = random.Random(0), spec.inputs["values"].options
        return [json.dumps(_made(generator, length, options)) for length in LENGTHS for _ in range(2)]

    def about(self, spec: DataSpec) -> Iterator[tuple[str, str]]:
        options = spec.inputs["values"].options
        yield "Channels", _names(options["channels"])
        if options["static"]:
            yield "Static columns", _names(list(options["static"]))
        yield "Missing values", options["missing"]


FORMS: dict[str, Typed] = {
    "labelled_text": Typed(),
    "multilabelled_text": Typed(),
    "text_stream": Typed(),
    "masked_text": Gaps(),
    "tagged_text": Words(),
    "labelled_series": Series(),
    "measured_series": Series(),
    "labelled_channels": Channels(),
    "measured_channels": Channels(),
    "tagged_channels": Channels(),
}


def of(spec: DataSpec) -> Typed:
    """How a page asks a model of this form. Raises: ZooError for a form that cannot be typed."""
    if spec.form not in FORMS:
        raise ZooError(
            f"a page cannot ask a model of the form {spec.form}: it reads texts, words and series of numbers.\n"
            "  `rnnzoo predict RUN --file FILE` and `rnnzoo serve RUN` answer for it."
        )
    return FORMS[spec.form]


# -- series ---------------------------------------------------------------------------------------------------------


def _waves(size: int) -> list[list[float]]:
    return [[math.sin(step / 4 + k) for k in range(size)] for step in range(STEPS)]


def _made(generator: random.Random, length: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """A series of so many steps with as many gaps as the model's policy can fill."""
    made: dict[str, Any] = {}
    for name, mean, std in zip(options["channels"], options["mean"], options["std"], strict=True):
        kept = {"forward": [0], "interpolate": [generator.randrange(length)], "mask": []}.get(
            options["missing"], range(length)
        )
        gaps = {step for step in range(length) if generator.random() < GAPS}.difference(kept)
        made[name] = [None if step in gaps else generator.gauss(mean, std) for step in range(length)]
    for name, about in options["static"].items():
        choices = about.get("values")
        made[name] = generator.choice(choices) if choices else generator.gauss(about["mean"], about["std"])
    return made


def _names(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _number(about: Mapping[str, Any]) -> str:
    return f'<input type="number" step="any" data-static value="{about["mean"]:.4g}">'


def _choice(about: Mapping[str, Any]) -> str:
    """By number: a name may have characters that a page shows in another way."""
    options = (f'<option value="{k}">{reports.text(value, 80)}</option>' for k, value in enumerate(about["values"]))
    return f"<select data-static>{''.join(options)}</select>"
