"""What architectures, tasks and data sets promise, as checks that any of them can be put to.

    test_contract = architecture_tests("dilated")                   # in a test file: one pytest case per check
    report = check_task({"name": "tagging", "outside": "O"})        # a name, a mapping with parameters, or a class

No check needs a network; a data set that cannot be had without one is skipped, and says so.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.architectures.base import CAUSAL, EACH, ONE, SEQUENCE, Architecture, Encoded
from rnnzoo.architectures.encoder_decoder import EncoderDecoder
from rnnzoo.batch import Batch, DataSpec
from rnnzoo.cells.base import Cell, State, StateSpec
from rnnzoo.data.base import PARTS, Columns, Source
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import FORMS
from rnnzoo.engine.recurrence import select
from rnnzoo.errors import DataError, RecipeError, UnknownName
from rnnzoo.model import SequenceModel
from rnnzoo.schema import part_kind, signature
from rnnzoo.tasks.base import Output, Task
from rnnzoo.testing import cells
from rnnzoo.testing.base import Check, NotApplicable, Report, bind, check_part, tests_of

INPUT, HIDDEN = 5, 4
LENGTHS = (3, 7, 0, 1, 7, 5)  # steps
TIME = 8  # steps with padding
ANSWERS = frozenset({ONE, EACH, CAUSAL, SEQUENCE})


def check_architecture(
    architecture: Any, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put an architecture to every check: a registered name, a mapping with a name and parameters, or a class.

    expected_failures: by check name, the reason why it does not hold; added to the class's own `expected_failures`.
    Raises: ConformanceError if `raise_failures`; UnknownName.
    """
    return _checked("architecture", architecture, expected_failures, raise_failures)


def check_task(task: Any, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True) -> Report:
    """Put a task to every check; see `check_architecture`."""
    return _checked("task", task, expected_failures, raise_failures)


