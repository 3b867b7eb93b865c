"""Parts that break one promise each, and are caught by the check that names it. Only the fault is told in them."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from rnnzoo import Source
from rnnzoo.architectures.base import CAUSAL, EACH, ONE, Encoded, LayerStack
from rnnzoo.architectures.recurrent import Recurrent
from rnnzoo.engine.sequences import Sequences
from rnnzoo.tasks.sentiment import Sentiment
from rnnzoo.tasks.tagging import Tagging
from rnnzoo.testing import check_architecture, check_dataset, check_task

# -- architectures


class SaysCausal(LayerStack):
    """A backward direction that says it sees no later step."""

    def __init__(self, input_size: int, cell="lstm", hidden_size: int = 128) -> None:
        super().__init__(input_size, cell, hidden_size, bidirectional=True)

    @classmethod
    def answers(cls, **parameters):
        return frozenset({ONE, EACH, CAUSAL})


class IgnoresLengths(Recurrent):
    """`last` is the last step of the padded batch."""

    def encode(self, x, state, need_state):
        encoded = super().encode(Sequences.of(x.padded), state, need_state)
        return Encoded(Sequences(x.layout, padded_finite=encoded.outputs), encoded.outputs[:, -1], encoded.state)


class MixesTheBatch(Recurrent):
    """Outputs are centred over the batch."""

    def encode(self, x, state, need_state):
        encoded = super().encode(x, state, need_state)
        centred = encoded.outputs - encoded.outputs.mean(0)
        return Encoded(Sequences(x.layout, padded_finite=centred), encoded.last, encoded.state)


class ForgetsTheState(Recurrent):
    """Begins anew with each call."""

    def encode(self, x, state, need_state):
        return super().encode(x, None, need_state)


class StateOfTheFirstRow(Recurrent):
    """The state that it gives is in another order than the batch."""

    def encode(self, x, state, need_state):
        encoded = super().encode(x, state, need_state)
        turned = [tuple(s.flip(0) for s in layer) for layer in encoded.state or ()]
        return Encoded(encoded.sequences, encoded.last, turned if need_state else None)


class Spare(Recurrent):
    """Has a layer that it never runs."""

    def __init__(self, input_size: int, cell="lstm", hidden_size: int = 128) -> None:
        super().__init__(input_size, cell, hidden_size)
        self.spare = torch.nn.Linear(2, 2)


class WrongSize(Recurrent):
    """Gives half of what it says."""

    def __init__(self, input_size: int, cell="lstm", hidden_size: int = 128) -> None:
        super().__init__(input_size, cell, hidden_size)
        self.output_size *= 2


class SumsTheHidden(Recurrent):
    """Takes the output for hidden_size wide, as a projected cell's is not."""

    def __init__(self, input_size: int, cell="lstm", hidden_size: int = 128) -> None:
        super().__init__(input_size, cell, hidden_size)
        self.mix = torch.nn.Linear(hidden_size, hidden_size)
        self.output_size = hidden_size

    def encode(self, x, state, need_state):
        encoded = super().encode(x, state, need_state)
        mixed = encoded.sequences.map(self.mix)
        return Encoded(mixed, mixed.at_ends(), encoded.state)


class Deaf(Recurrent):
    """Its one answer is the first output."""

    def encode(self, x, state, need_state):
        encoded = super().encode(x, state, need_state)
        return Encoded(encoded.sequences, encoded.sequences.at_starts(), encoded.state)


BROKEN_ARCHITECTURES = {
    SaysCausal: {"causality", "split_invariance"},
    IgnoresLengths: {"padding_invariance", "shapes"},
    MixesTheBatch: {"batch_of_one_invariance"},
    ForgetsTheState: {"split_invariance"},
    StateOfTheFirstRow: {"batch_order_invariance", "state_reorder"},
    Spare: {"gradient_reaches_everything"},
    WrongSize: {"shapes"},
    SumsTheHidden: {"any_cell"},
    Deaf: {"hears_every_step"},
}

# -- tasks


class MeanOfBatches(Metric):
    """The mean of each batch's accuracy."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("shares", [], dist_reduce_fx="cat")

    def update(self, preds, target):
        self.shares.append((preds.argmax(-1) == target).float().mean())

    def compute(self):
        return torch.stack(self.shares).mean()


class OneProcess(Metric):
    """Counts that no rule adds up over processes."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("right", torch.tensor(0.0), dist_reduce_fx=None)

    def update(self, preds, target):
        self.right += (preds.argmax(-1) == target).sum()

    def compute(self):
        return self.right


class AveragesBatches(Sentiment):
    def metrics(self):
        return MetricCollection({"accuracy": MeanOfBatches()})


class CountsAlone(Sentiment):
    def metrics(self):
        return MetricCollection({"accuracy": OneProcess()})


