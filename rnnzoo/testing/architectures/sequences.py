"""What an architecture computes over time: padding, the order of a batch, cuts, carried state, a decoder."""

from __future__ import annotations

import torch

from rnnzoo.architectures.base import CAUSAL, EACH, ONE, SEQUENCE, Architecture
from rnnzoo.engine.recurrence import select
from rnnzoo.testing.architectures.subject import (
    INPUT,
    LENGTHS,
    TIME,
    ArchitectureSubject,
    answer,
    batch_of,
    spread,
)
from rnnzoo.testing.base import NotApplicable


def check_padding_invariance(subject: ArchitectureSubject) -> None:
    """What is past a sequence's end, and how much of it, changes nothing."""
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
        (gradient,) = torch.autograd.grad(spread(found[name]), x, retain_graph=True)
        deaf = [t for t in range(TIME) if not gradient[0, t].any()]
        subject.require(not deaf, f"{name}: expected to depend on every step, found that it does not on {deaf}")
    for t in range(TIME) if EACH in answers else ():
        (gradient,) = torch.autograd.grad(spread(found["outputs"][:, t]), x, retain_graph=True)
        subject.require(bool(gradient[0, t].any()), f"outputs: expected step {t} to depend on the input there")


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
