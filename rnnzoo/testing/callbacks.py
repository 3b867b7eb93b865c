"""What every callback promises. Each check trains a small network for two epochs, on reviews that need no network."""

from __future__ import annotations

import copy
import sys
from functools import cached_property
from typing import NamedTuple

import lightning.pytorch as pl
import torch
from torch import Tensor

from rnnzoo import registry
from rnnzoo.errors import RecipeError
from rnnzoo.experiment import build
from rnnzoo.testing.base import NotApplicable, checks_in
from rnnzoo.testing.subject import Subject
from rnnzoo.training.module import ZooModule
from rnnzoo.training.trainer import quiet

SMALL = ("--data.examples=40", "--model.architecture.hidden_size=4", "--model.inputs.tokens.size=4")


class Fit(NamedTuple):
    """A training that was done: the callback, if any, and the weights at the end, by name."""

    callback: pl.Callback | None
    weights: dict[str, Tensor]


class CallbackSubject(Subject):
    """A callback under test."""

    kind = "callbacks"

    def build(self, module: ZooModule) -> pl.Callback:
        """The callback. Raises: NotApplicable if it lacks settings, or has nothing to do with this module."""
        if self.missing_parameters:
            raise NotApplicable(f"no value is given for {', '.join(self.missing_parameters)}")
        monitor, mode = module.monitor
        callback = registry.make(self.maker, self.parameters, monitor=monitor, mode=mode)
        self.require(isinstance(callback, pl.Callback), f"expected a lightning Callback, found {type(callback)}")
        if hasattr(callback, "check"):
            try:
                callback.check(module)
            except RecipeError as error:
                raise NotApplicable(error.messages[0].splitlines()[0]) from error
        return callback

    def fit(self, with_callback: bool) -> Fit:
        """Train two epochs, always from the same seed."""
        module, data = build.from_recipe("quickstart", *SMALL)
        callback = self.build(module) if with_callback else None
        with quiet():
            trainer = pl.Trainer(
                accelerator="cpu",
                max_epochs=2,
                callbacks=[callback] if callback else None,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
                num_sanity_val_steps=0,
            )
            trainer.fit(module, data)
        return Fit(callback, {name: p.detach().clone() for name, p in module.model.named_parameters()})

    @cached_property
    def trained(self) -> Fit:
        return self.fit(with_callback=True)


def check_a_small_training_runs_with_it(subject: CallbackSubject) -> None:
    """A network is trained with it for two epochs, and its weights are finite."""
    for name, weight in subject.trained.weights.items():
        subject.finite(weight, name)


def check_leaves_training_alone(subject: CallbackSubject) -> None:
    """With the same seed, the weights at the end are those of a training without it."""
    subject.close(subject.trained.weights, subject.fit(with_callback=False).weights, "after a training with it")


def check_its_state_dict_is_loaded_as_it_was(subject: CallbackSubject) -> None:
    """A new one that has loaded the state dict has the same."""
    first = subject.trained.callback
    assert first is not None
    second = subject.build(build.from_recipe("quickstart", *SMALL)[0])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    found, wanted = second.state_dict(), first.state_dict()
    subject.require(found.keys() == wanted.keys(), f"expected the keys {list(wanted)}, found {list(found)}")
    for key, value in wanted.items():
        same = torch.equal(found[key], value) if isinstance(value, Tensor) else found[key] == value
        subject.require(same, f"{key}: expected {value!r}, found {found[key]!r}")


SUBJECT = CallbackSubject
CHECKS = checks_in(sys.modules[__name__])