class NeverForgets(MulticlassAccuracy):
    """Keeps what it counted over a reset."""

    def reset(self):
        self._computed = None


class KeepsCounting(Sentiment):
    def metrics(self):
        return MetricCollection({"accuracy": NeverForgets(len(self.spec.labels), average="micro")})


class SumsTheLoss(Sentiment):
    def loss(self, model, output, batch):
        return F.cross_entropy(output.logits, batch.target, reduction="sum")


class CountsPadding(Tagging):
    """Asks padding for a tag as well."""

    def loss(self, model, output, batch):
        return F.cross_entropy(output.logits.flatten(0, 1), batch.target.clamp(min=0).flatten())


class CutsTheGradient(Sentiment):
    def loss(self, model, output, batch):
        return super().loss(model, output, batch).detach().requires_grad_()


class TellsTensors(Sentiment):
    def predictions(self, model, batch):
        return [{"logits": row} for row in model.sequence_logits(batch)]


class ReadsTheTarget(Sentiment):
    def predictions(self, model, batch):
        return [{"label": self.spec.labels[number]} for number in batch.target.tolist()]


class WatchesNothing(Sentiment):
    monitor = ("acuracy", "max")


BROKEN_TASKS = {
    AveragesBatches: {"metrics_of_any_split"},
    CountsAlone: {"metrics_of_processes"},
    KeepsCounting: {"metrics_reset"},
    SumsTheLoss: {"loss_is_a_mean_over_its_count"},
    CountsPadding: {"loss_is_a_mean_over_its_count"},
    CutsTheGradient: {"gradient_reaches_the_head", "training_lowers_the_loss"},
    TellsTensors: {"predictions"},
    ReadsTheTarget: {"predictions"},
    WatchesNothing: {"declares"},
}

# -- data sets


class Letters(Source):
    """Sound: rows of random letters, odd and even in turn."""

    form = "labelled_text"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def draw(self, part: str, number: int) -> list[str]:
        source = random.Random(f"{self.seed} {part}")
        return [f"{part} {row} {' '.join(source.choices('abcdef', k=5))}" for row in range(number)]

    def read(self):
        drawn = {part: self.draw(part, number) for part, number in {"train": 40, "dev": 10, "test": 10}.items()}
        return {part: self.columns(texts) for part, texts in drawn.items()}

    def columns(self, texts):
        return {"text": texts, "label": ["even" if row % 2 else "odd" for row in range(len(texts))]}


class Overlaps(Letters):
    def read(self):
        parts = super().read()
        parts["test"]["text"][3] = parts["train"]["text"][0]
        return parts


class NeverTheSame(Letters):
    def draw(self, part, number):
        return [f"{part} {row} {random.random()}" for row in range(number)]


class InTheOrderOfASet(Letters):
    """The same in a process, another in each: strings hash in another way."""

    def draw(self, part, number):
        return list({*super().draw(part, number)})


class IgnoresTheSeed(Letters):
    def draw(self, part, number):
        return [f"{part} {row} a" for row in range(number)]


class NewLabel(Letters):
    def read(self):
        parts = super().read()
        parts["test"]["label"][3] = "prime"
        return parts


class NoDev(Letters):
    def read(self):
        parts = super().read()
        del parts["dev"]
        return parts


class OtherColumns(Letters):
    def columns(self, texts):
        return {"review": texts, "label": ["even" if row % 2 else "odd" for row in range(len(texts))]}


class Keeps(Letters):
    """Gives the lists that it keeps, so that who changes them changes the next reading."""

    def read(self):
        self.kept = getattr(self, "kept", None) or super().read()
        return self.kept


BROKEN_DATASETS = {
    Overlaps: {"no_overlap"},
    NeverTheSame: {"deterministic"},
    InTheOrderOfASet: {"fresh_process"},
    IgnoresTheSeed: {"seed"},
    NewLabel: {"labels_are_known"},
    NoDev: {"parts"},
    OtherColumns: {"columns"},
    Keeps: {"deterministic"},
}


CASES = [
    (check, part, faults)
    for check, broken in (
        (check_architecture, BROKEN_ARCHITECTURES),
        (check_task, BROKEN_TASKS),
        (check_dataset, BROKEN_DATASETS),
    )
    for part, faults in broken.items()
]


@pytest.mark.slow
@pytest.mark.parametrize(("check", "part", "faults"), [pytest.param(*case, id=case[1].__name__) for case in CASES])
def test_a_broken_part_is_caught_by_the_check_that_names_its_fault(check, part, faults):
    failed = {result.name for result in check(part, raise_failures=False).failed}
    assert faults <= failed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "part"), [(check_architecture, Recurrent), (check_task, Sentiment), (check_dataset, Letters)]
)
def test_what_the_broken_ones_are_made_of_keeps_every_promise(check, part):
    assert not check(part).failed
