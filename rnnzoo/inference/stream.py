"""One sequence that arrives in parts, answered as it comes: state in, state out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rnnzoo import registry
from rnnzoo.architectures.base import CAUSAL, ONE
from rnnzoo.architectures.encoded import Encoded
from rnnzoo.architectures.pooling import Pool
from rnnzoo.batch import Batch, DataSpec
from rnnzoo.cells.base import State
from rnnzoo.data.base import Arriving, Examples, Form
from rnnzoo.errors import DataError, RunError
from rnnzoo.model import SequenceModel
from rnnzoo.recipe import Recipe
from rnnzoo.tasks.base import Answer, Task


class Trained(Protocol):
    """What a stream needs of a trained model, see `rnnzoo.inference.predictor.Predictor`."""

    recipe: Recipe
    spec: DataSpec
    form: Form
    model: SequenceModel
    task: Task
    device: str | torch.device

    def answer_examples(self, examples: Examples) -> list[Answer]: ...


class _Continued(SequenceModel):
    """A trained model, and its weights, that goes on from the batch before: one sequence in many batches."""

    def __init__(self, model: SequenceModel) -> None:
        inputs: dict[str, Any] = dict(zip(model.input_names, model.inputs, strict=True))
        pool: Any = _RunningPool(model.pool) if hasattr(model, "pool") else None
        super().__init__(inputs, model.architecture, model.head, pool, model.dropout)
        self.training = False
        self.state: list[State] | None = None

    def encode(self, batch: Batch, state: list[State] | None = None, need_state: bool = False) -> Encoded:
        encoded = super().encode(batch, self.state if state is None else state, need_state=True)
        self.state = encoded.state
        return encoded


class _RunningPool(nn.Module):
    """A pool of the steps before and of those that are new, (batch, output_size)."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool, self.kept, self.training = pool, dict[str, Tensor](), False

    def forward(self, encoded: Encoded) -> Tensor:
        """Returns (batch, output_size)."""
        self.kept = self.pool.absorb(self.kept, encoded)
        return self.pool.pooled(self.kept)


class Stream:
    """One sequence that arrives in parts. However it is cut, the numbers are the same, to about 1e-5 in float32.

    steps: read so far. Made by `Predictor.stream`. It keeps what a state holds and nothing else, so a sequence may be
    endless: a text is read beyond the data's max_length, which `predict` cuts it to.
    """

    def __init__(self, predictor: Trained) -> None:
        """Raises: RunError with the reason where the model answers whole sequences only."""
        self._predictor, self.steps = predictor, 0
        self._arriving = arriving(predictor)
        self._model = _Continued(predictor.model)
        self._memory: dict[str, Tensor] = {}

    @torch.inference_mode()
    def feed(self, x: Any) -> list[Answer]:
        """The answers that a part brings; none where it completes no step. A part may be of any length.

        x: text, or a step's numbers, or an array (time, features). For a task of one answer: the answer to all so
        far, the text's last word as it is now counted. For others: what there is to say of the new steps, where a word
        is read when a blank follows it. Forecasts: one for each new step, as soon as there are `lookback` steps.
        Raises: DataError for what the model cannot read; the stream is then as it was.
        """
        answers: list[Answer] = []
        before: dict[str, Tensor] | None = self.state
        try:
            for examples in self._arriving.take(x):
                answers = [*([] if self._answers_whole else answers), *self._read(examples)]
            before = None
        finally:
            if before is not None:  # it was refused, or interrupted
                self._set(before)
        if self._answers_whole and (rest := self._arriving.rest()) is not None:
            kept = self.state
            answers = self._read(rest)
            self._set(kept)
        return answers

    @torch.inference_mode()
    def end(self) -> list[Answer]:
        """The answers to a last word that no blank has ended; none if there is none left."""
        rest = self._arriving.rest(final=True)
        return [] if rest is None else self._read(rest)

    def line(self, text: str) -> Any:
        """What a line of text, without its line end, is as a part: numbers, or the text with it. Raises: DataError."""
        return self._arriving.line(text)

    @property
    def empty_line_ends(self) -> bool:
        """Whether an empty line ends a sequence, where lines are its parts; if not, it is a part like another."""
        return self._arriving.empty_line_ends

    @property
    def _answers_whole(self) -> bool:
        return self._arriving.continues and self._predictor.task.needs == ONE

    def _read(self, examples: Examples) -> list[Answer]:
        if not self._arriving.continues:
            self.steps += len(examples)
            return self._predictor.answer_examples(examples)
        batch = examples.collate([0]).to(self._predictor.device)
        self.steps += batch.tokens
        answers = self._predictor.task.arrived(self._model, batch, self._memory)
        return [answer | examples.echoed(0) for answer in answers]

    # -- state

    @property
    def state(self) -> dict[str, Tensor]:
        """All that the stream knows, as tensors by name: to copy, to save as safetensors, and to set again.

        A state that is set must be of the same model. Raises, when set: RunError.
        """
        kept: dict[str, Tensor] = {"steps": torch.tensor([self.steps])}
        kept |= {f"form.{name}": torch.from_numpy(array) for name, array in self._arriving.state().items()}
        for layer, state in enumerate(self._model.state or ()):
            kept |= {f"layer.{layer}.{number}": tensor for number, tensor in enumerate(state)}
        if self._pool is not None:
            kept |= {f"pool.{name}": tensor for name, tensor in self._pool.kept.items()}
        kept |= {f"task.{name}": tensor for name, tensor in self._memory.items()}
        return {name: tensor.detach().cpu().clone() for name, tensor in kept.items()}

    @state.setter
    def state(self, state: dict[str, Tensor]) -> None:
        _check(self, state)
        self._set(state)

    @property
    def _pool(self) -> _RunningPool | None:
        pool: Any = getattr(self._model, "pool", None)
        return pool

    def _set(self, state: Mapping[str, Tensor]) -> None:
        """Without a check of names and shapes."""
        parts: dict[str, dict[str, Tensor]] = {"form": {}, "layer": {}, "pool": {}, "task": {}}
        for name, tensor in state.items():
            part, _, rest = name.partition(".")
            if rest:
                parts[part][rest] = tensor.clone() if part == "form" else tensor.clone().to(self._predictor.device)
        try:
            self._arriving.restore({name: tensor.numpy() for name, tensor in parts["form"].items()})
        except ValueError as error:
            raise RunError(f"the state is not of this model's stream: {error}.") from None
        layers: dict[int, dict[int, Tensor]] = {}
        for name, tensor in parts["layer"].items():
            layer, _, number = name.partition(".")
            layers.setdefault(int(layer), {})[int(number)] = tensor
        self._model.state = [
            tuple(layers[layer][number] for number in sorted(layers[layer])) for layer in sorted(layers)
        ] or None
        if self._pool is not None:
            self._pool.kept = parts["pool"]
        self._memory = parts["task"]
        self.steps = int(state["steps"])


