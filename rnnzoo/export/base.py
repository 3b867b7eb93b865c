"""What all formats share: a trained model as a function of tensors, its description, and the check of what was written.

    inputs, lengths, state  ->  logits, state

A file carries logits as they are before any decoding: what is made of them, and the temperature by which a calibrated
model divides them, stand in its description.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from rnnzoo import __version__, registry
from rnnzoo.architectures.base import CAUSAL, ONE, SEQUENCE
from rnnzoo.batch import SPECIALS, Batch, Field
from rnnzoo.cells.base import State
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.errors import ZooError
from rnnzoo.export.rounding import Rounded, round_in_place
from rnnzoo.inference.predictor import Predictor
from rnnzoo.system.files import JsonObject

SHAPES = ((2, 5), (1, 1), (1, 9), (3, 13), (5, 2))  # (batch, time) of the examples; the first is the one exported with
LETTERS = 6  # of a word, in the example exported with; others have words of other lengths


class Slot(NamedTuple):
    """One tensor of a state, for one sequence: (batch, *shape).

    name: of its layer and direction, and what the cell calls it: "h_0". initial: what it is before the first step.
    """

    name: str
    shape: tuple[int, ...]
    initial: Tensor


class Example(NamedTuple):
    """One call: the inputs by name, the lengths (batch,), and the state before, one tensor for each slot."""

    inputs: dict[str, Tensor]
    lengths: Tensor
    state: tuple[Tensor, ...]

    @property
    def arguments(self) -> tuple[Tensor, ...]:
        """In the order in which exported functions take them."""
        return (*self.inputs.values(), self.lengths, *self.state)


class Exported:
    """A trained model, evaluated as it is, in the order of an exported function's arguments and results.

    int8: its large matrices are rounded to what 8 bits can hold; `rounded` has them.

    fields: what each input holds, by name, in order. slots: the tensors of its state; none where it cannot stream.
    Raises: ZooError for a model whose answers are no function of its inputs alone.
    """

    def __init__(self, predictor: Predictor, int8: bool = False) -> None:
        self.task, self.spec, self.recipe = predictor.task, predictor.spec, predictor.recipe
        if self.task.needs == SEQUENCE:
            raise ZooError(
                f"the task {self.recipe['task']['name']} cannot be exported: its decoder reads what it has written, by "
                "a search that is no part of the network.\n  Use `rnnzoo.load` for it."
            )
        self.fields: dict[str, Field] = dict(self.spec.inputs)
        self.model = copy.deepcopy(predictor.model) if int8 else predictor.model
        self.rounded: Rounded = round_in_place(self.model) if int8 else {}
        self.slots: tuple[Slot, ...] = ()
        self.slots = self._slots() if self._streams() else ()
        self.labels: tuple[str, ...] = tuple(getattr(self.task, "labels", self.spec.labels))

    def _streams(self) -> bool:
        """Whether answers to a sequence's steps do not depend on later ones."""
        architecture = self.recipe["model"]["architecture"]
        maker = registry.load("architectures", architecture["name"])
        return self.task.needs != ONE and CAUSAL in maker.answers(**registry.settings(architecture))

    def _slots(self) -> tuple[Slot, ...]:
        example = self.example(1, 1)
        with torch.no_grad():
            _, state = self.task.raw_logits(self.model, self._batch(example), None, need_state=True)
        assert state is not None
        cells = [m.cell for m in self.model.architecture.modules() if isinstance(m, Recurrence)]
        slots = []
        for number, (cell, tensors) in enumerate(zip(cells, state, strict=True)):
            first = cell.initial_state(1, next(cell.parameters()))
            for spec, tensor, initial in zip(cell.state_specs(), tensors, first, strict=True):
                shape = tuple(tensor.shape[1:])  # an architecture may carry several states of a cell
                slots.append(Slot(f"{spec.name}_{number}", shape, initial[0].detach().expand(shape)))
        return tuple(slots)

    @property
    def answers_once(self) -> bool:
        """Whether there is one answer to a sequence, not one to each step."""
        return self.task.needs == ONE

    @cached_property
    def classes(self) -> int:
        """Numbers of an answer."""
        example = self.example(1, 1)
        return int(self(*example.arguments)[0].shape[-1])

    # -- as a function

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """inputs (batch, time, ...), lengths (batch,) int64, states (batch, *shape). Returns logits (batch, classes) or
        (batch, time, classes) and the states after, by the engine as it always runs.
        """
        example = self.named(arguments)
        with torch.no_grad():
            logits, state = self.task.raw_logits(
                self.model, self._batch(example), self.layers(example.state), need_state=bool(self.slots)
            )
        return (logits, *self.flat(state))

    def named(self, arguments: Sequence[Tensor]) -> Example:
        """Arguments in order, by name."""
        count = len(self.fields)
        inputs = dict(zip(self.fields, arguments[:count], strict=True))
        return Example(inputs, arguments[count], tuple(arguments[count + 1 :]))

    @staticmethod
    def _batch(example: Example) -> Batch:
        return Batch(example.inputs, example.lengths)

    def layers(self, state: Sequence[Tensor]) -> list[State] | None:
        """The tensors of a state as an architecture takes them: a tuple for each layer."""
        if not self.slots:
            return None
        grouped: dict[str, list[Tensor]] = {}
        for slot, tensor in zip(self.slots, state, strict=True):
            grouped.setdefault(slot.name.rpartition("_")[2], []).append(tensor)
        return [tuple(tensors) for tensors in grouped.values()]

    def flat(self, state: list[State] | None) -> tuple[Tensor, ...]:
        """An architecture's state as the tensors of `slots`."""
        return tuple(tensor for layer in state or () for tensor in layer) if self.slots else ()

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of an exported function's arguments, in order."""
        return (*self.fields, "lengths", *(slot.name for slot in self.slots))

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of its results, in order."""
        return ("logits", *(f"{slot.name}_after" for slot in self.slots))

    # -- examples

    def example(self, batch: int, time: int, seed: int = 0) -> Example:
        """A call with made-up inputs of this size; the longest sequence fills the time, the others may be shorter."""
        draw = torch.Generator().manual_seed(seed + 1000 * batch + time)
        lengths = torch.randint(1, time + 1, (batch,), generator=draw)
        lengths[torch.randint(batch, (), generator=draw)] = time
        whole = "horizon" in self.spec.target.options  # a window is always full
        lengths = lengths.new_full((batch,), time) if whole else lengths
        real = torch.arange(time) < lengths[:, None]
        inputs = {name: _made_up(field, batch, time, real, draw) for name, field in self.fields.items()}
        state = tuple(torch.randn(batch, *slot.shape, generator=draw).to(slot.initial) * 0.5 for slot in self.slots)
        return Example(inputs, lengths, state)

    # -- description

    def description(self) -> JsonObject:
        """What a reader of the file needs: JSON."""
        return {
            "rnnzoo_export": 1,
            "task": self.recipe["task"]["name"],
            "inputs": {
                name: {"kind": f.kind, "size": f.size, "names": list(f.names), "options": f.options}
                for name, f in self.fields.items()
            },
            "lengths": "steps of each sequence that are not padding, int64",
            "outputs": {"logits": ["batch", *([] if self.task.needs == ONE else ["time"]), "classes"]},
            "labels": list(self.labels),
            "decoding": self.task.decoding,
            "calibration": self.task.calibration.to_json(),
            "weights": "int8" if self.rounded else "float32",
            "states": [
                {"name": s.name, "shape": list(s.shape), "initial": s.initial.flatten().tolist()}
                if bool((s.initial != s.initial.flatten()[:1]).any())
                else {"name": s.name, "shape": list(s.shape), "initial": s.initial.flatten()[0].item()}
                for s in self.slots
                if not s.initial.is_complex()
            ],
            "recipe": self.recipe,
            "versions": {"rnnzoo": __version__, "torch": str(torch.__version__)},
        }


def _made_up(field: Field, batch: int, time: int, real: Tensor, draw: torch.Generator) -> Tensor:
    """Numbers such as a field holds, 0 past the ends."""
    if field.kind == "values":
        return torch.randn(batch, time, field.size, generator=draw) * real.unsqueeze(-1)
    lowest = min(len(SPECIALS), field.size - 1)
    if field.kind != "characters":
        return torch.randint(lowest, field.size, (batch, time), generator=draw) * real
    most = LETTERS if (batch, time) == SHAPES[0] else 1 + (batch + 2 * time) % 11
    letters = torch.randint(lowest, field.size, (batch, time, most), generator=draw)
    sizes = torch.randint(1, most + 1, (batch, time, 1), generator=draw) * real.unsqueeze(-1)
    return letters * (torch.arange(most) < sizes)
