"""Each operation of a program in JavaScript."""

from __future__ import annotations

from rnnzoo.engine.codegen.ir import Op, Ref

EXPRESSIONS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-{}",
    "reciprocal": "1 / {}",
    "sigmoid": "1 / (1 + Math.exp(-{}))",
    "relu": "({0} < 0 ? 0 : {0})",
    "rsqrt": "1 / Math.sqrt({})",
    "exp2": "Math.pow(2, {})",
    "pow": "Math.pow({}, {})",
    "erf": "erf({})",
    "erfc": "1 - erf({})",
    "round": "halfEven({})",
    "fmod": "{} % {}",
    "remainder": "{0} - Math.floor({0} / {1}) * {1}",
    "floor_divide": "Math.floor({} / {})",
    "maximum": "Math.max({}, {})",
    "minimum": "Math.min({}, {})",
    "fmax": "({0} > {1} || {1} !== {1} ? {0} : {1})",
    "fmin": "({0} < {1} || {1} !== {1} ? {0} : {1})",
    "copysign": "(isNegative({1}) ? -Math.abs({0}) : Math.abs({0}))",
    "signbit": "+isNegative({})",
    "gt": "+({} > {})",
    "lt": "+({} < {})",
    "ge": "+({} >= {})",
    "le": "+({} <= {})",
    "eq": "+({} === {})",
    "ne": "+({} !== {})",
    "logical_and": "+({} !== 0 && {} !== 0)",
    "logical_or": "+({} !== 0 || {} !== 0)",
    "logical_not": "+({} === 0)",
    "where": "({} !== 0 ? {} : {})",
} | {  # those that JavaScript has under the same name
    name: f"Math.{name}({{}})"
    for name in (
        *("exp", "log", "log2", "log10", "log1p", "expm1", "tanh", "sqrt", "abs", "sign", "sin", "cos", "tan"),
        *("asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "floor", "ceil", "trunc"),
    )
}
EXPRESSIONS |= {"atan2": "Math.atan2({}, {})", "hypot": "Math.hypot({}, {})"}


def number(value: float) -> str:
    """A constant in JavaScript."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "(-Infinity)"
    return repr(value) if value >= 0 and not repr(value).startswith("-") else f"({value!r})"


def operand(value: Ref | float) -> str:
    """A value, or a constant."""
    return f"v{value.number}" if isinstance(value, Ref) else number(value)


def expression(op: Op) -> str:
    """One operation; a sum over channels is a loop, and has none."""
    return EXPRESSIONS[op.name].format(*map(operand, op.arguments))
