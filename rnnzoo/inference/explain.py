"""Which tokens of a text made an answer: by leaving each out, and by the gradient at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnzoo.architectures.base import EACH
from rnnzoo.batch import UNK, Batch
from rnnzoo.errors import DataError, RunError, unknown
from rnnzoo.inference.predictor import Predictor
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Answer

LONGEST = 1000  # tokens of a text that is explained: each is left out once
ROWS = 64  # texts without a token that are read at once


@dataclass(frozen=True)
class Explanation:
    """What each token adds to an answer's log-odds, ln p - ln (1 - p), in nats.

    answer: the whole prediction. label: what is explained of it. step: of the word asked about, counted from 0, where
    each word has an answer. log_odds: of the label. erasure: of each token, by how much the log-odds fall without it.
    gradient: the gradient of the log-odds at the token's input times that input, a sum over features; exact where the
    network is linear (Shrikumar et al., arXiv:1605.01713). Erasure: Li, Monroe, Jurafsky, arXiv:1612.08220.
    """

    text: str
    answer: Answer
    label: str
    step: int | None
    log_odds: float
    tokens: tuple[str, ...]
    erasure: tuple[float, ...]
    gradient: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        rows = zip(self.tokens, self.erasure, self.gradient, strict=True)
        tokens = [{"token": token, "erasure": e, "gradient": g} for token, e, g in rows]
        return {
            "input": self.text,
            "answer": self.answer,
            "label": self.label,
            "step": self.step,
            "log_odds": self.log_odds,
            "tokens": tokens,
        }


class _Watched(SequenceModel):
    """A trained model that keeps what its inputs give, for a gradient there."""

    def __init__(self, model: SequenceModel) -> None:
        inputs: dict[str, Any] = dict(zip(model.input_names, model.inputs, strict=True))
        super().__init__(inputs, model.architecture, model.head, getattr(model, "pool", None), model.dropout)
        self.training = False
        self.embedded: Tensor | None = None

    def embed(self, batch: Batch) -> Tensor:
        self.embedded = super().embed(batch).detach().requires_grad_()
        return self.embedded


def explain(predictor: Predictor, text: str, label: str | None = None, step: int | None = None) -> Explanation:
    """The explanation of the answer to a text, or of another label. step: the word asked about, from 0.

    The text is as long as `predict` reads it. A token that is asked about itself is not left out but made unknown.
    Raises: RunError for a model that reads no texts, or writes some; DataError for an empty text, one of more than
    `LONGEST` tokens, a label or a step that is not there.
    """
    task, names = predictor.task, predictor.task.classes
    if "tokens" not in predictor.spec.inputs or not names or (why := task.unexplained) is not None:
        why = why if "tokens" in predictor.spec.inputs and names else "it reads numbers, and a text is explained"
        raise RunError(f"the model's answers are not explained: {why}.\n  Give a model that labels or continues texts.")
    if not text.strip():
        raise DataError("there is nothing to explain: the text is empty.\n  Give a text of a few words.")
    (answer,) = predictor.predict([text])
    examples = predictor.form.ask([text], predictor.spec)
    batch = examples.collate([0]).to(predictor.device)
    tokens = tuple(predictor.form.pieces(text, predictor.spec))
    if len(tokens) > LONGEST:
        raise DataError(f"the text has {len(tokens):,} tokens, and at most {LONGEST:,} are explained.\n  Give a part.")
    at = task.asked_step(batch, step)
    chosen, odds, gradient = _at_inputs(predictor, batch, at, label)
    without = _without_each(predictor, batch, at, chosen)
    return Explanation(
        text,
        answer,
        names[chosen],
        at,
        odds,
        tokens,
        tuple((odds - without).tolist()),
        tuple(gradient.tolist()),
    )


def _at_inputs(predictor: Predictor, batch: Batch, at: int | None, label: str | None) -> tuple[int, float, Tensor]:
    """The label's number, its log-odds, and gradient times input of each token, (tokens,) float64."""
    names = predictor.task.classes
    if label is not None and label not in names:
        raise DataError(unknown("the model has no label", label, names))
    model = _Watched(predictor.model)
    with torch.enable_grad():
        logits = predictor.task.question_logits(model, batch, None if at is None else torch.tensor([at]))
        chosen = int(logits.argmax(-1)) if label is None else names.index(label)
        odds = predictor.task.log_odds(logits, chosen)
        assert model.embedded is not None
        (gradient,) = torch.autograd.grad(odds.sum(), model.embedded)
    return chosen, float(odds.detach()), (gradient.double() * model.embedded.detach().double()).sum(-1)[0].cpu()


@torch.inference_mode()
def _without_each(predictor: Predictor, batch: Batch, at: int | None, chosen: int) -> Tensor:
    """(tokens,) float64: the log-odds of the text without each token."""
    time, task = int(batch.lengths[0]), predictor.task
    found = []
    for start in range(0, time, ROWS):
        left_out = torch.arange(start, min(start + ROWS, time))
        shorter, steps = _shortened(batch, left_out, at, keeps_asked=task.needs == EACH)
        found.append(task.log_odds(task.question_logits(predictor.model, shorter, steps), chosen).double().cpu())
    return torch.cat(found)


def _shortened(batch: Batch, left_out: Tensor, at: int | None, keeps_asked: bool) -> tuple[Batch, Tensor | None]:
    """The one row of a batch without each of some tokens; and where the word asked about now is.

    A row that would be empty, or without the word asked about, has <unk> in the token's place.
    """
    time = int(batch.lengths[0])
    kept: Tensor = torch.arange(time - 1) + (torch.arange(time - 1) >= left_out[:, None])  # (rows, time - 1)
    asked = torch.zeros_like(left_out, dtype=torch.bool)
    if keeps_asked and at is not None:
        asked = left_out.eq(at)
    replaced = asked if time > 1 else torch.ones_like(asked)
    inputs = {}
    for name, field in batch.inputs.items():
        rows = torch.zeros(len(left_out), time, *field.shape[2:], dtype=field.dtype, device=field.device)
        rows[:, : time - 1] = field[0][kept.to(field.device)]
        rows[replaced] = field[0, :time]
        rows[replaced, left_out[replaced]] = UNK if name == "tokens" else 0
        inputs[name] = rows
    lengths = time - 1 + replaced.long()
    if at is None:
        return Batch(inputs, lengths), None
    steps = (at - ((left_out <= at) & ~replaced).long()).clamp(min=0)
    return Batch(inputs, lengths), steps
