"""The questions that every task answers. The LightningModule asks them and knows nothing else of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from rnnzoo.architectures.base import ONE, SEQUENCE, Architecture
from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.cells.base import State
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.errors import DataError
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.calibration import Calibration
from rnnzoo.tasks.decisions import Decisions
from rnnzoo.tasks.decoding.continuation import Continuation
from rnnzoo.tasks.units import Units, Updates

if TYPE_CHECKING:  # a task imports it in `metrics`, so that predictions do not wait for it
    from torchmetrics import MetricCollection

Answer = dict[str, Any]  # one prediction: JSON
TEXT = 500  # tokens of an input that are told of a unit


class Output:
    """What a model answers to a batch: what the task's loss, metrics and pictures read.

    logits: (batch, classes), or (batch, time, classes), or the numbers themselves where numbers are asked for.
    features: (batch, time, features), what the head reads, where its logits are never computed all at once.
    state: the last one, from which the next batch of a stream continues.
    attention: (batch, target steps, source steps), weights of a decoder that has them.
    extras: further tensors by name, which the task's own `loss`, `update` or `units` reads; each may add to them.
    """

    def __init__(
        self,
        logits: Tensor | None = None,
        *,
        features: Tensor | None = None,
        state: list[State] | None = None,
        attention: Tensor | None = None,
        extras: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._logits, self._features = logits, features
        self.state, self.attention, self.extras = state, attention, dict(extras or {})

    @property
    def logits(self) -> Tensor:
        """Raises: ValueError if the task computes none."""
        if self._logits is None:
            raise ValueError("the output has no logits: its task's loss reads the features")
        return self._logits

    @property
    def features(self) -> Tensor:
        """Raises: ValueError if the task keeps none."""
        if self._features is None:
            raise ValueError("the output has no features: its task's loss reads the logits")
        return self._features


class Task:
    """One kind of question about sequences. A subclass is one file.

    form: the form of data that it takes. needs: the shape of answer (see `Architecture.answers`); an architecture that
    cannot give it is refused at once, with `needs_reason`. monitor: the dev metric that chooses the checkpoint.
    carries_state: a batch continues the one before it. generates_text: it can write on from a prompt (`continue_text`).
    unit: what its test counts one by one: "example", "sentence" or "window", a stretch of a stream.
    decoding: what `predictions` makes of `raw_logits`, for whoever runs the network elsewhere.
    calibration: how `predictions` makes probabilities of logits; that of a trained model is set when it is restored.
    """

    form: ClassVar[str]
    needs: ClassVar[str]
    needs_reason: ClassVar[str] = ""
    monitor: tuple[str, Literal["max", "min"]] = ("loss", "min")
    carries_state: ClassVar[bool] = False
    generates_text: ClassVar[bool] = False
    unit: ClassVar[str] = "example"
    decoding: str = "softmax"
    calibration = Calibration()

    def __init__(self, spec: DataSpec) -> None:
        self.spec = spec

    def class_names(self) -> tuple[str, ...]:
        """The names of the classes that an answer chooses among, in the order of the logits; empty if it does not."""
        return self.spec.labels

    def inputs(self, spec: DataSpec) -> dict[str, Field]:
        """The inputs as the model reads them: the data's, unless the task reshapes them."""
        return spec.inputs

    def preprocess(self, batch: Batch) -> Batch:
        """The batch with its inputs as the model reads them, see `inputs`."""
        return batch

    def head(self, features: int) -> nn.Module:
        """The layer from features to logits."""
        return nn.Linear(features, self.spec.target.size)

    def head_for(self, architecture: Architecture, features: int) -> nn.Module:
        """The head for this architecture: the same for all, unless the task asks more of one."""
        return self.head(features)

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """Run the model on a batch. Returns logits of the task's own shape, see `Output`: as a rule (batch, classes) or
        (batch, time, classes).

        state: of the batch before, one tuple of (batch, ...) tensors for each layer and direction; None at a beginning.
        step: optimizer steps so far, for schedules.
        """
        raise NotImplementedError

    def raw_logits(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, need_state: bool = False
    ) -> tuple[Tensor, list[State] | None]:
        """What the network says before any decoding, of the inputs alone: logits (batch, classes), or (batch, time,
        classes) of every step; and the last state if asked for, where there is an answer a step.

        Raises: ValueError where each step's answer depends on decoded ones.
        """
        if self.needs == SEQUENCE:
            raise ValueError("the task writes token by token: it has no logits of its inputs alone")
        if self.needs == ONE:
            return self.forward(model, batch).logits, None
        return model.step_logits(batch, state, need_state)

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        """What training minimises: the mean over `count(batch)` answers, 0 where there are none; nats for likelihoods.

        model: for what the loss needs of it, such as the head's weights, or whether it is in training.
        """
        raise NotImplementedError

    def count(self, batch: Batch) -> int:
        """How many answers the batch asks for: what losses are weighted by, over batches and over processes."""
        return len(batch)

    def metrics(self) -> MetricCollection:
        """Metric objects, summed over a whole part of the data before anything is divided."""
        from torchmetrics import MetricCollection

        return MetricCollection({})

    def train_metrics(self) -> MetricCollection:
        """Metrics of the training batches, as they were answered while the weights changed; none by default."""
        from torchmetrics import MetricCollection

        return MetricCollection({})

    def metric_signatures(self) -> dict[str, str]:
        """How metrics are counted where the field has several ways, by metric; written into the run's summary."""
        return {}

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """Count one batch in the metrics. loss: a scalar, that of the batch. By default the metrics read the logits
        and the target as they are: (batch, classes) and (batch,).
        """
        metrics.update(output.logits, batch.target)

    def units(self, updates: Updates, output: Output, batch: Batch, loss: Tensor, model: SequenceModel) -> Units:
        """What each unit of a tested batch adds to the metrics, and what was asked, true and answered.

        updates: what `update` has given the metrics, by name. By default a unit is a row, and its counts come from
        these, where a row of theirs is one of the batch and the metric is known (`rnnzoo.tasks.metrics.rows`); a task
        whose metrics take one number for a batch says more. Summed over the whole part of the data, the counts give
        the metric; where they do not, they are left out of what is written.
        """
        from rnnzoo.tasks.metrics.rows import counted

        found = {name: counted(update, len(batch)) for name, update in updates.items()}
        return Units(
            row_numbers(batch), {name: item for name, item in found.items() if item is not None}, self.asked(batch)
        )

    def decisions(self, output: Output, batch: Batch, model: SequenceModel) -> Decisions | None:
        """The batch's choices among classes, for the calibration and for each class's scores; None where the task makes
        none. On dev a temperature is fitted to their logits, where they have such; `predictions` then divides by it.
        """
        return None

    def chosen(self, probabilities: Tensor) -> Tensor:
        """What is answered, of calibrated probabilities (answers, classes), as the target of `decisions`."""
        return probabilities.argmax(-1)

    def threshold_labels(self) -> Sequence[str]:
        """The classes for which a threshold is chosen on dev; as a rule none."""
        return ()

    def asked(self, batch: Batch) -> list[str] | None:
        """The beginning of each input text; None where inputs are no texts."""
        field = self.spec.inputs.get("tokens")
        if field is None or "unit" not in field.options:
            return None
        encoder = Encoder.from_field(field)
        rows = batch.inputs["tokens"][:, :TEXT].tolist()
        return [encoder.decode(row[:length]) for row, length in zip(rows, batch.lengths.tolist(), strict=True)]

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """One JSON object for each sequence, in the batch's order; runs the model, without a target."""
        raise NotImplementedError

    def reads_to_end(self, model: SequenceModel) -> str | None:
        """Why a sequence that arrives in parts cannot be answered part by part; None if it can."""
        return None

    def arrived(self, model: SequenceModel, batch: Batch, memory: dict[str, Tensor]) -> list[Answer]:
        """What is answered when further steps of one sequence have arrived; by default the prediction, one object.

        model: continues from the steps before, so that an answer to a sequence is one to all of it so far. batch: one
        row, the new steps. memory: what the task keeps from part to part, tensors whose shapes stay the same.
        """
        return self.predictions(model, batch)

    @property
    def classes(self) -> Sequence[str]:
        """The names of the classes of its logits; none where these are numbers."""
        return self.spec.target.names

    @property
    def unexplained(self) -> str | None:
        """Why no single label of its answers can be explained; None if one can."""
        return "it writes a text, not a label" if self.needs == SEQUENCE else None

    def asked_step(self, batch: Batch, step: int | None) -> int | None:
        """The step of one sequence whose answer is asked about: the last if not given; None where all have one answer.

        Raises: DataError for a step that is not there.
        """
        if self.needs == ONE:
            if step is not None:
                raise DataError("the model gives one answer to a whole text, not one to each word.")
            return None
        length = int(batch.lengths[0])
        if step is not None and not 0 <= step < length:
            raise DataError(f"word {step + 1} is asked about, and the text has {length}.")
        return length - 1 if step is None else step

    def question_logits(self, model: SequenceModel, batch: Batch, steps: Tensor | None) -> Tensor:
        """Logits (batch, classes) of one answer of each sequence: of its step, (batch,), where each has one."""
        if steps is None:
            return model.sequence_logits(batch)
        features, _ = model.step_features(batch)
        logits: Tensor = model.head(features[torch.arange(len(steps)), steps])
        return logits

    def log_odds(self, logits: Tensor, chosen: int) -> Tensor:
        """(batch,) ln p - ln (1 - p) of a class, in nats, as the probabilities are calibrated."""
        scaled = logits.double() / self.calibration.temperature
        others = torch.cat([scaled[:, :chosen], scaled[:, chosen + 1 :]], 1)
        return scaled[:, chosen] - others.logsumexp(1)

    def describe(self, answer: Answer) -> list[str]:
        """A prediction as the lines that `rnnzoo predict` prints; if a task does not say, each value by its name."""
        return ["  ".join(f"{name} {_plain(value)}" for name, value in answer.items())]

    def describe_all(self, answer: Answer) -> list[str]:
        """As `describe`, and the probability of every class where the answer has them, the likeliest first."""
        probabilities = answer.get("probabilities", {})
        ordered = sorted(probabilities.items(), key=lambda item: -item[1])
        return [*self.describe(answer), *(f"  {percentages({label: p})}" for label, p in ordered)]

    def confidence(self, answer: Answer) -> float | None:
        """How sure a prediction is, 0 to 1; None where the task does not say."""
        return answer.get("confidence")

    def continue_text(self, model: SequenceModel, prompt: str, length: int, **sampling: Any) -> Continuation:
        """Write `length` tokens after a prompt, where the task is one that `generates_text`."""
        raise NotImplementedError


def row_numbers(batch: Batch) -> Tensor:
    """(batch,) int64 on the CPU: which rows of the data a batch has."""
    return torch.arange(len(batch)) if batch.index is None else batch.index


def percentages(probabilities: Mapping[str, float]) -> str:
    """Probabilities by name, as a person reads them: "dog 75.0 %  cat 20.0 %"."""
    return "  ".join(f"{name} {100 * p:.1f} %" for name, p in probabilities.items())


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_plain(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)
