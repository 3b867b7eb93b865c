"""One sequence that arrives in parts: what of it is whole is encoded at once, and what may still change is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import regex

from rnnzoo.batch import EOS, DataSpec
from rnnzoo.data.base import Arriving, Examples, Form
from rnnzoo.data.encoding.text import Encoder, Ragged
from rnnzoo.data.forms.rows import RowExamples
from rnnzoo.errors import DataError
from rnnzoo.system import files

LONGEST_TOKEN = 2**20  # characters without a blank that are kept for the rest of their token
WINDOWS = 256  # windows of a series that are made at once
# what no earlier character is changed by: no mark, no vowel of Hangul, nothing that composes
STARTS = regex.compile(r"[^\p{M}\u1160-\u11ff\ud7b0-\ud7ff]")


class ArrivingText(Arriving):
    """A text: tokens are whole when a blank follows, or, of single characters, when another character does.

    It is read however long it is: `max_length` is a matter of texts that are there from the beginning.
    """

    def __init__(self, form: Form, spec: DataSpec) -> None:
        self.encoder = replace(Encoder.from_field(spec.inputs["tokens"]), max_length=None)
        field = replace(spec.inputs["tokens"], options={**spec.inputs["tokens"].options, "max_length": None})
        self.form, self.spec = form, replace(spec, inputs={**spec.inputs, "tokens": field})
        self.sample = f"{self.encoder.names[-1]} " * 2
        self.text = ""

    def take(self, x: Any) -> Iterator[Examples]:
        if not isinstance(x, str):
            raise DataError(f"the model reads a text, got {type(x).__name__} {x!r:.80}.\n  Give a str.")
        text = self.text + x
        whole = self._whole(text)
        if len(text) - whole > LONGEST_TOKEN:
            raise DataError(
                f"a token of more than {LONGEST_TOKEN:,} characters.\n  Give a text with blanks between words."
            )
        examples = self.encoded(text[:whole])
        self.text = text[whole:]
        if examples is not None:
            yield examples

    def line(self, text: str) -> str:
        return f"{text}\n"

    def rest(self, final: bool = False) -> Examples | None:
        text, self.text = self.text, "" if final else self.text
        return self.encoded(text)

    def encoded(self, text: str) -> Examples | None:
        """The steps of a piece of text; None if it has none."""
        if not (text.strip() if self.encoder.unit in ("word", "space") else text):
            return None
        return self.form.ask([text], self.spec)

    def _whole(self, text: str) -> int:
        """How many characters at the beginning of a text nothing that follows can change."""
        unit = self.encoder.unit
        if unit == "subword":  # a piece begins with the blanks before it
            return len(text.rpartition(" ")[0].rstrip(" "))
        if unit == "character" and not self.encoder.lowercase:
            return next((place for place in range(len(text) - 1, -1, -1) if STARTS.match(text[place])), 0)
        return next((place + 1 for place in range(len(text) - 1, -1, -1) if text[place].isspace()), 0)

    def state(self) -> dict[str, np.ndarray]:
        return {"text": np.frombuffer(self.text.encode("utf-8", "surrogatepass"), np.uint8).copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        text = state.pop("text", None)
        if text is None or text.dtype != np.uint8 or text.ndim != 1 or len(text) > 4 * LONGEST_TOKEN:
            raise ValueError("'text' must be bytes of UTF-8")
        super().restore(state)
        try:
            self.text = text.tobytes().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise ValueError("'text' must be bytes of UTF-8") from None


class ArrivingLines(ArrivingText):
    """Running text, as a language model reads it: the end of a line is a token."""

    empty_line_ends = False

    def encoded(self, text: str) -> Examples | None:
        newline = self.encoder.ids.get("\n", EOS)
        lines = [text] if newline != EOS else text.split("\n")
        rows = self.encoder.encode(lines, blank=None)[0]
        if newline == EOS:
            rows = rows.with_last(EOS, np.arange(len(lines)) < len(lines) - 1)
        return RowExamples(Ragged.of(rows.flat, [len(rows.flat)])) if len(rows.flat) else None


class ArrivingSeries(Arriving):
    """Numbers: a step's features, or an array (time, features) of several steps.

    Where a step has one feature, a list of numbers is as many steps.
    """

    def __init__(self, form: Form, spec: DataSpec, features: int) -> None:
        self.form, self.spec, self.features = form, spec, features
        self.sample = np.zeros((1, features))

    def take(self, x: Any) -> Iterator[Examples]:
        values = self.numbers(x)
        if len(values):
            rows: list[Any] = [values]
            yield self.form.ask(rows, self.spec)

    def numbers(self, x: Any) -> np.ndarray:
        """A part as (time, features) float64. Raises: DataError."""
        if isinstance(x, str):
            x = self.line(x)
        try:
            array = np.asarray(x, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            raise DataError(f"the model reads numbers, {self.features} a step, got {x!r:.80}.") from None
        if array.ndim < 2:
            array = array.reshape(1, -1) if self.features > 1 and array.size else array.reshape(-1, 1)
        if array.ndim != 2 or array.shape[1] != self.features:
            raise DataError(
                f"{array.shape[-1]} numbers a step, where the model reads {self.features}.\n"
                "  Give a step's features, or an array (time, features)."
            )
        with np.errstate(over="ignore"):
            finite = np.isfinite(array.astype(np.float32)).all(1)
        if not finite.all():
            step = int(np.argmin(finite)) + 1
            raise DataError(f"step {step} of the part: a number is missing, infinite or not a number.\n  Fill the gap.")
        return array

    def line(self, text: str) -> np.ndarray:
        """Numbers with blanks or commas between, or JSON."""
        try:
            value = files.json_value(text, nan=True) if "[" in text else [*map(float, text.replace(",", " ").split())]
        except ValueError:
            example = json.dumps([round(0.5 - 0.4 * k, 1) for k in range(min(self.features, 3))])[1:-1]
            raise DataError(
                f"the model reads numbers, {self.features} a step, got {text!r:.80}.\n"
                f"  A line is a step, as in: {example}{', ...' if self.features > 3 else ''}"
            ) from None
        return self.numbers(value)


class ArrivingWindows(ArrivingSeries):
    """A series of which each answer takes the last `lookback` steps alone: a window is an example of its own."""

    continues = False

    def __init__(self, form: Form, spec: DataSpec, features: int, lookback: int) -> None:
        super().__init__(form, spec, features)
        self.lookback = lookback
        self.window = np.empty((0, features))  # the last steps, fewer than a window has

    def take(self, x: Any) -> Iterator[Examples]:
        values = np.concatenate([self.window, self.numbers(x)])
        stops = range(self.lookback, len(values) + 1)
        for at in range(0, len(stops), WINDOWS):
            windows: list[Any] = [values[stop - self.lookback : stop] for stop in stops[at : at + WINDOWS]]
            yield self.form.ask(windows, self.spec)
        self.window = values[max(0, len(values) - self.lookback + 1) :]

    def state(self) -> dict[str, np.ndarray]:
        return {"window": self.window.copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        window = state.pop("window", None)
        if window is None or window.dtype != np.float64 or window.ndim != 2 or window.shape[1] != self.features:
            raise ValueError(f"'window' must be float64 (steps, {self.features})")
        if len(window) >= max(self.lookback, 2) or not np.isfinite(window).all():
            raise ValueError(f"'window' must be less than {self.lookback} steps of finite numbers")
        super().restore(state)
        self.window = window.copy()
