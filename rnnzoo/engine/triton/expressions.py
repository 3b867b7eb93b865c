"""Each operation of a program in Triton, as far as Triton has it."""

from __future__ import annotations

from rnnzoo.engine.codegen.ir import ROW_SUM, Op, Ref, Untraceable

EXPRESSIONS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "tl.div_rn({}, {})",
    "neg": "-{}",
    "reciprocal": "tl.div_rn(one, {})",
    "exp": "tl.exp({})",
    "sigmoid": "1.0 / (1.0 + tl.exp(-{}))",
    "tanh": "tl.where(tl.abs({0}) < 0.625, {0} + {0} * ({0} * {0}) * (((((-5.70498872745e-3 * ({0} * {0})"
    " + 2.06390887954e-2) * ({0} * {0}) - 5.37397155531e-2) * ({0} * {0}) + 1.33314422036e-1) * ({0} * {0})"
    " - 3.33332819422e-1)), 1.0 - 2.0 / (1.0 + tl.exp(2.0 * {0})))",
    "relu": "tl.where({0} < 0.0, 0.0, {0})",
    "log": "tl.log({})",
    "sin": "tl.sin({})",
    "cos": "tl.cos({})",
    "sqrt": "tl.sqrt_rn({})",
    "rsqrt": "tl.div_rn(one, tl.sqrt_rn({}))",
    "abs": "tl.abs({})",
    # log(u) x / (u - 1) with u = 1 + x, whose errors cancel (Kahan)
    "log1p": "tl.where(1.0 + {0} == 1.0, {0}, tl.log(1.0 + {0})"
    " * tl.where({0} == float('inf'), 1.0, {0} / ((1.0 + {0}) - 1.0)))",
    "expm1": "tl.where(tl.abs({0}) < 0.5, {0} * (1.0 + {0} / 2.0 * (1.0 + {0} / 3.0 * (1.0 + {0} / 4.0 * (1.0 + {0}"
    " / 5.0 * (1.0 + {0} / 6.0 * (1.0 + {0} / 7.0 * (1.0 + {0} / 8.0))))))), tl.exp({0}) - 1.0)",
    "sign": "({0} > 0.0).to(tl.float32) - ({0} < 0.0).to(tl.float32)",
    "maximum": "tl.where(({0} > {1}) | ({0} != {0}), {0}, {1})",
    "minimum": "tl.where(({0} < {1}) | ({0} != {0}), {0}, {1})",
    "gt": "({} > {}).to(tl.float32)",
    "lt": "({} < {}).to(tl.float32)",
    "ge": "({} >= {}).to(tl.float32)",
    "le": "({} <= {}).to(tl.float32)",
    "eq": "({} == {}).to(tl.float32)",
    "ne": "({} != {}).to(tl.float32)",
    "logical_and": "(({} != 0.0) & ({} != 0.0)).to(tl.float32)",
    "logical_or": "(({} != 0.0) | ({} != 0.0)).to(tl.float32)",
    "logical_not": "({} == 0.0).to(tl.float32)",
    "where": "tl.where({} != 0.0, {}, {})",
    "exp2": "tl.exp2({})",
    "log2": "tl.log2({})",
    "erf": "tl.erf({})",
    "floor": "tl.floor({})",
    "ceil": "tl.ceil({})",
    "trunc": "tl.where({0} < 0.0, tl.ceil({0}), tl.floor({0}))",
    # to the nearest whole number, of two the even one: from 2^22 on, all are whole
    "round": "tl.where(tl.abs({0}) < 4194304.0, ({0} + 12582912.0) - 12582912.0, {0})",
    "log10": "tl.log2({}) * 0.30102999566398120",
    "tan": "tl.sin({0}) / tl.cos({0})",
    "fmax": "tl.where(({0} > {1}) | ({1} != {1}), {0}, {1})",
    "fmin": "tl.where(({0} < {1}) | ({1} != {1}), {0}, {1})",
    ROW_SUM: "tl.sum(tl.where(j < H, {}, 0.0), 1)[:, None]",
}
POWERS = {2.0: "{0} * {0}", 3.0: "{0} * {0} * {0}", 1.0: "{0}", 0.5: "tl.sqrt_rn({0})", -1.0: "tl.div_rn(one, {0})"}


def number(value: float) -> str:
    """A constant in Triton."""
    return repr(value) if abs(value) < float("inf") else f"float('{value}')"


def expression(op: Op) -> str:
    """One operation. Raises: Untraceable if Triton has none."""
    operands = [f"v{a.number}" if isinstance(a, Ref) else number(a) for a in op.arguments]
    if not any(isinstance(a, Ref) for a in op.arguments):
        operands[0] = f"({operands[0]} * one)"  # functions of Triton want a tensor among their arguments
    if op.name == "pow" and isinstance(op.arguments[1], float) and op.arguments[1] in POWERS:
        return POWERS[op.arguments[1]].format(operands[0])
    if op.name == "div" and not isinstance(op.arguments[0], Ref):
        operands[0] = f"({operands[0]} * one)"
    if op.name not in EXPRESSIONS:
        raise Untraceable(f"update uses '{op.name}', which has no Triton code here")
    return EXPRESSIONS[op.name].format(*operands)
