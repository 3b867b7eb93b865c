"""What every input promises."""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from rnnzoo.batch import SPECIALS, Field
from rnnzoo.inputs.base import TARGET, Input
from rnnzoo.testing.base import checks_in
from rnnzoo.testing.buildable import check_builds_from_json
from rnnzoo.testing.subject import Subject

WORDS = 20  # names of a field, with the special ones
FEATURES, LETTERS = 3, 6  # of a step of numbers; of a word
LENGTHS = (5, 3)  # steps of the two sequences


class InputSubject(Subject):
    """An input under test, for the first of the kinds of fields that it reads."""

    kind = "inputs"

    @property
    def reads(self) -> str:
        """The kind of field that it is tried on."""
        kinds = sorted(getattr(self.maker, "reads", ()))
        self.require(bool(kinds), "expected the attribute `reads` to name kinds of fields, found none")
        return kinds[0]

    def build(self) -> Input:
        """The input in training mode, its weights drawn from torch's generator."""
        names = (*SPECIALS, *(f"word {k}" for k in range(WORDS - len(SPECIALS))))
        numbers = self.reads == "values"
        counts = tuple(range(1, WORDS + 1))
        field = Field(self.reads, size=FEATURES) if numbers else Field(self.reads, names, counts=counts)
        dictated = {"output_size": 8} if self.reads == TARGET else {}
        return self.maker(field, **dictated, **self.parameters)

    def sample(self) -> Tensor:
        """A field of two sequences, 0 past their ends: (2, 5), (2, 5, letters) or (2, 5, features)."""
        shape = (len(LENGTHS), max(LENGTHS))
        if self.reads == "values":
            x = torch.randn(*shape, FEATURES)
        else:
            letters = (LETTERS,) if self.reads == "characters" else ()
            x = torch.randint(len(SPECIALS), WORDS, (*shape, *letters))
        for row, length in enumerate(LENGTHS):
            x[row, length:] = 0
        return x


def check_has_its_output_size(subject: InputSubject) -> str:
    """The output is (batch, time, output_size), finite, in training and in evaluation."""
    part = subject.build()
    subject.require(isinstance(part, nn.Module), "expected an nn.Module, found something else")
    x = subject.sample()
    for mode in (True, False):
        y = part.train(mode)(x)
        wanted = (*x.shape[:2], part.output_size)
        subject.require(tuple(y.shape) == wanted, f"expected shape {wanted}, found {tuple(y.shape)}")
        subject.finite(y, "output")
    return f"{subject.reads}: {part.output_size} features"


def check_padding_never_changes_an_answer(subject: InputSubject) -> None:
    """More padding at the end leaves the outputs of all steps as they were."""
    part, x = subject.build().eval(), subject.sample()
    longer = torch.cat([x, torch.zeros_like(x[:, :2])], 1)
    for row, length in enumerate(LENGTHS):
        subject.agree(part(longer)[row, :length], part(x)[row, :length], "output with more padding")


def check_a_sequence_alone_is_as_in_a_batch(subject: InputSubject) -> None:
    """A batch of one gives what the sequence gets beside others."""
    part, x = subject.build().eval(), subject.sample()
    together = part(x)
    for row, length in enumerate(LENGTHS):
        alone = part(x[row : row + 1, :length])
        subject.agree(alone[0], together[row, :length], f"output of sequence {row} alone")


def check_gradients_reach_all_parameters(subject: InputSubject) -> str:
    """Every parameter that is trained has a finite gradient that is not zero."""
    part = subject.build().eval()
    trained = {name: p for name, p in part.named_parameters() if p.requires_grad}
    y = part(subject.sample())
    if trained:
        (y * torch.randn_like(y)).sum().backward()
    for name, parameter in trained.items():
        subject.reached(name, parameter)
    return f"parameters: {', '.join(trained) or 'none'}"


def check_its_state_dict_holds_all_of_it(subject: InputSubject) -> None:
    """Another one, of other weights, answers the same once it has loaded the state dict."""
    first, second, x = subject.build().eval(), subject.build().eval(), subject.sample()
    second.load_state_dict(first.state_dict())
    subject.agree(second(x), first(x), "output after load_state_dict", tolerance=0)


SUBJECT = InputSubject
CHECKS = (check_builds_from_json, *checks_in(sys.modules[__name__]))
