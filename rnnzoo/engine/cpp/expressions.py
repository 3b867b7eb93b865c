"""Each operation of a program in C."""

from __future__ import annotations

from rnnzoo.engine.codegen.ir import Op, Ref

EXPRESSIONS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-{}",
    "reciprocal": "1.f / {}",
    "exp": "exp_({})",
    "sigmoid": "sigmoid_({})",
    "tanh": "tanh_({})",
    "relu": "({0} < 0.f ? 0.f : {0})",
    "log": "logf({})",
    "log1p": "log1pf({})",
    "expm1": "expm1f({})",
    "sin": "sinf({})",
    "cos": "cosf({})",
    "sqrt": "sqrtf({})",
    "rsqrt": "1.f / sqrtf({})",
    "abs": "fabsf({})",
    "pow": "powf({}, {})",
    "exp2": "exp2f({})",
    "log2": "log2f({})",
    "log10": "log10f({})",
    "tan": "tanf({})",
    "asin": "asinf({})",
    "acos": "acosf({})",
    "atan": "atanf({})",
    "sinh": "sinhf({})",
    "cosh": "coshf({})",
    "asinh": "asinhf({})",
    "acosh": "acoshf({})",
    "atanh": "atanhf({})",
    "erf": "erff({})",
    "floor": "floorf({})",
    "ceil": "ceilf({})",
    "round": "nearbyintf({})",
    "trunc": "truncf({})",
    "fmod": "fmodf({}, {})",
    "atan2": "atan2f({}, {})",
    "remainder": "remainder_({}, {})",
    "floor_divide": "floor_divide_({}, {})",
    "erfc": "erfcf({})",
    "hypot": "hypotf({}, {})",
    "fmax": "fmaxf({}, {})",
    "fmin": "fminf({}, {})",
    "copysign": "copysignf({}, {})",
    "signbit": "(std::signbit({}) ? 1.f : 0.f)",
    "sign": "(float)(({0} > 0.f) - ({0} < 0.f))",
    "maximum": "({0} > {1} || {0} != {0} ? {0} : {1})",
    "minimum": "({0} < {1} || {0} != {0} ? {0} : {1})",
    "gt": "({} > {} ? 1.f : 0.f)",
    "lt": "({} < {} ? 1.f : 0.f)",
    "ge": "({} >= {} ? 1.f : 0.f)",
    "le": "({} <= {} ? 1.f : 0.f)",
    "eq": "({} == {} ? 1.f : 0.f)",
    "ne": "({} != {} ? 1.f : 0.f)",
    "logical_and": "({} != 0.f && {} != 0.f ? 1.f : 0.f)",
    "logical_or": "({} != 0.f || {} != 0.f ? 1.f : 0.f)",
    "logical_not": "({} == 0.f ? 1.f : 0.f)",
    "where": "({} != 0.f ? {} : {})",
}


def number(value: float) -> str:
    """A constant in C."""
    if value != value:
        return "NAN"
    if value in (float("inf"), float("-inf")):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value!r}f" if "." in repr(value) or "e" in repr(value) else f"{value!r}.f"


def operand(value: Ref | float) -> str:
    """A value, or a constant."""
    return f"v{value.number}" if isinstance(value, Ref) else number(value)


def expression(op: Op) -> str:
    """One operation; a sum over channels is a loop, and has none."""
    return EXPRESSIONS[op.name].format(*map(operand, op.arguments))
