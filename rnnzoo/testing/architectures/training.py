"""Where gradient flows, and what evaluation, copies and files give."""

from __future__ import annotations

import copy

import torch

from rnnzoo.architectures.base import SEQUENCE
from rnnzoo.testing.architectures.subject import (
    ArchitectureSubject,
    answer,
    batch_of,
    spread,
)


def check_gradient_reaches_everything(subject: ArchitectureSubject) -> None:
    """Gradient, finite, reaches every parameter and the input at every step, and none the padding."""
    network = subject.network().train()
    x, lengths = batch_of((3, 20, 0, 1, 17, 5), 21)  # long enough for skips through time
    x.requires_grad_()
    found = answer(network, x, lengths)
    message = ("decoded",) if SEQUENCE in subject.answers else ("outputs", "ahead")
    sum((spread(found[name]) for name in message if name in found), torch.zeros(())).backward()
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
