"""Continue a text with a language model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnzoo.batch import BOS, EOS, PAD, UNK, Batch, DataSpec
from rnnzoo.cells.base import State
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.engine.recurrence import select
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.decoding.base import Step
from rnnzoo.tasks.decoding.beam import beam as beam_search
from rnnzoo.tasks.decoding.sampling import sample

WINDOW = 1024  # steps of a prompt that are read at once
NEVER = (PAD, UNK, BOS)  # tokens that are not written
# punctuation without a blank before it, and brackets without one after
CLOSING, OPENING = re.compile(r" ([.,;:!?%)\]}])"), re.compile(r"([(\[{]) ")


class Continuation(NamedTuple):
    """text: the prompt and what follows. tokens: what follows. unknown: words of the prompt not in the vocabulary."""

    text: str
    tokens: tuple[str, ...]
    unknown: tuple[str, ...]


def continue_text(
    model: SequenceModel, spec: DataSpec, prompt: str = "", length: int = 100, beam: int | None = None, **sampling: Any
) -> Continuation:
    """Continue `prompt` by `length` tokens. <eos> is a line end, in the prompt and after it; <unk> is never written.

    prompt: of any length; an empty one begins a line; words that the model does not know are read as <unk>. beam: the
    width of a beam search for the likeliest continuation; if None, one is drawn. sampling: temperature, top_k, top_p
    and seed of `rnnzoo.tasks.decoding.sampling.sample`. Raises: ValueError for a number out of range, or for `beam`
    together with these.
    """
    if beam is not None and sampling:
        raise ValueError(f"beam takes the likeliest tokens and draws none: it has no use for {next(iter(sampling))}")
    encoder = Encoder.from_field(spec.inputs["tokens"])
    newline = encoder.ids.get("\n", EOS)
    ids: list[int] = []
    unknown: list[str] = []
    for number, line in enumerate([prompt] if newline != EOS else prompt.split("\n")):
        (words,) = encoder.tokens([line])
        ids += [EOS] * (number > 0) + [encoder.ids.get(word, UNK) for word in words]
        unknown += [word for word in words if word not in encoder.ids]
    start = torch.tensor(ids or [newline], device=next(model.parameters()).device)
    step = stepper(model)
    with torch.inference_mode():
        state = None
        for window in start[:-1].split(WINDOW) if len(start) > 1 else ():
            batch = Batch({"tokens": window.unsqueeze(0)}, torch.tensor([len(window)]))
            state = model.encode(batch, state, need_state=True).state
        if beam is None:
            (ids,) = sample(step, state, start[-1:], length, forbid=NEVER, **sampling).tolist()
        else:
            (best,) = beam_search(
                step, _select, state, start[-1:], size=beam, max_steps=length, length_penalty=0, forbid=NEVER, end=None
            )
            ids = best.tokens
    text = prompt + text_of(encoder, ids, first=not prompt or prompt.endswith("\n"))
    return Continuation(text, tuple(encoder.names[i] for i in ids), tuple(dict.fromkeys(unknown)))


def _select(state: list[State] | None, rows: Tensor) -> list[State] | None:
    return None if state is None else select(state, rows)


def stepper(model: SequenceModel) -> Step[list[State] | None]:
    """The `step` of `rnnzoo.tasks.decoding.base` for a language model: tokens (rows,) to logits (rows, vocabulary)."""

    def step(tokens: Tensor, state: list[State] | None) -> tuple[Tensor, list[State]]:
        x = model.embed(Batch({"tokens": tokens.unsqueeze(1)}, torch.ones_like(tokens)))
        y, state = model.architecture.step(x.squeeze(1), state)
        return model.head(y), state

    return step


def text_of(encoder: Encoder, ids: Sequence[int], first: bool = False) -> str:
    """Tokens as the text that follows a prompt, or a line end if they are the `first`; <eos> is a line end."""
    lines: list[list[int]] = [[]]
    for number in ids:
        if number == EOS:
            lines.append([])
        else:
            lines[-1].append(number)
    texts = [encoder.decode(line) for line in lines]
    if texts[0] and not first and encoder.unit != "character":
        texts[0] = " " + texts[0]
    if encoder.unit == "word":
        texts = [OPENING.sub(r"\1", CLOSING.sub(r"\1", text)) for text in texts]
    return "\n".join(texts)
