"""What every learning-rate schedule promises."""

from __future__ import annotations

import copy
import math
import sys

import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LRScheduler

from rnnzoo import registry
from rnnzoo.testing.base import checks_in
from rnnzoo.testing.buildable import check_builds_from_json
from rnnzoo.testing.subject import Subject
from rnnzoo.training.schedules import interval

TOTALS = (1, 2, 10, 1000)  # steps of a run
RATE = 0.5


class ScheduleSubject(Subject):
    """A schedule under test."""

    kind = "schedules"

    def build(self, total_steps: int) -> tuple[SGD, LRScheduler]:
        """An optimizer of rate 0.5, and the schedule of its rate over so many steps."""
        optimizer = SGD([nn.Parameter(torch.ones(2))], lr=RATE, momentum=0.9)
        scheduler = registry.make(self.maker, self.parameters, optimizer, total_steps=total_steps, mode="min")
        self.require(hasattr(scheduler, "step"), f"expected a scheduler of torch's, found {type(scheduler)}")
        return optimizer, scheduler

    def rates(self, optimizer: SGD, scheduler: LRScheduler, steps: int) -> list[float]:
        """The rate of each of the next steps; a schedule of plateaus sees scores that never get better."""
        rates = []
        for _ in range(steps):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            scheduler.step(*((1.0,) if interval(scheduler) == "plateau" else ()))
        return rates


def check_rates_are_finite_and_never_negative(subject: ScheduleSubject) -> str:
    """Every step of runs of 1, 2, 10 and 1000 steps has a finite rate >= 0."""
    for total in TOTALS:
        rates = subject.rates(*subject.build(total), total)
        bad = [(step, rate) for step, rate in enumerate(rates) if not (math.isfinite(rate) and rate >= 0)]
        subject.require(not bad, f"expected rates >= 0 in {total} steps, found (step, rate) {bad[:3]}")
    return f"after each {interval(subject.build(10)[1])}; the last of 1000 rates: {rates[-1] / RATE:.3g} of lr"


def check_says_when_it_steps(subject: ScheduleSubject) -> str:
    """Its `interval` is "step", "epoch" or "plateau"."""
    when = interval(subject.build(10)[1])
    subject.require(when in ("step", "epoch", "plateau"), f"expected step, epoch or plateau, found {when!r}")
    return when


def check_resumes_exactly_from_its_state_dict(subject: ScheduleSubject) -> None:
    """A new one that has loaded the state dict has the same rates from there on."""
    optimizer, scheduler = subject.build(20)
    subject.rates(optimizer, scheduler, 7)
    other, resumed = subject.build(20)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    resumed.load_state_dict(copy.deepcopy(scheduler.state_dict()))
    wanted, found = subject.rates(optimizer, scheduler, 13), subject.rates(other, resumed, 13)
    subject.agree(torch.tensor(found), torch.tensor(wanted), "rates after the state dict was loaded", tolerance=0)


SUBJECT = ScheduleSubject
CHECKS = (check_builds_from_json, *checks_in(sys.modules[__name__]))
