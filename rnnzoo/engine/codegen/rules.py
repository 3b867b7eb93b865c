"""What torch's pointwise operators compute, forwards and in gradients, as formulas of scalar operations.

`RULES` holds a function for each operator of ATen that generated code may take, by its name without the overload. Its
parameters are the operator's own: an argument that a rule has no parameter for, and that is not at its default, is
refused with its name. Formulas and their special cases (NaN, infinities, signed zeros, bounds) are those of torch's
kernels on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rnnzoo.engine.codegen import activations, arithmetic
from rnnzoo.engine.codegen.arithmetic import INF, clamp
from rnnzoo.engine.codegen.graph import Scalar, op, where
from rnnzoo.engine.codegen.ir import BINARY, UNARY

Rule = Callable[..., Scalar | tuple[Scalar, Scalar]]


def rule(name: str) -> Rule:
    """The rule of an operator that is one operation of a program."""
    if name in UNARY:
        return lambda self: op(name, self)
    return lambda self, other: op(name, self, other)


RULES: dict[str, Rule] = {
    **{name: rule(name) for name in (*UNARY, *BINARY)},
    "add": arithmetic.add,
    "sub": arithmetic.sub,
    "subtract": arithmetic.sub,
    "rsub": arithmetic.rsub,
    "div": arithmetic.div,
    "divide": arithmetic.div,
    "true_divide": arithmetic.div,
    "pow": arithmetic.power,
    "clamp": clamp,
    "clip": clamp,
    "round": arithmetic.round_to,
    "lerp": arithmetic.lerp,
    "nan_to_num": arithmetic.nan_to_num,
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
    "logical_xor": arithmetic.logical_xor,
    "bitwise_xor": arithmetic.logical_xor,
    "bitwise_and": rule("logical_and"),
    "bitwise_or": rule("logical_or"),
    "bitwise_not": rule("logical_not"),
    "xlogy": arithmetic.xlogy,
    "special_xlog1py": arithmetic.xlog1py,
    "logaddexp": arithmetic.logaddexp,
    "logaddexp2": arithmetic.logaddexp2,
    "logit": arithmetic.logit,
    "logit_backward": arithmetic.logit_backward,
    "heaviside": arithmetic.heaviside,
    "tanh_backward": lambda grad_output, output: grad_output * (1.0 - output * output),
    "sigmoid_backward": lambda grad_output, output: grad_output * (output * (1.0 - output)),
    "softplus": activations.softplus,
    "softplus_backward": activations.softplus_backward,
    "log_sigmoid_forward": activations.log_sigmoid,
    "log_sigmoid_backward": activations.log_sigmoid_backward,
    "silu": activations.silu,
    "silu_backward": activations.silu_backward,
    "mish": activations.mish,
    "mish_backward": activations.mish_backward,
    "celu": lambda self, alpha=1: activations.elu(self, alpha, 1, 1 / alpha),
    "elu": activations.elu,
    "elu_backward": activations.elu_backward,
    "gelu": activations.gelu,
    "gelu_backward": activations.gelu_backward,
    "leaky_relu": activations.leaky_relu,
    "leaky_relu_backward": activations.leaky_relu_backward,
    "_prelu_kernel": activations.prelu,
    "_prelu_kernel_backward": activations.prelu_backward,
    "hardtanh": activations.hardtanh,
    "hardtanh_backward": activations.hardtanh_backward,
    "hardsigmoid": activations.hardsigmoid,
    "hardsigmoid_backward": activations.hardsigmoid_backward,
    "hardswish": activations.hardswish,
    "hardswish_backward": activations.hardswish_backward,
    "threshold": activations.threshold,
    "threshold_backward": activations.threshold_backward,
    "softshrink": activations.softshrink,
    "hardshrink": activations.hardshrink,
    "softshrink_backward": lambda grad_output, self, lambd: activations.outside(self, lambd, grad_output),
    "hardshrink_backward": lambda grad_out, self, lambd: activations.outside(self, lambd, grad_out),
}
