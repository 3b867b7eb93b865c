"""What beam search and sampling write with: anything that steps with a carried state.

A caller gives `step(tokens, state) -> (logits, state)`. It takes the tokens written last, (rows,) int64, and the state
carried so far; it returns logits or log-probabilities of the next tokens, (rows, vocabulary), and the state to carry
on. Only the caller looks into the state. `beam` reorders its rows by the caller's `select(state, rows)`, with rows
(rows,) int64, as `rnnzoo.engine.recurrence.select` does for the states of an architecture. As in translation:

    def step(tokens, state):
        logits, state = model.decoder_logits(tokens[:, None], state)
        return logits[:, 0], state

    def select(state, rows):
        return state.select(rows)

    first = batch.lengths.new_full((len(batch),), BOS)
    best = beam(step, select, model.start_decoder(batch), first, size=5, end=EOS)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

S = TypeVar("S")  # what a caller carries from step to step
Step = Callable[[Tensor, S], tuple[Tensor, S]]
Select = Callable[[S, Tensor], S]
