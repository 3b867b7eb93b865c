"""The questions that every task answers. The LightningModule asks them and knows nothing else of a task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from torch import Tensor, nn
from torchmetrics import MetricCollection

from rnnzoo.architectures.base import Architecture
from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.cells.base import State
from rnnzoo.model import SequenceModel


@dataclass
class Output:
    """logits: (batch, classes), or (batch, time, classes), or the numbers themselves where numbers are asked for; None
    where the loss is made without them.

    state: what the next batch of a stream goes on from.
    extras: what a loss, a prediction or a picture needs besides, by name.
    """

    logits: Tensor = None  # type: ignore[assignment]
    state: list[State] | None = None
    extras: dict[str, Any] = field(default_factory=dict)


class Task:
    """One kind of question about sequences. A subclass is one file.

    form: the form of data that it takes. needs: the shape of answer (see `Architecture.answers`); an architecture that
    cannot give it is refused at once, with `needs_reason`. monitor: the dev metric that chooses the checkpoint.
    """

    form: ClassVar[str]
    needs: ClassVar[str]
    needs_reason: ClassVar[str] = ""
    monitor: tuple[str, Literal["max", "min"]] = ("loss", "min")
    carries_state: ClassVar[bool] = False

    def __init__(self, spec: DataSpec) -> None:
        self.spec = spec

    def inputs(self, spec: DataSpec) -> dict[str, Field]:
        """The inputs as the model reads them: the data's, unless the task reshapes them."""
        return spec.inputs

    def reshaped(self, batch: Batch) -> Batch:
        """The batch with its inputs as the model reads them, see `inputs`."""
        return batch

    def head(self, features: int) -> nn.Module:
        """The layer from features to logits."""
        return nn.Linear(features, self.spec.target.size)

    def head_of(self, architecture: Architecture, features: int) -> nn.Module:
        """The head for this architecture: the same for all, unless the task asks more of one."""
        return self.head(features)

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """The model's answer. state: carried from the batch before; step: training steps so far, for schedules."""
        raise NotImplementedError

    def loss(self, output: Output, batch: Batch) -> Tensor:
        """What training lowers: nats, the mean over `count(batch)` answers; 0 where there are none."""
        raise NotImplementedError

    def count(self, batch: Batch) -> int:
        """How many answers the batch asks for: what losses are weighted by, over batches and over processes."""
        return len(batch)

    def metrics(self) -> MetricCollection:
        """Metric objects, summed over a whole part of the data before anything is divided."""
        return MetricCollection({})

    def train_metrics(self) -> MetricCollection:
        """Metrics of the training batches, as they were answered while the weights changed; none by default."""
        return MetricCollection({})

    def scoring(self) -> dict[str, str]:
        """How metrics are counted where the field has several ways, by metric: told in the run's summary."""
        return {}

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """Count one batch."""
        metrics.update(output.logits, batch.target)

    def predictions(self, model: SequenceModel, batch: Batch) -> list[dict[str, Any]]:
        """One JSON object for each sequence, in the batch's order; runs the model, without a target."""
        raise NotImplementedError
