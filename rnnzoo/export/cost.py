"""What rounded weights cost: the metrics on the run's own data, or, where these cannot be read, how answers differ."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

from rnnzoo.errors import ZooError
from rnnzoo.experiment.evaluate import evaluate
from rnnzoo.export.base import Exported
from rnnzoo.export.rounding import round_in_place

BATCH, TIME, BATCHES = 16, 20, 8  # of made-up sequences


def lines(run: str, exported: Exported, plain: Exported) -> Iterator[str]:
    """Lines for a person. exported: the rounded model; plain: as it was trained."""
    for part in ("test", "dev"):
        try:
            with contextlib.redirect_stdout(sys.stderr):
                before, after = evaluate(run, part), evaluate(run, part, change=round_in_place)
        except ZooError as error:
            logging.getLogger("rnnzoo").info("the %s part cannot be scored: %s", part, error)
            continue
        for name, value in before.items():
            yield f"{name}: {value:.6g} with its own weights, {after[name]:.6g} in 8 bits"
        return
    yield _agreement(exported, plain)


def _agreement(exported: Exported, plain: Exported) -> str:
    same = total = 0
    largest = 0.0
    for seed in range(BATCHES):
        example = plain.example(BATCH, TIME, seed)
        a, b = (model(*example.arguments)[0].flatten(0, -2) for model in (exported, plain))
        same, total = same + int((a.argmax(-1) == b.argmax(-1)).sum()), total + len(a)
        largest = max(largest, (a - b).abs().max().item())
    return (
        f"its data cannot be read here: of {total} answers to made-up sequences, {100 * same / total:.1f} % have the "
        f"same largest logit in 8 bits; a logit moves by {largest:.2g} at most"
    )
