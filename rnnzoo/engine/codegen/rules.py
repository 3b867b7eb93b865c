"""What torch's pointwise operators compute, forwards and in gradients, as formulas of scalar operations.

`RULES` holds a function for each operator of ATen that generated code may take, by its name without the overload. Its
parameters are the operator's own: an argument that a rule has no parameter for, and that is not at its default, is
refused with its name. Formulas and their special cases (NaN, infinities, signed zeros, bounds) are those of torch's
kernels on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

UNARY = (
    "neg",
    "exp",
    "exp2",
    "log",
    "log2",
    "log10",
    "log1p",
    "expm1",
    "sigmoid",
    "tanh",
    "relu",
    "sqrt",
    "rsqrt",
    "abs",
    "sign",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "asinh",
    "acosh",
    "atanh",
    "erf",
    "erfc",
    "floor",
    "ceil",
    "round",
    "trunc",
    "reciprocal",
    "logical_not",
    "signbit",
)
BINARY = (
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "gt",
    "lt",
    "ge",
    "le",
    "eq",
    "ne",
    "logical_and",
    "logical_or",
    "pow",
    "fmod",
    "remainder",
    "floor_divide",
    "atan2",
    "hypot",
    "copysign",
)
INF = math.inf


class Unknown(Exception):
    """Which argument of an operator has no scalar code."""


class Graph:
    """Scalar operations, each value once, in an order in which each stands after what it is made of."""

    def __init__(self) -> None:
        self.nodes: list[Value] = []
        self._known: dict[tuple, Value] = {}

    def value(self, name: str, *arguments: Value | float | str) -> Value:
        """The value of an operation on values and numbers, or of an input (name "input") by its number or name."""
        key = (name, *(a if isinstance(a, Value) else repr(a) for a in arguments))  # repr: -0.0 is not 0.0
        if key not in self._known:
            self._known[key] = Value(self, len(self.nodes), name, arguments)
            self.nodes.append(self._known[key])
        return self._known[key]


class Value:
    """A number of the program: an input, or the result of an operation on others. Operators make further ones."""

    __slots__ = ("arguments", "graph", "name", "number")

    def __init__(self, graph: Graph, number: int, name: str, arguments: tuple) -> None:
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


Scalar = Any  # a Value, or a float that is known when the code is made


def op(name: str, *arguments: Scalar) -> Scalar:
    """One operation; of numbers that are known, the result, in float32."""
    graph = next((a.graph for a in arguments if isinstance(a, Value)), None)
    if graph is None:
        return float(interpret(name, *(torch.tensor(float(a), dtype=torch.float32) for a in arguments)))
    if name == "mul" and 1.0 in arguments:
        return arguments[0] if arguments[1] == 1.0 else arguments[1]
    return graph.value(name, *(a if isinstance(a, Value) else float(a) for a in arguments))


def interpret(name: str, *arguments: Any) -> torch.Tensor:
    """One operation on tensors and numbers, by torch."""
    if name == "rowsum":
        return torch.as_tensor(arguments[0]).sum(-1, keepdim=True)
    tensors = [torch.as_tensor(a) for a in arguments]
    if name == "where":
        return torch.where(tensors[0].bool(), tensors[1], tensors[2])
    return getattr(torch, name)(*tensors)


def where(condition: Scalar, a: Scalar, b: Scalar) -> Scalar:
    if not isinstance(condition, Value):
        return a if condition else b
    return op("where", condition, a, b)


# ---- formulas; parameters are named as torch names them


def add(self: Scalar, other: Scalar, alpha: float = 1) -> Scalar:
    return op("add", self, other if alpha == 1 else op("mul", other, alpha))


def sub(self: Scalar, other: Scalar, alpha: float = 1) -> Scalar:
    return op("sub", self, other if alpha == 1 else op("mul", other, alpha))


def rsub(self: Scalar, other: Scalar, alpha: float = 1) -> Scalar:
    return op("sub", other, self if alpha == 1 else op("mul", self, alpha))


def div(self: Scalar, other: Scalar, rounding_mode: str | None = None) -> Scalar:
    if rounding_mode == "floor":
        return op("floor_divide", self, other)
    return op("trunc", op("div", self, other)) if rounding_mode == "trunc" else op("div", self, other)


def power(self: Scalar, exponent: Scalar) -> Scalar:
    if isinstance(exponent, Value):
        return op("pow", self, exponent)
    known = {
        0.0: lambda: 1.0,
        1.0: lambda: self,
        2.0: lambda: op("mul", self, self),
        3.0: lambda: op("mul", op("mul", self, self), self),
        0.5: lambda: op("sqrt", self),
        -0.5: lambda: op("rsqrt", self),
        -1.0: lambda: op("reciprocal", self),
        -2.0: lambda: op("reciprocal", op("mul", self, self)),
    }
    return known.get(float(exponent), lambda: op("pow", self, exponent))()


def clamp(self: Scalar, min: Scalar | None = None, max: Scalar | None = None) -> Scalar:
    for bound, by_tensor, beyond in ((min, "maximum", "lt"), (max, "minimum", "gt")):
        if isinstance(bound, Value):
            self = op(by_tensor, self, bound)
        elif bound is not None and math.isnan(bound):
            return math.nan
        elif bound is not None:
            self = where(op(beyond, self, bound), float(bound), self)
    return self


def lerp(self: Scalar, end: Scalar, weight: Scalar) -> Scalar:
    low, high = self + weight * (end - self), end - (end - self) * (1.0 - weight)
    return where(op("lt", weight, 0.5), low, high)


def round_to(self: Scalar, decimals: int = 0) -> Scalar:
    if decimals == 0:
        return op("round", self)
    scale = 10.0 ** abs(decimals)
    if decimals > 0:
        return op("div", op("round", op("mul", self, scale)), scale)
    return op("mul", op("round", op("div", self, scale)), scale)


def nan_to_num(self: Scalar, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Any:
    largest = torch.finfo(torch.float32).max
    high, low = largest if posinf is None else posinf, -largest if neginf is None else neginf
    bounded = where(op("eq", self, INF), high, where(op("eq", self, -INF), low, self))
    return where(op("ne", self, self), nan or 0.0, bounded)


def logaddexp(self: Scalar, other: Scalar) -> Scalar:
    above = op("maximum", self, other) + op("log1p", op("exp", -op("abs", self - other)))
    return where(op("logical_and", op("eq", op("abs", self), INF), op("eq", self, other)), self, above)


def logaddexp2(self: Scalar, other: Scalar) -> Scalar:
    small = op("log1p", op("exp2", -op("abs", self - other))) * (1 / math.log(2))
    above = op("maximum", self, other) + small
    return where(op("logical_and", op("eq", op("abs", self), INF), op("eq", self, other)), self, above)


def xlogy(self: Scalar, other: Scalar) -> Scalar:
    product = where(op("eq", self, 0.0), 0.0, op("mul", self, op("log", other)))
    return where(op("ne", other, other), math.nan, product)


def xlog1py(self: Scalar, other: Scalar) -> Scalar:
    product = where(op("eq", self, 0.0), 0.0, op("mul", self, op("log1p", other)))
    return where(op("ne", other, other), math.nan, product)


def logit(self: Scalar, eps: float | None = None) -> Scalar:
    x = self if eps is None else clamp(self, eps, 1 - eps)
    return op("log", x / (1.0 - x))


def logit_backward(grad_output: Scalar, self: Scalar, eps: float | None = None) -> Scalar:
    low, high = (0.0, 1.0) if eps is None else (eps, 1 - eps)
    inside = op("logical_and", op("ge", self, low), op("le", self, high))
    return where(inside, grad_output / (self * (1.0 - self)), math.nan if eps is None else 0.0)


def softplus(self: Scalar, beta: float = 1, threshold: float = 20) -> Scalar:
    x = op("mul", self, beta)
    return where(op("gt", x, threshold), self, op("div", op("log1p", op("exp", x)), beta))


def softplus_backward(grad_output: Scalar, self: Scalar, beta: float, threshold: float) -> Scalar:
    x = op("mul", self, beta)
    z = op("exp", x)
    return where(op("gt", x, threshold), grad_output, grad_output * z / (z + 1.0))


def log_sigmoid(self: Scalar) -> tuple[Scalar, Scalar]:
    buffer = op("exp", -op("abs", self))
    return op("minimum", self, 0.0) - op("log1p", buffer), buffer


def log_sigmoid_backward(grad_output: Scalar, self: Scalar, buffer: Scalar) -> Scalar:
    negative, z = op("lt", self, 0.0), op("exp", -op("abs", self))
    return grad_output * (where(negative, 1.0, 0.0) - where(negative, 1.0, -1.0) * (z / (1.0 + z)))


def silu(self: Scalar) -> Scalar:
    return self * op("sigmoid", self)


def silu_backward(grad_output: Scalar, self: Scalar) -> Scalar:
    s = op("sigmoid", self)
    return grad_output * s * (1.0 + self * (1.0 - s))


def mish(self: Scalar) -> Scalar:
    return self * op("tanh", op("log1p", op("exp", self)))


def mish_backward(grad_output: Scalar, self: Scalar) -> Scalar:
    t, s = op("tanh", op("log1p", op("exp", self))), op("sigmoid", self)
    return grad_output * (t + self * s * (1.0 - t * t))


def elu(self: Scalar, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Scalar:
    negative = op("mul", op("expm1", op("mul", self, input_scale)), alpha * scale)
    return where(op("le", self, 0.0), negative, op("mul", self, scale))


def elu_backward(
    grad_output: Scalar, alpha: float, scale: float, input_scale: float, is_result: bool, self_or_result: Scalar
) -> Scalar:
    x = self_or_result
    slope = (
        (x + alpha * scale) * input_scale if is_result else op("exp", x * input_scale) * (alpha * scale * input_scale)
    )
    return where(op("gt", x, 0.0), grad_output * scale, grad_output * slope)


ROOT = math.sqrt(2 / math.pi)


def gelu(self: Scalar, approximate: str = "none") -> Scalar:
    if approximate == "tanh":
        return 0.5 * self * (1.0 + op("tanh", ROOT * (self + 0.044715 * (self * self * self))))
    return self * 0.5 * (1.0 + op("erf", self * math.sqrt(0.5)))


def gelu_backward(grad_output: Scalar, self: Scalar, approximate: str = "none") -> Scalar:
    if approximate == "tanh":
        t = op("tanh", ROOT * (self + 0.044715 * (self * self * self)))
        right = 0.5 * self * (1.0 - t * t) * (ROOT * (1.0 + 3 * 0.044715 * (self * self)))
        return grad_output * (0.5 * (1.0 + t) + right)
    cdf = 0.5 * (1.0 + op("erf", self * math.sqrt(0.5)))
    return grad_output * (cdf + self * (op("exp", self * self * -0.5) * (ROOT / 2)))


def leaky_relu(self: Scalar, negative_slope: float = 0.01) -> Scalar:
    return where(op("gt", self, 0.0), self, self * negative_slope)


def leaky_relu_backward(grad_output: Scalar, self: Scalar, negative_slope: float, self_is_result: bool) -> Scalar:
    return where(op("gt", self, 0.0), grad_output, grad_output * negative_slope)


def prelu(self: Scalar, weight: Scalar) -> Scalar:
    return where(op("gt", self, 0.0), self, weight * self)


def prelu_backward(grad_output: Scalar, self: Scalar, weight: Scalar) -> tuple[Scalar, Scalar]:
    positive = op("gt", self, 0.0)
    return where(positive, grad_output, weight * grad_output), where(positive, 0.0, self * grad_output)


def hardtanh(self: Scalar, min_val: float = -1, max_val: float = 1) -> Scalar:
    return clamp(self, min_val, max_val)


def hardtanh_backward(grad_output: Scalar, self: Scalar, min_val: float, max_val: float) -> Scalar:
    inside = op("logical_and", op("gt", self, min_val), op("lt", self, max_val))
    return where(inside, grad_output, 0.0)


def hardsigmoid(self: Scalar) -> Scalar:
    return clamp(self + 3.0, 0.0, 6.0) / 6.0


def hardsigmoid_backward(grad_output: Scalar, self: Scalar) -> Scalar:
    inside = op("logical_and", op("gt", self, -3.0), op("lt", self, 3.0))
    return where(inside, grad_output / 6.0, 0.0)


def hardswish(self: Scalar) -> Scalar:
    return self * clamp(self + 3.0, 0.0, 6.0) / 6.0


def hardswish_backward(grad_output: Scalar, self: Scalar) -> Scalar:
    between = where(op("ge", self, 3.0), grad_output, grad_output * (self / 3.0 + 0.5))
    return where(op("le", self, -3.0), 0.0, between)


def threshold(self: Scalar, threshold: float, value: float) -> Scalar:
    return where(op("le", self, threshold), float(value), self)


def threshold_backward(grad_output: Scalar, self: Scalar, threshold: float) -> Scalar:
    return where(op("le", self, threshold), 0.0, grad_output)


def softshrink(self: Scalar, lambd: float = 0.5) -> Scalar:
    inside = where(op("lt", self, -lambd), self + lambd, self * 0.0)
    return where(op("gt", self, lambd), self - lambd, inside)


def _outside(self: Scalar, lambd: float, value: Scalar) -> Scalar:
    return where(op("logical_or", op("gt", self, lambd), op("lt", self, -lambd)), value, 0.0)


def hardshrink(self: Scalar, lambd: float = 0.5) -> Scalar:
    inside = op("logical_and", op("ge", self, -lambd), op("le", self, lambd))
    return where(inside, 0.0, self)


def heaviside(self: Scalar, values: Scalar) -> Scalar:
    return where(op("eq", self, 0.0), values, op("gt", self, 0.0))


def logical_xor(self: Scalar, other: Scalar) -> Scalar:
    return op("ne", op("ne", self, 0.0), op("ne", other, 0.0))


def rule(name: str) -> Callable[..., Scalar]:
    """The rule of an operation that is one of the program's own."""
    if name in UNARY:
        return lambda self: op(name, self)
    return lambda self, other: op(name, self, other)


