"""A cell's step and its gradient as short lists of scalar operations, of which code is made.

The step is run once on small tensors, and every operator of ATen that it and its gradient come down to is recorded, as
the formulas of `rules.py`; a few sum a row, or move whole lanes: a tensor of several times hidden_size features is as
many lanes of hidden_size. Products with weights are left out: a `PointwiseCell` has them apart, and in a general step
there may be one, of the last output. What else the step reads, the cell's parameters and buffers, becomes inputs of the
program by name. Any other operator, argument or tensor makes the trace fail, with its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import torch
from torch import Tensor

from rnnzoo.cells.base import Cell
from rnnzoo.engine.codegen.graph import Graph, Scalar, Value, reached_from
from rnnzoo.engine.codegen.ir import Op, Program, Ref, Trace, Untraceable, is_additive, with_sums
from rnnzoo.engine.codegen.memory import MOST
from rnnzoo.engine.codegen.recorder import Recorder
from rnnzoo.engine.codegen.step import EXAMPLE_ROWS, Shape, product_of, shape_of, stand_in, stepper

OTHER_ROWS = 7  # of a second run, which must give the same program


def trace(cell: Cell) -> Trace:
    """Trace the step of a cell. Raises: Untraceable."""
    with (
        torch.inference_mode(False),
        torch.autocast("cpu", enabled=False),
        torch.random.fork_rng([]),
        torch.device("cpu"),
    ):
        try:
            product = product_of(cell)
            shape = shape_of(cell, product)
            first, second = Run(cell, shape, EXAMPLE_ROWS, True), Run(cell, shape, OTHER_ROWS, False)
            first.differentiate()
        except Untraceable:
            raise
        except Exception as cause:  # the step of a plugin's cell may raise anything
            message = (str(cause).splitlines() or [""])[0]
            raise Untraceable(f"tracing the update failed: {type(cause).__name__}: {message}") from cause
    channels = first.channels()
    forward = first.program(first.forward, channels)
    if repr(forward) != repr(second.program(second.forward, channels)):
        raise Untraceable("its update depends on the number of sequences, or on numbers that change from call to call")
    backward = first.program(first.backward(channels), channels, gradients=shape.states)
    gates = shape.gates
    additive = shape.products > 0 and is_additive(forward, gates) and is_additive(backward, gates)
    if additive:
        forward, backward = with_sums(forward, gates), with_sums(backward, gates)
        assert backward.outputs[:gates] == backward.outputs[gates : 2 * gates]  # d(gx) is d(gh)
        backward = backward._replace(outputs=backward.outputs[:gates] + backward.outputs[2 * gates :])
    return Trace(
        forward, backward, gates, shape.products, shape.states, shape.noise, tuple(channels), additive, product
    )


def channel_values(cell: Cell, channels: Sequence[str]) -> list[Tensor]:
    """What the step reads of the cell, (hidden_size,) each, in the order of `Trace.channels`."""
    values = []
    for channel in channels:
        name, _, lane = channel.rpartition(".")
        value: Tensor = attrgetter(name)(cell)
        if value.numel() == 1:
            values.append(value.reshape(1).expand(cell.hidden_size))
        else:
            values.append(value.reshape(-1, cell.hidden_size)[int(lane)])
    return values


class Run:
    """One run of a step on example tensors, and of its gradient: what comes out, as values of a graph.

    gradients: whether `differentiate` will be called. forward: the new states. of_inputs: gradients of gx, gh and the
    states. of_channels: gradients of the cell's own tensors.
    """

    def __init__(self, cell: Cell, shape: Shape, rows: int, gradients: bool) -> None:
        self.graph, self.shape = Graph(), shape
        copy, self.tensors = stand_in(cell)
        self.recorder = Recorder(self.graph, cell.hidden_size, rows)
        for name, tensor in self.tensors.items():
            self.recorder.memory.adopt(name, tensor)
        self.differentiated = shape.gates + shape.products + shape.states  # of the inputs
        count = sum(shape) + (shape.states if gradients else 0)
        numbers = torch.linspace(-1.9, 1.7, count * rows * cell.hidden_size, dtype=torch.float32)
        examples = [
            number.clone().requires_grad_(k < self.differentiated)
            for k, number in enumerate(numbers.reshape(count, rows, -1))
        ]
        for k, example in enumerate(examples):
            self.recorder.memory.give(self.graph.value("input", k), example)
        self.values, self.weights = examples[: sum(shape)], examples[sum(shape) :]
        with torch.set_grad_enabled(gradients), self.recorder:
            self.states = stepper(copy, shape)(*self.values)
        if any(state.shape != self.values[0].shape for state in self.states):
            raise Untraceable(f"its step returned a state of shape {[tuple(s.shape)[1:] for s in self.states]}")
        self.forward = [self.recorder.memory.lanes(state, "a state")[0] for state in self.states]
        self.of_inputs: list[Scalar] = []
        self.of_channels: dict[str, Scalar] = {}

    def differentiate(self) -> None:
        """Run the gradient of the states, weighted by inputs of their own. Raises: Untraceable."""
        lanes = self.recorder.memory.lanes
        learned = [(name, tensor) for name, tensor in self.tensors.items() if tensor.requires_grad]
        leaves = [*self.values[: self.differentiated], *(tensor for _, tensor in learned)]
        gradients: Sequence[Tensor | None] = [None] * len(leaves)
        asked = [(s, weight) for s, weight in zip(self.states, self.weights, strict=True) if s.requires_grad]
        if asked:
            with self.recorder.differentiating():  # torch's grad_outputs would import sympy, for most of a second
                parts = [(state * weight).sum() for state, weight in asked]
                gradients = torch.autograd.grad(sum(parts[1:], parts[0]), leaves, allow_unused=True)
        for gradient in gradients[: self.differentiated]:
            self.of_inputs.append(0.0 if gradient is None else lanes(gradient, "a gradient")[0])
        for (name, _), gradient in zip(learned, gradients[self.differentiated :], strict=True):
            if gradient is not None:
                for k, lane in enumerate(lanes(gradient, f"the gradient of '{name}'")):
                    self.of_channels[f"{name}.{k}"] = lane

    def channels(self) -> list[str]:
        """The lanes of the cell's own tensors that are read, by name, in the cell's order. Raises: Untraceable."""
        reached = reached_from([*self.forward, *self.of_inputs, *self.of_channels.values()])
        inputs = [node.arguments[0] for node in reached if node.name == "input"]
        names = [key for key in inputs if isinstance(key, str)]
        if len(names) > MOST:
            raise Untraceable(f"update reads {len(names)} vectors of the cell's own, more than {MOST}")
        order = list(self.tensors)
        return sorted(names, key=lambda name: (order.index(name.rpartition(".")[0]), int(name.rpartition(".")[2])))

    def backward(self, channels: Sequence[str]) -> list[Scalar]:
        """Gradients of the inputs and of the channels; of a buffer none is asked for."""
        return [*self.of_inputs, *(self.of_channels.get(name, 0.0) for name in channels)]

    def program(self, outputs: list[Scalar], channels: Sequence[str], gradients: int = 0) -> Program:
        """What the outputs are made of, in order. gradients: how many inputs follow the channels."""
        before = sum(self.shape)
        inputs: list[int | str] = [*range(before), *channels, *range(before, before + gradients)]
        ops = [node for node in reached_from(outputs) if node.name != "input"]
        numbers = {self.graph.value("input", key).number: k for k, key in enumerate(inputs)}
        numbers |= {node.number: len(inputs) + k for k, node in enumerate(ops)}

        def numbered(value: object) -> Ref | float:
            if isinstance(value, Value):
                return Ref(numbers[value.number])
            assert isinstance(value, (int, float))
            return value

        return Program(
            len(inputs),
            tuple(Op(node.name, tuple(map(numbered, node.arguments))) for node in ops),
            tuple(map(numbered, outputs)),
        )
