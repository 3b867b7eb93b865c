"""A series of numbers and the text that it says, shorter than the series and not aligned with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from rnnzoo.batch import IGNORE, Batch, DataSpec, Field
from rnnzoo.data.base import Columns, RowError, check_type
from rnnzoo.data.encoding.text import Encoder, Ragged
from rnnzoo.data.forms.series import Series, SeriesExamples


@dataclass
class TranscribedExamples(SeriesExamples):
    """Series with a sequence of ids each.

    text: None, or each row's ids.
    """

    text: Ragged | None = None

    def arrays(self) -> list[np.ndarray]:
        return [*super().arrays(), *([] if self.text is None else [self.text.flat, self.text.offsets])]

    def collate(self, window: Sequence[int]) -> Batch:
        """As of series; `Batch.target` is (batch, longest text), IGNORE after each one's end."""
        batch = super().collate(window)
        if self.text is not None:
            assert batch.index is not None
            rows = batch.index.numpy()
            batch.target = torch.from_numpy(self.text.padded(rows, IGNORE))
            batch.target_lengths = torch.from_numpy(self.text.lengths[rows])
        return batch


class TranscribedSeries(Series):
    """A series of numbers and the text that it says.

    unit: what a token of the text is: a word or punctuation mark, whatever blanks separate, or a character. The
    vocabulary is every token of the training texts. A row must have as many steps as its text has tokens, and one more
    for each two equal neighbours, or no alignment exists. Batches: see `RowForm`.
    """

    name = "transcribed_series"
    columns: ClassVar[tuple[str, ...]] = ("values", "text")
    target = "text"

    def __init__(
        self, unit: Literal["word", "space", "character"] = "word", lowercase: bool = True, **batching: Any
    ) -> None:
        super().__init__(**batching)
        self.settings: dict[str, Any] = {"unit": unit, "lowercase": lowercase}

    def target_field(self, train: Columns) -> Field:
        check_type("text", train["text"], str, "text")
        return Encoder.fit(train["text"], vocab_size=2**31, min_freq=1, **self.settings).field()

    def encode(self, columns: Columns, spec: DataSpec) -> TranscribedExamples:
        self.rows(columns)
        given = {name: values for name, values in columns.items() if name != self.target}
        series = super().encode(given, spec)
        text = None
        if self.target in columns:
            check_type("text", columns["text"], str, "text")
            text, _ = Encoder.from_field(spec.target).encode(columns["text"], blank=None)
            check_steps(series.lengths, text)
        return TranscribedExamples(series.values, series.offsets, text=text)


def check_steps(steps: np.ndarray, text: Ragged) -> None:
    """steps: (rows,). Raises: RowError if a row has fewer than an alignment with its text needs."""
    needed = [len(row) + int((row[1:] == row[:-1]).sum()) for row in map(text.__getitem__, range(len(text)))]
    short = np.flatnonzero(steps < needed)
    if len(short):
        row = short[0]
        more = f" ({len(short)} rows are too short)" if len(short) > 1 else ""
        raise RowError(
            int(row),
            "text",
            f"{needed[row]} steps are needed for its {text.lengths[row]} tokens, "
            f"and it has {steps[row]}{more}.\n"
            "  One step for each token, and one between two equal ones. Leave the row out, or give it more steps\n"
            "  (of a sound: lower stack or hop_ms).",
        )