def check_dataset(
    dataset: Any, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put a data set to every check; see `check_architecture`."""
    return _checked("dataset", dataset, expected_failures, raise_failures)


def architecture_tests(architecture: Any, expected_failures: Mapping[str, str] | None = None) -> Callable[..., None]:
    """A pytest test of an architecture, one case per check; expected failures are strict xfails with their reason."""
    return _tests("architecture", architecture, expected_failures)


def task_tests(task: Any, expected_failures: Mapping[str, str] | None = None) -> Callable[..., None]:
    """The same for a task."""
    return _tests("task", task, expected_failures)


def dataset_tests(dataset: Any, expected_failures: Mapping[str, str] | None = None) -> Callable[..., None]:
    """The same for a data set."""
    return _tests("dataset", dataset, expected_failures)


def checks_for(kind: str, part: Any) -> list[Check]:
    """All checks of one architecture, task or data set."""
    subject, checks = KINDS[kind]
    return bind(checks, subject(part))


def _checked(kind: str, part: Any, expected_failures: Mapping[str, str] | None, raise_failures: bool) -> Report:
    subject = KINDS[kind][0](part)
    return check_part(kind, subject.name, checks_for(kind, part), subject.declared(expected_failures), raise_failures)


def _tests(kind: str, part: Any, expected_failures: Mapping[str, str] | None) -> Callable[..., None]:
    return tests_of(checks_for(kind, part), KINDS[kind][0](part).declared(expected_failures))


class Subject(cells.Subject):
    """A part under test: how it is named and made, and how what it gives is compared."""

    kind: str
    given: frozenset[str]  # constructor arguments that a recipe does not set

    def __init__(self, part: Any) -> None:
        self.parameters = {k: v for k, v in part.items() if k != "name"} if isinstance(part, Mapping) else {}
        self.part = part["name"] if isinstance(part, Mapping) else part
        inside = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        plain = self.part if isinstance(self.part, str) else self.part.__qualname__
        self.name = plain + (f"({inside})" if inside else "")
        self.maker = registry.load(self.kind, self.part) if isinstance(self.part, str) else self.part

    @cached_property
    def signature(self) -> dict[str, Any]:
        return signature(self.maker, self.given)

    @property
    def registered(self) -> str:
        """The name in recipes. Raises: NotApplicable for a class that is not registered."""
        if not isinstance(self.part, str):
            raise NotApplicable("not registered, so no recipe can name it")
        return self.part

    def raises(self, what: str, function: Callable[[], Any], *kinds: type[Exception]) -> str:
        """The message of the error that is due."""
        try:
            function()
        except kinds as error:
            return str(error)
        names = " or ".join(kind.__name__ for kind in kinds)
        raise AssertionError(f"{self.name}: {what}: expected {names}, found none")

    def reached(self, name: str, parameter: nn.Parameter) -> None:
        """A gradient, finite and not all zeros, must have come to a parameter."""
        gradient = torch.zeros(1) if parameter.grad is None else parameter.grad
        self.require(bool(gradient.any()), f"{name}: expected a gradient, found none")
        self.finite(gradient, f"gradient of {name}")

    def close(self, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], when: str) -> None:
        """Compare tensors by name."""
        for name, value in wanted.items():
            self.agree(found[name], value, f"{name} {when}")


def check_builds_from_json(subject: Subject) -> str:
    """Every parameter is plain data with a default: a recipe can build the part."""
    lacking = [name for name, p in subject.signature.items() if p.required and name not in subject.parameters]
    subject.require(not lacking, f"expected a default for every parameter, found none for {', '.join(lacking)}")
    given = {name: p.default for name, p in subject.signature.items() if not p.required}
    json.dumps(given, allow_nan=False)
    return f"parameters: {', '.join(subject.signature) or 'none'}"


# -- architectures --------------------------------------------------------------------------------------------------


class _Counting(Cell):
    """h' = tanh(W x + b + u h / (1 + n)), n' = n + 1: any step, and a state that no encoder may set."""

    gates = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.states = ("h", StateSpec("n", (1,), free=False))
        self.u = nn.Parameter(torch.rand(hidden_size))

    def step(self, gx: Tensor, state: State) -> State:
        h, n = state
        return torch.tanh(gx + self.u * h / (1 + n)), n + 1


class _Turning(Cell):
    """s' = 0.9 exp(i phi) s + W x + b, y = Re s: a complex state."""

    gates = ("s",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.states = (StateSpec("s", (hidden_size,), torch.complex64),)
        self.phi = nn.Parameter(torch.rand(hidden_size))

    def step(self, gx: Tensor, state: State) -> State:
        return (0.9 * torch.polar(torch.ones_like(self.phi), self.phi) * state[0] + gx,)

    def readout(self, gx: Tensor, state: State) -> Tensor:
        return state[0].real


CELLS: dict[str, Any] = {
    "lstm": "lstm",
    "gru": "gru",
    "a projected lstm": {"name": "lstm_projected", "proj_size": 3},
    "a cell with a state that is not free": _Counting,
    "a cell with a complex state": _Turning,
}
REFUSALS = {  # a shipped recipe for each shape of answer
    ONE: "quickstart",
    EACH: "toy_tags",
    CAUSAL: "toy_text",
    SEQUENCE: "toy_reverse",
}


class ArchitectureSubject(Subject):
    kind = "architectures"
    given = frozenset({"input_size"})

    @property
    def cells(self) -> list[str]:
        """The parameters that take a cell. Raises: NotApplicable if there is none."""
        found = [name for name, p in self.signature.items() if part_kind(p.annotated) == "cells"]
        if not found:
            raise NotApplicable("no parameter takes a cell")
        return found

    @property
    def answers(self) -> frozenset[str]:
        return self.maker.answers(**self.parameters)

    def network(self, cell: Any = None, seed: int = 1) -> Architecture:
        """The architecture, small, in evaluation mode; its cells as they are given, or by default."""
        small = {"hidden_size": HIDDEN} if "hidden_size" in self.signature else {}
        chosen = {} if cell is None else dict.fromkeys(self.cells, cell)
        torch.manual_seed(seed)
        return self.maker(INPUT, **(small | self.parameters | chosen)).eval()


def batch_of(lengths: tuple[int, ...] = LENGTHS, time: int = TIME) -> tuple[Tensor, Tensor]:
    """Random x (batch, time, features), and lengths (batch,)."""
    return torch.randn(len(lengths), time, INPUT), torch.tensor(lengths)


def answer(network: Architecture, x: Tensor, lengths: Tensor | None = None, state: Any = None) -> dict[str, Tensor]:
    """All that an architecture says of a batch, by name; the batch comes first in each."""
    encoded = network(x, lengths, state)
    found = {"outputs": encoded.outputs, "last": encoded.last}
    if isinstance(network, EncoderDecoder):
        y = x.new_ones(len(x), 3, network.input_size)
        found["decoded"] = network.decode(y, network.remember(encoded), encoded.state)[0]
    states = (tensor for layer in encoded.state or () for tensor in layer)
    return found | {f"state {k}": tensor for k, tensor in enumerate(states)}


def check_answers(subject: ArchitectureSubject) -> str:
    """`answers` names shapes of answer that there are, and says the same each time."""
    found = subject.answers
    told = f"answers: expected some of {', '.join(sorted(ANSWERS))}, found {found!r}"
    subject.require(isinstance(found, frozenset) and bool(found) and found <= ANSWERS, told)
    subject.require(found == subject.answers, "answers: expected the same twice")
    subject.require(CAUSAL not in found or EACH in found, "answers: causal is one answer a step, many_to_many as well")
    writes = isinstance(subject.network(), EncoderDecoder)
    told = "answers: sequence_to_sequence takes a decoder: expected a subclass of EncoderDecoder"
    subject.require(writes == (SEQUENCE in found), told)
    return ", ".join(sorted(found))


def check_shapes(subject: ArchitectureSubject) -> str:
    """Outputs, last and state have the shapes that are promised; outputs are zeros past the ends."""
    network = subject.network()
    subject.require(network.input_size == INPUT, f"input_size: expected {INPUT}, found {network.input_size}")
    x, lengths = batch_of()
    encoded = network(x, lengths)
    subject.require(isinstance(encoded, Encoded), f"expected an Encoded, found a {type(encoded).__name__}")
    size = network.output_size
    if SEQUENCE in subject.answers:
        decoded = answer(network, x, lengths)["decoded"]
        subject.require(decoded.shape == (len(x), 3, size), f"decoded: {tuple(decoded.shape)}, output_size={size}")
        size = encoded.outputs.shape[-1]
    for what, tensor, shape in (
        ("outputs", encoded.outputs, (*x.shape[:2], size)),
        ("last", encoded.last, (len(x), size)),
    ):
        subject.require(tensor.shape == shape, f"{what}: expected shape {shape}, found {tuple(tensor.shape)}")
        subject.finite(tensor, what)
    past = torch.arange(TIME) >= lengths[:, None]
    subject.require(not encoded.outputs[past].any(), "outputs: expected zeros past the ends, found others")
    subject.require(not encoded.last[lengths == 0].any(), "last: expected zeros for an empty sequence, found others")
    told = "state: expected a list with a tuple of (batch, ...) tensors for each layer and direction"
    state = encoded.state
    subject.require(isinstance(state, list) and all(isinstance(layer, tuple) for layer in state), told)
    subject.require(all(len(tensor) == len(x) for layer in state or () for tensor in layer), told)
    without = network(x, lengths, need_state=False)
    subject.require(without.state is None, "need_state=False: expected no state, found one")
    subject.agree(without.outputs, encoded.outputs, "outputs with need_state=False")
    return f"output_size={network.output_size}"


def check_padding_invariance(subject: ArchitectureSubject) -> None:
    """What stands past a sequence's end, and how much of it, changes nothing."""
    network = subject.network()
    x, lengths = batch_of()
    wanted = answer(network, x, lengths)
    noisy = x.masked_fill((torch.arange(TIME) >= lengths[:, None]).unsqueeze(-1), 1e6)
    subject.close(answer(network, noisy, lengths), wanted, "with noise in the padding")
    wanted["outputs"] = wanted["outputs"][:, : max(LENGTHS)]
    subject.close(answer(network, x[:, : max(LENGTHS)], lengths), wanted, "with less padding")


def check_batch_order_invariance(subject: ArchitectureSubject) -> None:
    """Sequences in another order give the same answers in that order."""
    network = subject.network()
    x, lengths = batch_of()
    order = torch.randperm(len(x))
    wanted = {name: tensor[order] for name, tensor in answer(network, x, lengths).items()}
    subject.close(answer(network, x[order], lengths[order]), wanted, "in another batch order")


def check_batch_of_one_invariance(subject: ArchitectureSubject) -> None:
    """A sequence alone gives what it gives beside others."""
    network = subject.network()
    x, lengths = batch_of()
    together = answer(network, x, lengths)
    for row, length in enumerate(LENGTHS):
        wanted = {name: tensor[row : row + 1] for name, tensor in together.items()}
        wanted["outputs"] = wanted["outputs"][:, :length]
        subject.close(answer(network, x[row : row + 1, :length]), wanted, f"of a sequence of {length} alone")


def check_hears_every_step(subject: ArchitectureSubject) -> None:
    """One answer hears every step; an answer a step hears that step; a decoder hears every step."""
    network, answers = subject.network(), subject.answers
    x = torch.randn(1, TIME, INPUT, requires_grad=True)
    found = answer(network, x)
    whole = [name for shape, name in ((ONE, "last"), (SEQUENCE, "decoded")) if shape in answers]
    for name in whole:
        (gradient,) = torch.autograd.grad(_spread(found[name]), x, retain_graph=True)
        deaf = [t for t in range(TIME) if not gradient[0, t].any()]
        subject.require(not deaf, f"{name}: expected to depend on every step, found that it does not on {deaf}")
    for t in range(TIME) if EACH in answers else ():
        (gradient,) = torch.autograd.grad(_spread(found["outputs"][:, t]), x, retain_graph=True)
        subject.require(bool(gradient[0, t].any()), f"outputs: expected step {t} to depend on the input there")


def _spread(tensor: Tensor) -> Tensor:
    """A sum with another weight for each number."""
    return (tensor * torch.linspace(0.5, 1.5, tensor.numel()).view_as(tensor)).sum()


def _causal(subject: ArchitectureSubject) -> Architecture:
    if CAUSAL not in subject.answers:
        raise NotApplicable("it does not say that it is causal")
    return subject.network()


def check_causality(subject: ArchitectureSubject) -> None:
    """Where `answers` says causal, no output depends on later steps."""
    network = _causal(subject)
    x, _ = batch_of()
    wanted = network(x).outputs
    for t in range(1, TIME):
        other = x.clone()
        other[:, t:] = torch.randn_like(x[:, t:])
        subject.agree(
            network(other).outputs[:, :t], wanted[:, :t], f"outputs before step {t} when what follows differs"
        )


def check_split_invariance(subject: ArchitectureSubject) -> None:
    """Where it is causal, sequences that are cut anywhere give the same, the state carried over the cut."""
    network = _causal(subject)
    first, second = (3, 4, 0, 1, 2, 7), (2, 5, 3, 6, 0, 1)
    x, lengths = batch_of(tuple(a + b for a, b in zip(first, second, strict=True)), 10)
    wanted = answer(network, x, lengths)
    rest = torch.zeros(len(x), max(second), INPUT)
    for row, (a, b) in enumerate(zip(first, second, strict=True)):
        rest[row, :b] = x[row, a : a + b]
    before = network(x[:, : max(first)], torch.tensor(first))
    after = answer(network, rest, torch.tensor(second), before.state)
    for row, (a, b) in enumerate(zip(first, second, strict=True)):
        subject.agree(before.outputs[row, :a], wanted["outputs"][row, :a], f"outputs before a cut at {a}")
        subject.agree(after["outputs"][row, :b], wanted["outputs"][row, a : a + b], f"outputs after a cut at {a}")
    subject.close(after, {k: v for k, v in wanted.items() if k.startswith("state")}, "after a cut")


def check_state_reorder(subject: ArchitectureSubject) -> None:
    """Where it is causal, chosen and reordered states go on as their sequences would: beam search."""
    network = _causal(subject)
    x, lengths = batch_of()
    index = torch.tensor([4, 0, 0, 5])
    state = network(x, lengths).state
    assert state is not None
    more = torch.randn(len(x), 3, INPUT)
    wanted = {name: tensor[index] for name, tensor in answer(network, more, state=state).items()}
    subject.close(answer(network, more[index], state=select(state, index)), wanted, "with reordered state")


def check_gradient_reaches_everything(subject: ArchitectureSubject) -> None:
    """Gradient, finite, reaches every parameter and the input at every step, and none the padding."""
    network = subject.network().train()
    x, lengths = batch_of((3, 20, 0, 1, 17, 5), 21)  # long enough for skips through time
    x.requires_grad_()
    found = answer(network, x, lengths)
    _spread(found["decoded" if SEQUENCE in subject.answers else "outputs"]).backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            subject.reached(name, parameter)
    valid = torch.arange(x.shape[1]) < lengths[:, None]
    per_step = x.grad.abs().sum(-1) if x.grad is not None else torch.zeros(x.shape[:2])
    subject.require(bool(per_step[valid].all()), "x: expected a gradient at every step, found a step without")
    subject.require(not per_step[~valid].any(), "x: expected no gradient in the padding, found some")


def check_eval_is_deterministic(subject: ArchitectureSubject) -> None:
    """In evaluation mode the same batch gives the same numbers twice."""
    network = subject.network()
    x, lengths = batch_of()
    subject.close(answer(network, x, lengths), answer(network, x, lengths), "the second time")


def check_copies(subject: ArchitectureSubject) -> None:
    """A deep copy, and another network that has loaded the `state_dict`, give the same numbers."""
    network, other = subject.network(), subject.network(seed=2)
    x, lengths = batch_of()
    wanted = answer(network, x, lengths)
    subject.close(answer(copy.deepcopy(network), x, lengths), wanted, "of a deep copy")
    other.load_state_dict(network.state_dict(), strict=True)
    subject.close(answer(other, x, lengths), wanted, "with the same state_dict")


def check_any_cell(subject: ArchitectureSubject) -> str:
    """Any cell works inside: built-in, projected, any step, a complex state; ragged lengths and gradients included."""
    for what, cell in CELLS.items():
        network = subject.network(cell)
        x, lengths = batch_of()
        try:
            together = answer(network, x, lengths)
            _spread(together["decoded" if SEQUENCE in subject.answers else "outputs"]).backward()
        except Exception as error:
            raise AssertionError(f"{subject.name}: with {what}: {type(error).__name__}: {error}") from error
        wanted = {name: tensor[1:2] for name, tensor in together.items()}
        wanted["outputs"] = wanted["outputs"][:, : LENGTHS[1]]
        subject.close(answer(network, x[1:2, : LENGTHS[1]]), wanted, f"of a sequence alone, with {what}")
    return ", ".join(CELLS)


def check_refuses_wrong_input(subject: ArchitectureSubject) -> None:
    """Wrong features, lengths and cells are refused: ValueError with both sides, UnknownName, TypeError."""
    network = subject.network()
    told = subject.raises("wrong features", lambda: network(torch.zeros(1, 2, INPUT + 1)), ValueError)
    sides = f"wrong features: expected a message with {INPUT} and {INPUT + 1}, found '{told}'"
    subject.require(str(INPUT) in told and str(INPUT + 1) in told, sides)
    too_long = torch.tensor([3])
    subject.raises("lengths beyond time", lambda: network(torch.zeros(1, 2, INPUT), too_long), ValueError)
    if "hidden_size" in subject.signature:
        build = partial(subject.maker, INPUT, **(subject.parameters | {"hidden_size": 0}))
        subject.raises("hidden_size=0", build, ValueError)
    subject.raises("an unknown cell", lambda: subject.network("no_such_cell"), UnknownName)
    subject.raises("an instance for a cell", lambda: subject.network(_Counting(INPUT, HIDDEN)), TypeError)


def check_refused_combinations(subject: ArchitectureSubject) -> str:
    """A recipe that asks what `answers` does not name is refused, one that asks what it names is not."""
    own = ["--model.architecture", json.dumps({"name": subject.registered, **subject.parameters})]
    for shape, recipe in REFUSALS.items():
        resolve = partial(recipes.resolve, recipes.read(recipe, own))
        if shape in subject.answers:
            resolve()
        else:
            told = subject.raises(f"a task that needs {shape}", resolve, RecipeError)
            subject.require(f"cannot answer {shape}" in told, f"expected 'cannot answer {shape}', found '{told}'")
    return f"refuses {', '.join(sorted(ANSWERS - subject.answers)) or 'nothing'}"


# -- tasks ----------------------------------------------------------------------------------------------------------

ROWS = 9
ARCHITECTURES = {ONE: "bidirectional", EACH: "bidirectional", CAUSAL: "recurrent", SEQUENCE: "encoder_decoder"}
TOYS = {  # an embedded data set of each form
    "labelled_text": "toy_reviews",
    "tagged_text": "toy_tags",
    "text_stream": "toy_text",
    "text_pairs": "toy_pairs",
    "measured_series": "adding",
}


def sample(form: str) -> Columns:
    """A few rows of a form, of unequal lengths."""
    random = Random(0)
    words = [random.choices("abcdef", k=random.randint(1, 7)) for _ in range(ROWS)]
    texts = [" ".join(row) for row in words]
    series = [np.array([[random.random(), random.random()] for _ in row], np.float32) for row in words]
    labels = [random.choice("xyz") if row > 2 else "xyz"[row] for row in range(ROWS)]
    samples: dict[str, Columns] = {
        "labelled_text": {"text": texts, "label": labels},
        "tagged_text": {"words": words, "tags": [[letter.upper() for letter in row] for row in words]},
        "text_stream": {"text": texts},
        "text_pairs": {"source": texts, "target": [text[::-1] for text in texts]},
        "labelled_series": {"values": series, "label": labels},
        "measured_series": {"values": series, "target": [row.sum(0) for row in series]},
    }
    return samples[form]


class TaskSubject(Subject):
    kind = "tasks"
    given = frozenset({"spec"})

    @cached_property
    def examples(self) -> tuple[DataSpec, Batch]:
        """A batch of the task's form, and what it is from."""
        kind: Any = FORMS[self.maker.form]
        columns, form = sample(self.maker.form), kind(batch_size=ROWS)
        spec = form.fit(columns)
        examples = form.encode(columns, spec)
        return spec, examples[next(iter(form.batches(examples, training=True)))]

    def built(self) -> tuple[Task, SequenceModel, Batch]:
        """The task, a small model for it in evaluation mode, and a batch."""
        spec, batch = self.examples
        torch.manual_seed(1)
        task = self.maker(spec, **self.parameters)
        model = SequenceModel(spec, task, {"name": ARCHITECTURES[task.needs], "hidden_size": 8}, embedding_size=8)
        return task, model.eval(), batch

    def loss(self, task: Task, model: SequenceModel, batch: Batch) -> tuple[Output, Tensor]:
        output = task.forward(model, batch)
        return output, task.loss(output, batch)


def rows_of(batch: Batch, rows: list[int]) -> Batch:
    """The given rows of a batch, without padding that none of them needs."""
    lengths = batch.lengths[rows]
    time = int(lengths.max())
    target, target_lengths = batch.target[rows], None
    if batch.target_lengths is not None:
        target_lengths = batch.target_lengths[rows]
        target = target[:, : int(target_lengths.max())]
    elif target.dim() == 2 and not target.is_floating_point():
        target = target[:, :time]
    inputs = {name: tensor[rows][:, :time] for name, tensor in batch.inputs.items()}
    return Batch(inputs, lengths, target, target_lengths)  # type: ignore[arg-type]


def splits(batch: Batch) -> dict[str, list[Batch]]:
    """The rows of a batch as several batches, in some ways."""
    rows = list(range(len(batch)))
    cuts = {
        "row by row": [[row] for row in rows],
        "one and the rest": [rows[:1], rows[1:]],
        "in threes, backwards": [rows[k : k + 3] for k in range(0, len(rows), 3)][::-1],
    }
    return {name: [rows_of(batch, part) for part in parts] for name, parts in cuts.items()}


def check_declares(subject: TaskSubject) -> str:
    """form, needs and monitor are of those that there are, and the monitored metric is one that the task has."""
    cls = subject.maker
    form, needs = getattr(cls, "form", None), getattr(cls, "needs", None)
    subject.require(form in FORMS, f"form: expected one of {', '.join(FORMS)}, found {form!r}")
    subject.require(needs in ANSWERS, f"needs: expected one of {', '.join(sorted(ANSWERS))}, found {needs!r}")
    metric, mode = cls.monitor
    known = {"loss", *subject.built()[0].metrics()}
    subject.require(metric in known, f"monitor: expected one of {', '.join(sorted(known))}, found '{metric}'")
    subject.require(mode in ("max", "min"), f"monitor: expected max or min, found '{mode}'")
    return f"{form}, needs {needs}, monitors {metric}"


def check_loss_is_finite(subject: TaskSubject) -> str:
    """The loss of a batch is one finite number."""
    _, loss = subject.loss(*subject.built())
    subject.require(loss.shape == (), f"loss: expected one number, found shape {tuple(loss.shape)}")
    subject.finite(loss, "loss")
    return f"{loss.item():.3f} before training"


def check_loss_in_any_order(subject: TaskSubject) -> None:
    """A batch in another order has the same loss."""
    task, model, batch = subject.built()
    order = torch.randperm(len(batch)).tolist()
    found, wanted = (subject.loss(task, model, rows_of(batch, rows))[1] for rows in (order, sorted(order)))
    subject.agree(found, wanted, "loss in another order")


def check_loss_is_a_mean_over_its_count(subject: TaskSubject) -> None:
    """Losses of the parts of a batch, weighted by `count`, have the whole's loss as their mean."""
    task, model, batch = subject.built()
    wanted = subject.loss(task, model, batch)[1]
    for how, parts in splits(batch).items():
        counts = [task.count(part) for part in parts]
        subject.require(sum(counts) == task.count(batch), f"count {how}: expected {task.count(batch)}, found {counts}")
        total = sum(n * subject.loss(task, model, part)[1] for n, part in zip(counts, parts, strict=True))
        subject.agree(total / sum(counts), wanted, f"loss {how}")


def counted(subject: TaskSubject, metrics: Any, batches: list[Batch]) -> Any:
    """The metrics, with these batches counted."""
    task, model, _ = subject.built()
    for batch in batches:
        output, loss = subject.loss(task, model, batch)
        task.update(metrics, output, batch, loss.detach(), model)
    return metrics


def measured(subject: TaskSubject, metrics: Any, batches: list[Batch]) -> dict[str, Tensor]:
    """What the metrics are with these batches counted."""
    metrics = counted(subject, metrics, batches)
    return {name: torch.as_tensor(value) for name, value in metrics.compute().items()}


@torch.no_grad()
def check_metrics_of_any_split(subject: TaskSubject) -> str:
    """Metrics of a part of the data do not depend on how it is cut into batches."""
    task, _, batch = subject.built()
    wanted = measured(subject, task.metrics(), [batch])
    for name, value in wanted.items():
        subject.require(value.shape == () and not bool(value.isnan()), f"{name}: expected one number, found {value}")
    for how, parts in splits(batch).items():
        subject.close(measured(subject, task.metrics(), parts), wanted, how)
    return ", ".join(wanted) or "none"


@torch.no_grad()
def check_metrics_of_processes(subject: TaskSubject) -> None:
    """Counts of two processes, put together, give the metrics of one."""
    task, _, batch = subject.built()
    wanted = measured(subject, task.metrics(), [batch])
    first, second = (counted(subject, task.metrics(), [part]) for part in splits(batch)["one and the rest"])
    for name, metric in first.items():
        for state, reduction in metric._reductions.items():
            told = f"{name}: expected a rule to add '{state}' over processes (dist_reduce_fx), found none"
            subject.require(reduction is not None, told)
        metric.merge_state(second[name])
        subject.agree(metric.compute(), wanted[name], f"{name} of two processes")


@torch.no_grad()
def check_metrics_reset(subject: TaskSubject) -> None:
    """After a reset the metrics count from nothing, and two calls of `metrics` share nothing."""
    task, _, batch = subject.built()
    metrics, first = task.metrics(), rows_of(batch, [0, 1, 2])
    wanted = measured(subject, task.metrics(), [batch])
    measured(subject, metrics, [first])
    metrics.reset()
    subject.close(measured(subject, metrics, [batch]), wanted, "after a reset")


def check_gradient_reaches_the_head(subject: TaskSubject) -> None:
    """The loss has a finite gradient for every parameter of the model, the head's included."""
    task, model, batch = subject.built()
    subject.loss(task, model.train(), batch)[1].backward()
    for name, parameter in model.named_parameters():
        subject.reached(name, parameter)


def check_training_lowers_the_loss(subject: TaskSubject) -> str:
    """A hundred steps on one batch bring its loss below two thirds of what it was."""
    task, model, batch = subject.built()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    before = subject.loss(task, model, batch)[1].item()
    model.train()
    for _ in range(100):
        optimizer.zero_grad()
        subject.loss(task, model, batch)[1].backward()
        optimizer.step()
    after = subject.loss(task, model.eval(), batch)[1].item()
    subject.require(after < before - abs(before) / 3, f"loss: expected two thirds of {before:.3f}, found {after:.3f}")
    return f"from {before:.3f} to {after:.3f}"


@torch.no_grad()
def check_predictions(subject: TaskSubject) -> str:
    """A prediction is one JSON object for each sequence, without a target, the same in any batch."""
    task, model, batch = subject.built()

    def predictions(of: Batch) -> list[dict[str, Any]]:
        return task.predictions(model, Batch(of.inputs, of.lengths))

    found = predictions(batch)
    told = f"predictions: expected a list of {len(batch)} mappings, found {found!r:.100}"
    subject.require(isinstance(found, list) and len(found) == len(batch), told)
    subject.require(all(isinstance(row, dict) for row in found), told)
    try:
        again = json.loads(json.dumps(found, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{subject.name}: predictions: expected JSON: {error}") from error
    subject.require(_alike(again, found), "predictions: expected the same after JSON; keys are text")
    for how, parts in splits(batch).items():
        alone = [row for part in (parts[::-1] if "backwards" in how else parts) for row in predictions(part)]
        subject.require(_alike(alone, found), f"predictions: expected the same {how}")
    return ", ".join(found[0])


def _alike(found: Any, wanted: Any) -> bool:
    """Whether JSON is equal, numbers up to rounding."""
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and sorted(found) == sorted(wanted)
            and all(_alike(found[k], wanted[k]) for k in wanted)
        )
    if isinstance(wanted, (list, tuple)):
        return len(found) == len(wanted) and all(map(_alike, found, wanted))
    if isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-4, abs_tol=1e-5)
    return found == wanted


def check_refuses_architectures(subject: TaskSubject) -> str:
    """A recipe with an architecture that cannot give what the task `needs` is refused, with a reason."""
    name, needs = subject.registered, subject.maker.needs
    if subject.maker.form not in TOYS:
        raise NotApplicable(f"no embedded data set is {subject.maker.form}")
    other = "recurrent" if needs == SEQUENCE else "encoder_decoder"
    data = {"data": {"name": TOYS[subject.maker.form]}, "task": {"name": name, **subject.parameters}}
    for architecture in (ARCHITECTURES[needs], other):
        resolve = partial(recipes.resolve, recipes.of({**data, "model": {"architecture": architecture}}))
        if architecture != other:
            resolve()
        else:
            told = subject.raises(f"the architecture '{other}'", resolve, RecipeError)
            subject.require(f"cannot answer {needs}" in told, f"expected 'cannot answer {needs}', found '{told}'")
            subject.require("Why:" in told, "needs_reason: expected words that say why, found none")
    return f"refuses {other}"


# -- data sets ------------------------------------------------------------------------------------------------------

READ = """
import importlib, json, sys
from rnnzoo.testing.parts import digest
module, name, parameters = json.loads(sys.argv[1])
print(digest(getattr(importlib.import_module(module), name)(**parameters).read()))
"""


def digest(parts: Mapping[str, Columns]) -> str:
    """SHA-256, in hexadecimal, of all rows of all parts."""
    whole = hashlib.sha256()
    for part, columns in parts.items():
        for name in sorted(columns):
            whole.update(json.dumps([part, name]).encode())
            for value in columns[name]:
                whole.update(value.tobytes() if isinstance(value, np.ndarray) else json.dumps(value).encode())
    return whole.hexdigest()


class DatasetSubject(Subject):
    kind = "datasets"
    given = frozenset()

    @property
    def few(self) -> dict[str, int]:
        """What makes a data set small, where it can be asked."""
        return {"examples": 200} if {"examples"} <= self.signature.keys() - self.parameters.keys() else {}

    def source(self, **parameters: Any) -> Source:
        """The source as it is built. Raises: NotApplicable if it needs parameters that were not given."""
        lacking = [name for name, p in self.signature.items() if p.required and name not in self.parameters]
        if lacking:
            raise NotApplicable(f"no value is given for {', '.join(lacking)}")
        return self.maker(**(self.parameters | parameters))

    def read(self, **parameters: Any) -> dict[str, Columns]:
        """Its rows. Raises: NotApplicable if they are on the Hub, and that cannot be reached."""
        try:
            return self.source(**parameters).read()
        except DataError as error:
            if "from the Hub" in str(error):
                raise NotApplicable(str(error).splitlines()[0]) from error
            raise

    @cached_property
    def parts(self) -> dict[str, Columns]:
        return self.read()

    @property
    def form(self) -> Any:
        """Raises: AssertionError for a form that does not exist."""
        form = str(getattr(self.maker, "form", None))
        self.require(form in FORMS, f"form: expected one of {', '.join(FORMS)}, found {form!r}")
        return FORMS[form]


def check_builds(subject: DatasetSubject) -> str:
    """Parameters are plain data, and none has the name of one of the form's."""
    twice = sorted(subject.signature.keys() & signature(subject.form).keys())
    subject.require(not twice, f"parameters: expected none of the form's own, found {', '.join(twice)}")
    subject.source()
    return f"parameters: {', '.join(subject.signature) or 'none'}"


def check_parts(subject: DatasetSubject) -> str:
    """There are train and dev, perhaps test, and none is empty."""
    found = set(subject.parts)
    subject.require(
        {"train", "dev"} <= found <= {*PARTS}, f"parts: expected train, dev and perhaps test, found {found}"
    )
    sizes = {part: len(next(iter(columns.values()))) for part, columns in subject.parts.items()}
    subject.require(all(sizes.values()), f"parts: expected rows in each, found {sizes}")
    return ", ".join(f"{part} {size}" for part, size in sizes.items())


def check_columns(subject: DatasetSubject) -> str:
    """Each part has the columns of the form, of equal length, of the types that the form takes."""
    form = subject.form()
    for part, columns in subject.parts.items():
        strange = sorted(set(columns) - set(form.columns))
        subject.require(not strange, f"{part}: expected the columns {form.columns} alone, found {', '.join(strange)}")
        form.rows(columns, need_target=True)
    spec = form.fit(subject.parts["train"])
    target = spec.labels if spec.target.kind in ("label", "tags") else (f"{spec.target.size} {spec.target.kind}",)
    return f"{form.name}: {', '.join(target[:10])}{', ...' if len(target) > 10 else ''}"


def check_labels_are_known(subject: DatasetSubject) -> None:
    """Every label of the dev and test parts occurs in the training part, and every row can be encoded."""
    form = subject.form()
    spec = form.fit(subject.parts["train"])
    for part, columns in subject.parts.items():
        try:
            form.encode(columns, spec)
        except DataError as error:
            raise AssertionError(f"{subject.name}: {part}: {error}") from error


def check_no_overlap(subject: DatasetSubject) -> None:
    """No input of the dev or the test part occurs in the training part, nor in each other."""
    form = subject.form
    if form.name == "text_stream":
        raise NotApplicable("the lines of a text may recur")
    seen: dict[Any, str] = {}
    for part, columns in subject.parts.items():
        inputs = {_frozen(value) for value in columns[form.columns[0]]}
        shared = [value for value in inputs if value in seen]
        told = f"expected no row of {part} in {seen[shared[0]]}, found {len(shared)}" if shared else ""
        subject.require(not shared, told)
        seen |= dict.fromkeys(inputs, part)


def _frozen(value: Any) -> Any:
    return value.tobytes() if isinstance(value, np.ndarray) else json.dumps(value)


def check_deterministic(subject: DatasetSubject) -> None:
    """A second source, and a second reading of one, give the same rows, whatever was done to the first ones."""
    source = subject.source(**subject.few)
    before = torch.random.get_rng_state()
    parts = subject.read(**subject.few)
    left_alone = torch.equal(before, torch.random.get_rng_state())
    subject.require(left_alone, "expected torch's random numbers to be left alone; use a generator of your own")
    first = source.read()
    subject.require(digest(first) == digest(parts), "expected the same rows from a second source")
    for columns in first.values():
        columns.clear()
    subject.require(digest(source.read()) == digest(parts), "expected the same rows from a second reading")


def check_seed(subject: DatasetSubject) -> None:
    """Another seed gives other rows, as many."""
    if "seed" not in subject.signature:
        raise NotApplicable("no parameter 'seed'")
    seed = subject.parameters.get("seed", subject.signature["seed"].default)
    read = [subject.read(**subject.few, seed=number) for number in (seed, seed + 1)]
    subject.require(digest(read[0]) != digest(read[1]), "expected other rows of another seed, found the same")
    sizes = [{part: len(next(iter(columns.values()))) for part, columns in parts.items()} for parts in read]
    subject.require(sizes[0] == sizes[1], f"expected as many rows of another seed, found {sizes[1]} for {sizes[0]}")


def check_fresh_process(subject: DatasetSubject) -> None:
    """Another process, in which sets have another order, reads the same rows."""
    wanted = digest(subject.read(**subject.few))
    module, name = subject.maker.__module__, subject.maker.__qualname__
    if module == "__main__" or "." in name:
        raise NotApplicable("the class cannot be imported elsewhere")
    place = json.dumps([module, name, subject.few | subject.parameters])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", READ, place], capture_output=True, text=True, env=environment, timeout=300
    )
    subject.require(done.returncode == 0, f"expected to be read in a fresh process, found {done.stderr[-300:]}")
    subject.require(done.stdout.split()[-1] == wanted, "expected the same rows in a fresh process, found others")


def check_identity(subject: DatasetSubject) -> str:
    """The identity is an id and a revision, text or None, the same each time."""
    source = subject.source(**subject.few)
    subject.read(**subject.few)  # may say that it cannot be had
    source.read()
    found = source.identity()
    told = f"identity: expected 'id' and 'revision', text or None, found {found!r}"
    subject.require(isinstance(found, dict) and set(found) == {"id", "revision"}, told)
    subject.require(all(value is None or isinstance(value, str) for value in found.values()), told)
    subject.require(source.identity() == found, "identity: expected the same twice")
    return f"{found['id']} {found['revision'] or ''}".rstrip()


def check_batches(subject: DatasetSubject) -> str:
    """The form makes batches of it: every row of the dev part is in one batch, and nothing is beyond its bounds."""
    parts = subject.parts
    source = subject.source()
    source.read = lambda: parts  # type: ignore[method-assign]
    data = ZooData(source, subject.form())
    spec, count = data.spec, 0
    for batch in data.val_dataloader():
        count += int(batch.lengths.sum()) if subject.form.name == "text_stream" else len(batch)
        told = "expected lengths within the batch's time, and tokens of the vocabulary"
        for name, tensor in batch.inputs.items():
            subject.require(int(batch.lengths.min()) >= 0 and int(batch.lengths.max()) <= tensor.shape[1], told)
            subject.require(tensor.is_floating_point() or int(tensor.max()) < spec.inputs[name].size, told)
    subject.require(count == data.sizes["dev"], f"expected {data.sizes['dev']} rows of dev, found {count}")
    return f"{spec.form}: {', '.join(f'{name} {size}' for name, size in data.sizes.items())}"


ARCHITECTURE_CHECKS: tuple[Callable[[Any], str | None], ...] = (
    check_builds_from_json,
    check_answers,
    check_shapes,
    check_padding_invariance,
    check_batch_order_invariance,
    check_batch_of_one_invariance,
    check_hears_every_step,
    check_causality,
    check_split_invariance,
    check_state_reorder,
    check_gradient_reaches_everything,
    check_eval_is_deterministic,
    check_copies,
    check_any_cell,
    check_refuses_wrong_input,
    check_refused_combinations,
)
TASK_CHECKS: tuple[Callable[[Any], str | None], ...] = (
    check_builds_from_json,
    check_declares,
    check_loss_is_finite,
    check_loss_in_any_order,
    check_loss_is_a_mean_over_its_count,
    check_metrics_of_any_split,
    check_metrics_of_processes,
    check_metrics_reset,
    check_gradient_reaches_the_head,
    check_training_lowers_the_loss,
    check_predictions,
    check_refuses_architectures,
)
DATASET_CHECKS: tuple[Callable[[Any], str | None], ...] = (
    check_builds,
    check_parts,
    check_columns,
    check_labels_are_known,
    check_no_overlap,
    check_deterministic,
    check_seed,
    check_fresh_process,
    check_identity,
    check_batches,
)
KINDS: dict[str, tuple[type[Subject], tuple[Callable[[Any], str | None], ...]]] = {
    "architecture": (ArchitectureSubject, ARCHITECTURE_CHECKS),
    "task": (TaskSubject, TASK_CHECKS),
    "dataset": (DatasetSubject, DATASET_CHECKS),
}
