"""A few rows of each form of data."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from rnnzoo.data.base import Columns

ROWS = 9


def sample(form: str, rows: int = ROWS) -> Columns:
    """Rows of a form, of unequal lengths; of a windowed series, so many of its default windows."""
    random = Random(0)
    words = [random.choices("abcdef", k=random.randint(1, 7)) for _ in range(rows)]
    steps = 191 + rows
    texts = [" ".join(row) for row in words]
    series = [np.array([[random.random(), random.random()] for _ in row], np.float32) for row in words]
    labels = [random.choice("xyz") if row > 2 else "xyz"[row] for row in range(rows)]
    channels = [
        np.array([(random.random(), random.random()) for _ in row], [("a", np.float64), ("b", np.float64)])
        for row in words
    ]
    sizes = [{"size": random.random()} for _ in words]
    samples: dict[str, Columns] = {
        "labelled_text": {"text": texts, "label": labels},
        "multilabelled_text": {"text": texts, "labels": [sorted({*row} & {*"ace"}) for row in words]},
        "tagged_text": {"words": words, "tags": [[letter.upper() for letter in row] for row in words]},
        "text_stream": {"text": texts},
        "masked_text": {"text": texts},
        "text_pairs": {"source": texts, "target": [text[::-1] for text in texts]},
        "labelled_series": {"values": series, "label": labels},
        "described_series": {"values": series, "text": texts},
        "transcribed_series": {"values": series, "text": [" ".join(row[::2]) for row in words]},
        "windowed_series": {
            "values": [[math.sin(t / 7), math.sin(t / 11)] for t in range(steps)],
            "own": [True] * steps,
        },
        "labelled_channels": {"values": channels, "static": sizes, "label": labels},
        "measured_channels": {
            "values": channels,
            "static": sizes,
            "target": [{"sum": float(one["a"].sum())} for one in channels],
        },
        "tagged_channels": {"values": channels, "static": sizes, "tags": words},
        "panel_series": {
            "values": [np.array([(math.sin(t / 7),) for t in range(steps)], [("a", np.float64)])] * 2,
            "past": [None, None],
            "known": [np.array([(t % 7 == 0,) for t in range(steps)], [("b", np.float64)])] * 2,
            "static": [{"size": 1.0}, {"size": 2.0}],
            "own": [0, 0],
            "units": [{}, {}],
        },
        "measured_series": {"values": series, "target": [row.sum(0) for row in series]},
    }
    return samples[form]
