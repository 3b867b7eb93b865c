"""What every optimizer promises."""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rnnzoo.testing.base import checks_in
from rnnzoo.testing.buildable import check_builds_from_json
from rnnzoo.testing.subject import Subject

STEPS = 20


class OptimizerSubject(Subject):
    """An optimizer under test: a function of the parameters, or a subclass of `torch.optim.Optimizer`."""

    kind = "optimizers"

    def build(self, params: Sequence[Any]) -> Optimizer:
        """params: parameters, or groups of them."""
        optimizer = self.maker(params, **self.parameters)
        self.require(isinstance(optimizer, Optimizer), f"expected a torch.optim.Optimizer, found {type(optimizer)}")
        return optimizer


def weights() -> list[nn.Parameter]:
    """A matrix and a vector, of which `quadratic` is least at zero."""
    return [nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(4))]


def quadratic(params: Sequence[Tensor]) -> Tensor:
    return torch.stack([(p**2).sum() for p in params]).sum()


def descend(optimizer: Optimizer, params: Sequence[nn.Parameter], steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        quadratic(params).backward()
        optimizer.step()


def check_lowers_a_quadratic(subject: OptimizerSubject) -> str:
    """Twenty steps with its default settings lower sum(w^2), and leave all weights finite."""
    params = weights()
    before = quadratic(params).item()
    descend(subject.build(params), params, STEPS)
    for parameter in params:
        subject.finite(parameter, "weights")
    after = quadratic(params).item()
    subject.require(after < before, f"expected less than {before:.6g} after {STEPS} steps, found {after:.6g}")
    return f"{before:.4g} to {after:.4g}"


def check_resumes_exactly_from_its_state_dict(subject: OptimizerSubject) -> None:
    """A new one that has loaded the state dict continues bit for bit."""
    params = weights()
    optimizer = subject.build(params)
    descend(optimizer, params, 3)
    others = [nn.Parameter(p.detach().clone()) for p in params]
    resumed = subject.build(others)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for o, p in ((optimizer, params), (resumed, others)):
        descend(o, p, 3)
    for found, wanted in zip(others, params, strict=True):
        subject.agree(found, wanted, "weights after the state dict was loaded", tolerance=0)


def check_keeps_its_groups(subject: OptimizerSubject) -> None:
    """Groups of parameters keep their own learning rates, which schedules change."""
    first, second = weights()
    optimizer = subject.build([{"params": [first]}, {"params": [second], "lr": 1e-4}])
    rates = [group.get("lr") for group in optimizer.param_groups]
    subject.require(len(rates) == 2 and rates[1] == 1e-4, f"expected two groups, the second of lr 1e-4, found {rates}")
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [first.detach().clone(), second.detach().clone()]
    descend(optimizer, [first, second], 1)
    for found, wanted in zip((first, second), before, strict=True):
        subject.agree(found, wanted, "weights after a step at rate 0", tolerance=0)


def check_a_copy_is_its_own(subject: OptimizerSubject) -> None:
    """A deep copy of the weights and the optimizer continues the same, and leaves the first alone."""
    params = weights()
    optimizer = subject.build(params)
    descend(optimizer, params, 2)
    others, copied = copy.deepcopy((params, optimizer))
    descend(copied, others, 2)
    held = [p.detach().clone() for p in params]
    descend(optimizer, params, 2)
    for found, wanted, before in zip(others, params, held, strict=True):
        subject.agree(found, wanted, "weights of the copy", tolerance=0)
        subject.require(not torch.equal(wanted, before), "the copy has stepped the first one's weights")


SUBJECT = OptimizerSubject
CHECKS = (check_builds_from_json, *checks_in(sys.modules[__name__]))