RULES: dict[str, Callable[..., Any]] = {
    **{name: rule(name) for name in (*UNARY, *BINARY)},
    "add": add,
    "sub": sub,
    "subtract": sub,
    "rsub": rsub,
    "div": div,
    "divide": div,
    "true_divide": div,
    "pow": power,
    "clamp": clamp,
    "clip": clamp,
    "round": round_to,
    "lerp": lerp,
    "nan_to_num": nan_to_num,
    "clamp_min": lambda self, min: clamp(self, min),
    "clamp_max": lambda self, max: clamp(self, None, max),
    "where": lambda condition, self, other: where(condition, self, other),
    "masked_fill": lambda self, mask, value: where(mask, value, self),
    "addcmul": lambda self, tensor1, tensor2, value=1: self + op("mul", tensor1, value) * tensor2,
    "addcdiv": lambda self, tensor1, tensor2, value=1: self + op("div", op("mul", tensor1, value), tensor2),
    "frac": lambda self: self - op("trunc", self),
    "square": lambda self: self * self,
    "sgn": rule("sign"),
    "negative": rule("neg"),
    "absolute": rule("abs"),
    "fix": rule("trunc"),
    "deg2rad": lambda self: self * (math.pi / 180),
    "rad2deg": lambda self: self * (180 / math.pi),
    "_to_bool": lambda self: op("ne", self, 0.0),
    "isnan": lambda self: op("ne", self, self),
    "isinf": lambda self: op("eq", op("abs", self), INF),
    "isfinite": lambda self: op("lt", op("abs", self), INF),
    "isposinf": lambda self: op("eq", self, INF),
    "isneginf": lambda self: op("eq", self, -INF),
    "logical_xor": logical_xor,
    "bitwise_xor": logical_xor,
    "bitwise_and": rule("logical_and"),
    "bitwise_or": rule("logical_or"),
    "bitwise_not": rule("logical_not"),
    "xlogy": xlogy,
    "special_xlog1py": xlog1py,
    "logaddexp": logaddexp,
    "logaddexp2": logaddexp2,
    "logit": logit,
    "logit_backward": logit_backward,
    "heaviside": heaviside,
    "tanh_backward": lambda grad_output, output: grad_output * (1.0 - output * output),
    "sigmoid_backward": lambda grad_output, output: grad_output * (output * (1.0 - output)),
    "softplus": softplus,
    "softplus_backward": softplus_backward,
    "log_sigmoid_forward": log_sigmoid,
    "log_sigmoid_backward": log_sigmoid_backward,
    "silu": silu,
    "silu_backward": silu_backward,
    "mish": mish,
    "mish_backward": mish_backward,
    "celu": lambda self, alpha=1: elu(self, alpha, 1, 1 / alpha),
    "elu": elu,
    "elu_backward": elu_backward,
    "gelu": gelu,
    "gelu_backward": gelu_backward,
    "leaky_relu": leaky_relu,
    "leaky_relu_backward": leaky_relu_backward,
    "_prelu_kernel": prelu,
    "_prelu_kernel_backward": prelu_backward,
    "hardtanh": hardtanh,
    "hardtanh_backward": hardtanh_backward,
    "hardsigmoid": hardsigmoid,
    "hardsigmoid_backward": hardsigmoid_backward,
    "hardswish": hardswish,
    "hardswish_backward": hardswish_backward,
    "threshold": threshold,
    "threshold_backward": threshold_backward,
    "softshrink": softshrink,
    "hardshrink": hardshrink,
    "softshrink_backward": lambda grad_output, self, lambd: _outside(self, lambd, grad_output),
    "hardshrink_backward": lambda grad_out, self, lambd: _outside(self, lambd, grad_out),
}
