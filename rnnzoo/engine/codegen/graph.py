"""Scalar values while a step is traced: formulas on them become operations, constants are computed at once."""

from __future__ import annotations

from typing import TypeAlias, Union

import torch

from rnnzoo.engine.codegen.ir import evaluate

Argument: TypeAlias = Union["Value", float, str, int]


class Graph:
    """Scalar operations, each value once, in an order in which each comes after its arguments."""

    def __init__(self) -> None:
        self.nodes: list[Value] = []
        self._by_key: dict[tuple[object, ...], Value] = {}

    def value(self, name: str, *arguments: Argument) -> Value:
        """The value of an operation on values and numbers, or of an input (name "input") by its number or name."""
        key = (name, *(a if isinstance(a, Value) else repr(a) for a in arguments))  # repr: -0.0 is not 0.0
        if key not in self._by_key:
            self._by_key[key] = Value(self, len(self.nodes), name, arguments)
            self.nodes.append(self._by_key[key])
        return self._by_key[key]


class Value:
    """A number of the program: an input, or the result of an operation on others. Operators make further ones."""

    __slots__ = ("arguments", "graph", "name", "number")

    def __init__(self, graph: Graph, number: int, name: str, arguments: tuple[Argument, ...]) -> None:
        self.graph, self.number, self.name, self.arguments = graph, number, name, arguments

    def __add__(self, other: Scalar) -> Scalar:
        return op("add", self, other)

    def __radd__(self, other: Scalar) -> Scalar:
        return op("add", other, self)

    def __sub__(self, other: Scalar) -> Scalar:
        return op("sub", self, other)

    def __rsub__(self, other: Scalar) -> Scalar:
        return op("sub", other, self)

    def __mul__(self, other: Scalar) -> Scalar:
        return op("mul", self, other)

    def __rmul__(self, other: Scalar) -> Scalar:
        return op("mul", other, self)

    def __truediv__(self, other: Scalar) -> Scalar:
        return op("div", self, other)

    def __rtruediv__(self, other: Scalar) -> Scalar:
        return op("div", other, self)

    def __neg__(self) -> Scalar:
        return op("neg", self)


Scalar: TypeAlias = Value | float  # a float is known when the code is made


def op(name: str, *arguments: Scalar) -> Scalar:
    """One operation; of numbers that are known, the result, in float32."""
    graph = next((a.graph for a in arguments if isinstance(a, Value)), None)
    if graph is None:
        numbers = [torch.tensor(float(a), dtype=torch.float32) for a in arguments if not isinstance(a, Value)]
        return float(evaluate(name, *numbers))
    if name == "mul" and 1.0 in arguments:
        return arguments[0] if arguments[1] == 1.0 else arguments[1]
    return graph.value(name, *(a if isinstance(a, Value) else float(a) for a in arguments))


def where(condition: Scalar, a: Scalar, b: Scalar) -> Scalar:
    """`a` where the condition is not 0, else `b`."""
    if not isinstance(condition, Value):
        return a if condition else b
    return op("where", condition, a, b)


def reached_from(outputs: list[Scalar]) -> list[Value]:
    """The values that the outputs are made of, each after its arguments."""
    values: dict[int, Value] = {}
    waiting = [value for value in outputs if isinstance(value, Value)]
    while waiting:
        value = waiting.pop()
        if value.number not in values:
            values[value.number] = value
            waiting += [a for a in value.arguments if isinstance(a, Value)]
    return [values[number] for number in sorted(values)]
