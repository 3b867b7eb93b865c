"""What every architecture promises."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnzoo import recipe as recipes
from rnnzoo.architectures.base import CAUSAL, EACH, ONE, SEQUENCE, Architecture, Encoded
from rnnzoo.architectures.segment import Segment
from rnnzoo.cells.base import Cell, State, StateSpec
from rnnzoo.engine.recurrence import select
from rnnzoo.errors import RecipeError, UnknownName
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe.schema import part_kind
from rnnzoo.testing.base import NotApplicable
from rnnzoo.testing.subject import ANSWERS, Subject, check_builds_from_json

INPUT, HIDDEN = 5, 4
LENGTHS = (3, 7, 0, 1, 7, 5)  # steps
TIME = 8  # steps with padding


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
    decoder = network.target_decoder()
    if decoder is not None:
        found["decoded"] = decoder.decode(x.new_ones(len(x), 3, decoder.input_size), decoder.start(encoded)).features
    if isinstance(network, Segment):
        found["ahead"] = network.ahead(x.new_ones(len(x), 3, network.query_size), encoded.state or [])
    states = (tensor for layer in encoded.state or () for tensor in layer)
    return found | {f"state {k}": tensor for k, tensor in enumerate(states)}


def check_answers(subject: ArchitectureSubject) -> str:
    """`answers` names shapes of answer that there are, and says the same each time."""
    found = subject.answers
    told = f"answers: expected some of {', '.join(sorted(ANSWERS))}, found {found!r}"
    subject.require(isinstance(found, frozenset) and bool(found) and found <= ANSWERS, told)
    subject.require(found == subject.answers, "answers: expected the same twice")
    subject.require(CAUSAL not in found or EACH in found, "answers: causal is one answer a step, many_to_many as well")
    decodes = subject.network().target_decoder() is not None
    message = "answers: expected a target_decoder() where sequence_to_sequence is named, and nowhere else"
    subject.require(decodes == (SEQUENCE in found), message)
    return ", ".join(sorted(found))


def check_shapes(subject: ArchitectureSubject) -> str:
    """Outputs, last and state have the shapes that are promised; outputs are zeros past the ends."""
    network = subject.network()
    subject.require(network.input_size == INPUT, f"input_size: expected {INPUT}, found {network.input_size}")
    x, lengths = batch_of()
    encoded = network(x, lengths)
    subject.require(isinstance(encoded, Encoded), f"expected an Encoded, found a {type(encoded).__name__}")
    size = network.output_size
    decoder = network.target_decoder()
    if decoder is not None:
        decoded, wanted = answer(network, x, lengths)["decoded"].shape, (len(x), 3, decoder.output_size)
        subject.require(decoded == wanted, f"features of 3 steps: expected shape {wanted}, found {tuple(decoded)}")
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


@torch.no_grad()
def check_decoder(subject: ArchitectureSubject) -> str:
    """A decoder steps alike one by one and all at once, and its chosen states go on as their sequences would."""
    network = subject.network()
    decoder = network.target_decoder()
    if decoder is None:
        raise NotApplicable("it has no decoder")
    encoded = network(*batch_of())
    y, lengths = torch.randn(len(LENGTHS), 4, decoder.input_size), torch.tensor([4, 2, 1, 4, 3, 4])
    at_once = decoder.decode(y, decoder.start(encoded))
    state, steps = decoder.start(encoded), []
    for step in y.split(1, dim=1):
        features, state, _ = decoder.decode(step, state)
        steps.append(features)
    subject.agree(torch.cat(steps, 1), at_once.features, "features step by step")
    valid = torch.arange(4) < lengths[:, None]
    ragged = decoder.decode(y, decoder.start(encoded), lengths).features
    subject.agree(ragged[valid], at_once.features[valid], "features with lengths")
    pairs = torch.arange(len(LENGTHS)).repeat_interleave(2)  # two hypotheses of each sequence
    both = decoder.decode(y[pairs, :1], decoder.start(encoded).select(pairs)).state
    chosen = torch.tensor([1, 0, 7, 7])  # of the sequences 0 and 3
    found = decoder.decode(y[pairs[chosen], 1:], both.select(chosen)).features
    subject.agree(found, at_once.features[pairs[chosen], 1:], "features of chosen hypotheses")
    subject.require(decoder.attends == (at_once.attention is not None), f"attends: found {decoder.attends}")
    if at_once.attention is None:
        return "without attention"
    shape, wanted = at_once.attention.shape, (*y.shape[:2], TIME)
    subject.require(shape == wanted, f"attention: expected shape {wanted}, found {tuple(shape)}")
    return "with attention"


def check_gradient_reaches_everything(subject: ArchitectureSubject) -> None:
    """Gradient, finite, reaches every parameter and the input at every step, and none the padding."""
    network = subject.network().train()
    x, lengths = batch_of((3, 20, 0, 1, 17, 5), 21)  # long enough for skips through time
    x.requires_grad_()
    found = answer(network, x, lengths)
    told = ("decoded",) if SEQUENCE in subject.answers else ("outputs", "ahead")
    sum((_spread(found[name]) for name in told if name in found), torch.zeros(())).backward()
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
        resolved = partial(resolve, recipes.read(recipe, own))
        if shape in subject.answers:
            resolved()
        else:
            told = subject.raises(f"a task that needs {shape}", resolved, RecipeError)
            subject.require(f"cannot answer {shape}" in told, f"expected 'cannot answer {shape}', found '{told}'")
    return f"refuses {', '.join(sorted(ANSWERS - subject.answers)) or 'nothing'}"


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
    check_decoder,
    check_gradient_reaches_everything,
    check_eval_is_deterministic,
    check_copies,
    check_any_cell,
    check_refuses_wrong_input,
    check_refused_combinations,
)
