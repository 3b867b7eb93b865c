"""Activations of torch and their gradients as formulas of scalar operations; parameters have torch's names."""

from __future__ import annotations

import math

from rnnzoo.engine.codegen.arithmetic import clamp
from rnnzoo.engine.codegen.graph import Scalar, op, where


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


SQRT_2_OVER_PI = math.sqrt(2 / math.pi)


def gelu(self: Scalar, approximate: str = "none") -> Scalar:
    if approximate == "tanh":
        return 0.5 * self * (1.0 + op("tanh", SQRT_2_OVER_PI * (self + 0.044715 * (self * self * self))))
    return self * 0.5 * (1.0 + op("erf", self * math.sqrt(0.5)))


def gelu_backward(grad_output: Scalar, self: Scalar, approximate: str = "none") -> Scalar:
    if approximate == "tanh":
        t = op("tanh", SQRT_2_OVER_PI * (self + 0.044715 * (self * self * self)))
        right = 0.5 * self * (1.0 - t * t) * (SQRT_2_OVER_PI * (1.0 + 3 * 0.044715 * (self * self)))
        return grad_output * (0.5 * (1.0 + t) + right)
    cdf = 0.5 * (1.0 + op("erf", self * math.sqrt(0.5)))
    return grad_output * (cdf + self * (op("exp", self * self * -0.5) * (SQRT_2_OVER_PI / 2)))


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


def outside(self: Scalar, lambd: float, value: Scalar) -> Scalar:
    return where(op("logical_or", op("gt", self, lambd), op("lt", self, -lambd)), value, 0.0)


def hardshrink(self: Scalar, lambd: float = 0.5) -> Scalar:
    inside = op("logical_and", op("ge", self, -lambd), op("le", self, lambd))
    return where(inside, 0.0, self)