def arriving(predictor: Trained) -> Arriving:
    """What reads the parts of a sequence for a model. Raises: RunError with the reason where it cannot be streamed."""
    part = predictor.recipe["model"]["architecture"]
    architecture = registry.load("architectures", part["name"])
    reason = None
    try:
        reads = predictor.form.arriving(predictor.spec)
    except DataError as error:
        reads, reason = None, str(error)
    if reads is None or reads.continues:
        causal = CAUSAL in architecture.answers(**registry.settings(part))
        reason = (
            (None if causal else architecture.reads_to_end) or reason or predictor.task.reads_to_end(predictor.model)
        )
    if reads is None or reason is not None:
        raise RunError(
            f"the model cannot be streamed: {reason}.\n"
            "  `predict` answers whole sequences. To stream, train an architecture of one direction, such as recurrent."
        )
    return reads


def _check(stream: Stream, state: Mapping[str, Tensor]) -> None:
    """Raises: RunError for a state that is not of this model."""
    steps = state.get("steps")
    if not isinstance(steps, Tensor) or steps.shape != (1,) or steps.dtype != torch.int64 or int(steps) < 0:
        raise RunError("the state is not of a stream: 'steps' must be one whole number, 0 or more.")
    expected = {name: tensor for name, tensor in stream.state.items() if name.startswith("form.")}
    if int(steps) and stream._arriving.continues:
        probe = Stream(stream._predictor)
        probe.feed(probe._arriving.sample)
        expected |= probe.state
    for name in sorted(expected.keys() | state.keys()):
        wanted, got = expected.get(name), state.get(name)
        if name == "steps":
            continue
        if wanted is None or not isinstance(got, Tensor):
            problem = f"'{name:.80}' is not expected" if wanted is None else f"'{name}' is missing"
            raise RunError(f"the state is not of this model: {problem}.")
        if name.startswith("form."):
            continue  # of any length: the form says what is wrong
        if got.shape != wanted.shape or got.dtype != wanted.dtype:
            sides = [f"{tensor.dtype} {tuple(tensor.shape)}" for tensor in (wanted, got)]
            raise RunError(f"the state is not of this model: '{name}' must be {sides[0]}, got {sides[1]}.")
        if got.isnan().any():
            raise RunError(f"the state has broken: '{name}' is not a number.")
