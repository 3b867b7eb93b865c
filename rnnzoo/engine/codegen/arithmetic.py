"""Arithmetic of torch and its gradients as formulas of scalar operations; parameters have torch's names."""

from __future__ import annotations

import math

import torch

from rnnzoo.engine.codegen.graph import Scalar, Value, op, where

INF = math.inf


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


def nan_to_num(
    self: Scalar, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Scalar:
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


def heaviside(self: Scalar, values: Scalar) -> Scalar:
    return where(op("eq", self, 0.0), values, op("gt", self, 0.0))


def logical_xor(self: Scalar, other: Scalar) -> Scalar:
    return op("ne", op("ne", self, 0.0), op("ne", other, 0.0))
