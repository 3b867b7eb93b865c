"""Every operator of a list either has code that computes what torch computes, or is refused by name.

Each is drawn into a step with operands of all kinds: gates, states, constants, attributes, buffers and learned numbers,
ordinary and special ones. Values and gradients are compared with the plain loop's in float64; where float32 cannot hold
what float64 does, or decides otherwise at a step, with the plain loop's in float32, whose NaN and infinities are exact.
Sizes are multiples of 64, as torch's own gradients at NaN are others in a rest of a few numbers. `pytest -s` prints how
many operators were tried, compiled, refused and wrong.
"""

import copy
import random

import pytest
import torch
import torch.nn.functional as F
from conftest import no_compiler
from torch import nn

from rnnzoo.cells.base import PointwiseCell
from rnnzoo.engine.choose import PATHS
from rnnzoo.engine.codegen.ir import Trace
from rnnzoo.engine.codegen.trace_cache import traced
from rnnzoo.engine.sequences import Sequences

needs_compiler = pytest.mark.skipif(no_compiler(), reason="no C++ compiler")
INF, NAN = float("inf"), float("nan")
SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    3.0,
    -3.0,
    6.0,
    1e-5,
    -1e-5,
    1e-7,
    1e-30,
    1e-40,
    -1e-42,
    20.0,
    -20.0,
    90.0,
    -90.0,
    104.0,
    -104.0,
    1e4,
    -1e4,
    1e30,
    -1e30,
    INF,
    -INF,
    NAN,
]
CONSTANTS = [0.3, -0.7, 2.0, 0.0, -1.5, 3, 1e-3]
TOGETHER = 40  # operators in one library


def functions(module, names):
    return {f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name) for name in names.split()}


def methods(names):
    return {f"x.{name}": (lambda n: lambda x, *more: getattr(x, n)(*more))(name) for name in names.split()}


def in_place(names):
    return {f"x.{name}_": (lambda n: lambda x, *more: getattr(x + 0, f"{n}_")(*more))(name) for name in names.split()}


ONE = {
    **functions(
        torch,
        "abs absolute neg negative positive exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square reciprocal sigmoid "
        "tanh relu sin cos tan asin acos atan sinh cosh asinh acosh atanh arcsin arccos arctan arcsinh arccosh arctanh "
        "erf erfc floor ceil round trunc fix frac sign isnan isinf isfinite isposinf isneginf isreal signbit "
        "logical_not deg2rad rad2deg nan_to_num logit selu celu zeros_like ones_like clone detach",
    ),
    **functions(
        F,
        "relu relu6 elu selu celu gelu silu mish softplus softsign tanhshrink hardtanh hardsigmoid hardswish "
        "hardshrink softshrink leaky_relu logsigmoid sigmoid tanh",
    ),
    **methods(
        "abs neg exp sigmoid tanh relu sqrt square floor round bool float sign erf clone detach contiguous trunc"
    ),
    **in_place("abs neg exp sigmoid tanh relu sqrt square floor round"),
    "-x": lambda x: -x,
    "abs(x)": lambda x: abs(x),
    "~(x > 0)": lambda x: ~(x > 0),
    "x ** 2": lambda x: x**2,
    "x ** 3": lambda x: x**3,
    "x ** 0": lambda x: x**0,
    "x ** 1": lambda x: x**1,
    "x ** 0.5": lambda x: x**0.5,
    "x ** -0.5": lambda x: x**-0.5,
    "x ** -1": lambda x: x**-1,
    "x ** -2": lambda x: x**-2,
    "x ** 2.5": lambda x: x**2.5,
    "2 ** x": lambda x: 2**x,
    "0.3 ** x": lambda x: 0.3**x,
    "1 / x": lambda x: 1 / x,
    "1 - x": lambda x: 1 - x,
    "x % 0.7": lambda x: x % 0.7,
    "x % -0.7": lambda x: x % -0.7,
    "0 * x": lambda x: 0 * x,
    "x * sigmoid(x)": lambda x: x * torch.sigmoid(x),
    "round, decimals=1": lambda x: torch.round(x, decimals=1),
    "round, decimals=-1": lambda x: torch.round(x, decimals=-1),
    "logit, eps": lambda x: torch.logit(x, eps=0.1),
    "nan_to_num, posinf": lambda x: torch.nan_to_num(x, 0.5, posinf=2.0, neginf=-3.0),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "clamp, crossed": lambda x: x.clamp(2, 1),
    "clamp, min": lambda x: torch.clamp(x, min=0.1),
    "clamp_max": lambda x: x.clamp_max(0.1),
    "clamp_": lambda x: (x + 0).clamp_(-1, 1),
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
    "elu, alpha": lambda x: F.elu(x, 0.7),
    "elu, in place": lambda x: F.elu(x + 0, 0.7, inplace=True),
    "celu, alpha": lambda x: F.celu(x, 0.5),
    "leaky_relu, slope": lambda x: F.leaky_relu(x, negative_slope=0.2),
    "leaky_relu_": lambda x: F.leaky_relu_(x + 0, 0.2),
    "hardtanh, bounds": lambda x: F.hardtanh(x, -0.3, 0.4),
    "softplus, beta": lambda x: F.softplus(x, beta=2.0, threshold=10.0),
    "threshold": lambda x: F.threshold(x, 0.1, 0.2),
    "hardshrink, lambd": lambda x: F.hardshrink(x, 0.2),
    "softshrink, lambd": lambda x: F.softshrink(x, 0.2),
    "prelu": lambda x: F.prelu(x, x.new_full((1,), 0.25)),
    "prelu, a weight a channel": lambda x: F.prelu(x, torch.full((x.shape[-1],), 0.25, dtype=x.dtype)),
    "dropout, evaluated": lambda x: F.dropout(x, 0.5, training=False),
    "F.softsign": lambda x: F.softsign(x),
    "nn.Hardswish": nn.Hardswish(),
    "x.to(float32)": lambda x: x.to(x.dtype),
    "x.type_as(x)": lambda x: x.type_as(x),
    "x[..., :]": lambda x: x[..., :],
    "unsqueeze, squeeze": lambda x: x.unsqueeze(0).squeeze(0),
    "expand_as": lambda x: x.expand_as(x) * 2,
    "full_like": lambda x: torch.full_like(x, 0.3) + x,
    "new_tensor": lambda x: x * x.new_tensor(0.25),
    "torch.tensor": lambda x: x * torch.tensor(0.25),
    "torch.zeros": lambda x: x - torch.zeros(x.shape[-1], dtype=x.dtype),
    "cat, chunk": lambda x: torch.cat([x, 2 * x], -1).chunk(2, -1)[1],
    "where, scalars": lambda x: torch.where(x > 0.1, x, 0.5),
    "where, two scalars": lambda x: torch.where(x > 0.1, 1.5, 0.5) * x,
    "masked_fill": lambda x: x.masked_fill(x > 0.1, 0.5),
    "masked_fill_": lambda x: (x + 0).masked_fill_(x > 0.1, 0.5),
    "(x > 0).float()": lambda x: (x > 0).float() * x if x.dtype == torch.float32 else (x > 0).double() * x,
    "bool.to": lambda x: (x > 0).to(x.dtype),
    "no_grad": lambda x: detached(x) * x,
    "fill_": lambda x: torch.empty_like(x).fill_(0.5) * x,
    "copy_": lambda x: torch.empty_like(x).copy_(x) * 0.5,
    "zero_": lambda x: (x + 1).zero_() + x,
    "isclose": lambda x: torch.isclose(x, x * 1.1) * x,
}


def detached(x):
    with torch.no_grad():
        return torch.tanh(x)


TWO = {  # the second may be a number
    **functions(
        torch,
        "add sub subtract mul multiply div divide true_divide pow fmod remainder gt lt ge le eq ne greater less "
        "not_equal xlogy rsub",
    ),
    **methods("add sub mul div pow fmod remainder gt lt ge le eq ne xlogy true_divide copysign"),
    **in_place("add sub mul div fmod remainder copysign"),
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "y - x": lambda x, y: y - x,
    "x * y": lambda x, y: x * y,
    "x / y": lambda x, y: x / y,
    "y / x": lambda x, y: y / x,
    "x ** y": lambda x, y: x**y,
    "x % y": lambda x, y: x % y,
    "x += y": lambda x, y: plus(x, y),
    "add, alpha": lambda x, y: torch.add(x, y, alpha=2.5),
    "sub, alpha": lambda x, y: torch.sub(x, y, alpha=-0.5),
    "rsub, alpha": lambda x, y: torch.rsub(x, y, alpha=3.0),
    "add_, alpha": lambda x, y: (x + 0).add_(y, alpha=2),
    "div, floor": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "div, trunc": lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    "div, None": lambda x, y: torch.div(x, y, rounding_mode=None),
    "div_, floor": lambda x, y: (x + 0).div_(y, rounding_mode="floor"),
    "copysign": lambda x, y: torch.copysign(x, y),
    "(x > y) * x": lambda x, y: (x > y) * x,
    "(x > y) + (x < 1)": lambda x, y: ((x > y) + (x < 1)) * x,
    "(x > y) & (x < 1)": lambda x, y: ((x > y) & (x < 1)) * x,
    "(x > y) | (x < 1)": lambda x, y: ((x > y) | (x < 1)) * x,
    "(x > y) ^ (x < 1)": lambda x, y: ((x > y) ^ (x < 1)) * x,
    "where": lambda x, y: torch.where(x > y, x, y),
    "x.where": lambda x, y: x.where(x < 0.2, y),
}
TENSORS = {  # the second is a tensor
    **functions(
        torch,
        "maximum minimum max min fmax fmin atan2 arctan2 hypot logaddexp logaddexp2 logical_and logical_or logical_xor",
    ),
    **methods("maximum minimum atan2 logical_and hypot"),
    "clamp, tensor": lambda x, y: torch.clamp(x, min=y),
    "clamp, tensors": lambda x, y: torch.clamp(x, y, y + 1),
    "clip, max": lambda x, y: x.clip(max=y),
    "clamp_min, tensor": lambda x, y: x.clamp_min(y),
    "lerp": lambda x, y: torch.lerp(x, y, 0.3),
    "lerp, far": lambda x, y: x.lerp(y, 0.8),
    "lerp, tensor": lambda x, y: torch.lerp(x, y, torch.sigmoid(y)),
    "addcmul": lambda x, y: torch.addcmul(x, x, y),
    "addcmul, value": lambda x, y: torch.addcmul(x, x, y, value=0.5),
    "addcdiv": lambda x, y: torch.addcdiv(x, x, y),
    "addcdiv, value": lambda x, y: torch.addcdiv(x, x, y, value=0.5),
    "addcmul_": lambda x, y: (x + 0).addcmul_(x, y, value=2),
    "masked_fill, mask of two": lambda x, y: x.masked_fill(x > y, 2.0),
    "F.mse_loss, none": lambda x, y: (x - y).square(),
    "einsum": lambda x, y: torch.einsum("...h,...h->...h", x, y),
}


def plus(x, y):
    x = x + 0
    x += y
    return x


LEFT = {  # pointwise, without code
    **functions(torch, "erfinv lgamma digamma i0 sinc sgn angle frexp"),
    "rrelu, evaluated": lambda x: F.rrelu(x, training=False),
    "2 % x": lambda x: 2 % x,
    "half": lambda x: x.half().float(),
    "bfloat16": lambda x: x.bfloat16().float(),
    "double": lambda x: x.double().sin().float(),
    "int": lambda x: x.int().float(),
    "float_power": lambda x: torch.float_power(x, 2).float(),
    "x // 0.3": lambda x: x // 0.3,
    "floor_divide": lambda x: torch.floor_divide(x, 0.3),
    "heaviside": lambda x: torch.heaviside(x, x),
    "nextafter": lambda x: torch.nextafter(x, x + 1),
    "ldexp": lambda x: torch.ldexp(x, x),
    "polygamma": lambda x: torch.polygamma(1, x),
    "bits": lambda x: x.view(torch.int32).float(),
    "whole": lambda x: (x > 0).long() * x,
    "out": lambda x: torch.add(x, x, out=torch.empty_like(x)),
    "complex": lambda x: torch.complex(x, x).abs(),
    "item": lambda x: x * x.sum().item(),
    "numpy": lambda x: x * x.detach().numpy().size,
}


def along(name, first=False):
    def function(x):
        found = getattr(torch, name)(x, dim=-1)
        return found[0] if first else found

    return function


def reduced(name):
    return lambda x: x - getattr(torch, name)(x, -1, keepdim=True)


def whole(name):
    return lambda x: x * getattr(x, name)()


NOT_POINTWISE = {
    **{name: along(name) for name in ("softmax", "log_softmax", "cumsum", "cumprod")},
    **{name: along(name, first=True) for name in ("sort", "cummax", "cummin")},
    **{name: reduced(name) for name in ("amax", "amin", "argmax", "std", "var", "logsumexp", "prod")},
    **{f"{name} of all": whole(name) for name in ("sum", "mean", "max", "min", "norm")},
    "flip": lambda x: x.flip(-1),
    "roll": lambda x: x.roll(1, -1),
    "normalize": lambda x: F.normalize(x, dim=-1),
    "softmin": lambda x: F.softmin(x, -1),
    "glu": lambda x: F.glu(torch.cat([x, x], -1), -1),
    "mm": lambda x: x @ torch.ones(x.shape[-1], x.shape[-1]),
    "linear": lambda x: F.linear(x, torch.eye(x.shape[-1])),
    "mean over sequences": lambda x: x - x.mean(0, keepdim=True),
    "gather": lambda x: x.gather(-1, torch.zeros_like(x).long()),
    "rand_like": lambda x: x + torch.rand_like(x),
    "dropout": lambda x: F.dropout(x, 0.5, training=True),
    "bernoulli": lambda x: torch.bernoulli(torch.sigmoid(x)),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "tril": lambda x: x.tril(),
    "topk": lambda x: x.topk(1)[0].expand_as(x),
    "arange": lambda x: x * torch.arange(x.shape[-1]),
    "diff": lambda x: torch.diff(x, prepend=x[:, :1]),
    "conv1d": lambda x: F.conv1d(x[:, None], torch.ones(1, 1, 3), padding=1)[:, 0],
}
POINTWISE = ONE | TWO | TENSORS


class Drawn(PointwiseCell):
    """A state for each of several operators: of a gate, and of an operand of some kind where it takes a second."""

    recurrent = None
    chosen: tuple = ()

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.learned = nn.Parameter(torch.tensor(0.7))
        self.own = {"numbers": [0.4, -1.25]}
        numbers = torch.tensor((SPECIAL * hidden_size)[:hidden_size])
        self.vector = nn.Parameter(numbers.roll(7))
        self.register_buffer("buffer", numbers.roll(3).clone())
        self.register_buffer("single", torch.tensor([-0.6]))

    def project(self, x):
        return x

    def operand(self, kind, x, state):
        kinds = {
            "gate": lambda: x[1],
            "state": lambda: state,
            "learned number": lambda: self.learned,
            "learned vector": lambda: self.vector,
            "buffer": lambda: self.buffer,
            "number in a buffer": lambda: self.single,
            "attribute": lambda: self.own["numbers"][1],
        }
        return kinds[kind]() if kind in kinds else kind

    def update(self, gx, gh, state):
        new = []
        for k, (function, kind, tensor) in enumerate(self.chosen):
            pair = gx[2 * k : 2 * k + 2]
            if kind is None:
                made = function(pair[0])
            else:
                other = self.operand(kind, pair, state[k])
                made = function(pair[0], torch.as_tensor(other).to(pair[0]).expand_as(pair[0]) if tensor else other)
            new.append(made if made.dtype == pair[0].dtype else made.to(pair[0].dtype))
        return tuple(new)


KINDS = ("gate", "state", "learned number", "learned vector", "buffer", "number in a buffer", "attribute")


def drawn(names, seed):
    """A cell class whose states are of these operators, and words for each."""
    generator = random.Random(seed)
    chosen, words = [], []
    for name in names:
        kind = None
        if name not in ONE:
            kind = generator.choice((*KINDS, *KINDS, generator.choice(CONSTANTS)))
        chosen.append((POINTWISE[name], kind, name in TENSORS))
        words.append(f"{name} of {kind}")
    gates = tuple(f"g{k}" for k in range(2 * len(names)))
    states = tuple(f"s{k}" for k in range(len(names)))
    return type("Drawn", (Drawn,), {"gates": gates, "states": states, "chosen": tuple(chosen)}), words


def results(cell, path, x, h0, weights):
    """Of one step: the states, and the gradients by gates, first states and parameters."""
    cell = cell if x.dtype == torch.float32 else copy.deepcopy(cell).to(x.dtype)
    x, h0 = x.clone().requires_grad_(), tuple(h.clone().requires_grad_() for h in h0)
    _, last = PATHS[path].run(cell, Sequences.of(x), h0, False, True)
    named = [(name, p) for name, p in cell.named_parameters() if name in ("vector", "learned")]
    total = sum((s * w.to(s)).sum() for s, w in zip(last, weights, strict=True) if s.requires_grad)
    found = torch.autograd.grad(total, [x, *h0, *(p for _, p in named)], allow_unused=True, materialize_grads=True)
    return [s.detach() for s in last], found


def apart(found, single, double, scale, loose):
    """Where numbers differ from the plain loop's, in float32 and in float64: a mask."""
    same_kind = torch.zeros_like(found, dtype=torch.bool)
    for plain in (single, double.float()):
        kind = (found.isnan() == plain.isnan()) & (found.isinf() == plain.isinf()) & (~found.isinf() | (found == plain))
        near = ~found.isfinite() | ~plain.isfinite()
        exact = double if plain is not single else single.double()
        error = (found.double() - exact).abs()
        allowed = loose * exact.abs() + 4e-7 * scale + 1e-37 + 8 * (single.double() - double).abs().nan_to_num(0, 0, 0)
        same_kind |= kind & (near | (error <= allowed))
    return ~same_kind


def wrong(names, seed, special):
    """Descriptions of the operators of one library whose values or gradients are not the plain loop's."""
    kind, words = drawn(names, seed)
    generator = torch.Generator().manual_seed(seed)
    if special:
        grid = torch.tensor(SPECIAL)
        a, b = torch.meshgrid(grid, grid, indexing="ij")
        a, b = torch.cat([torch.stack([a.flatten(), b.flatten()]), torch.randn(2, 63, generator=generator)], 1)
    else:
        a, b = torch.randn(2, 64, generator=generator)
    count, size = len(names), len(a)
    cell = kind(1, size)
    if not special:
        with torch.no_grad():
            cell.vector.copy_(torch.randn(size, generator=generator))
            cell.buffer.copy_(torch.randn(size, generator=generator))
    assert isinstance(traced(cell), Trace), traced(cell)
    pairs = torch.stack([a, b]).repeat(count, 1)
    x = pairs.reshape(1, 1, -1)
    cell.input_size = x.shape[-1]
    h0 = tuple(b.roll(5)[None] for _ in range(count))
    weights = torch.randint(1, 4, (count, 1, size), generator=generator).float() - 2.5
    runs = [
        results(cell, "native", x, h0, weights),
        results(cell, "reference", x, h0, weights),
        results(cell, "reference", x.double(), [h.double() for h in h0], weights),
    ]
    scale = torch.stack([a.abs(), b.abs(), b.roll(5).abs()]).nan_to_num(0, 0, 0).amax(0).clamp(max=100).double()
    told = []
    for k, word in enumerate(words):
        mine = [made[k] for made, _ in runs]
        bad = apart(*mine, scale, 2e-6).flatten()
        if bad.any():
            j = int(bad.nonzero()[0])
            told.append(f"value of {word}: {a[j]:g}, {b[j]:g} gives {[v.flatten()[j].item() for v in mine]}")
        for what, part in (
            ("gate", slice(2 * k * size, (2 * k + 1) * size)),
            ("second", slice((2 * k + 1) * size, (2 * k + 2) * size)),
        ):
            mine = [g[0].flatten()[part] for _, g in runs]
            bad = apart(*mine, scale, 2e-6)
            if bad.any():
                j = int(bad.nonzero()[0])
                told.append(f"gradient by {what} of {word}: {a[j]:g}, {b[j]:g} gives {[v[j].item() for v in mine]}")
        mine = [g[1 + k].flatten() for _, g in runs]
        if apart(*mine, scale, 2e-6).any():
            told.append(f"gradient by the state of {word}")
    for place, name in ((-2, "learned"), (-1, "vector")):
        mine = [g[place].flatten() for _, g in runs]
        bad = apart(*mine, 300 * torch.ones(()).double(), 1e-4)
        if bad.any() and not special:  # of special numbers a sum over operators is NaN
            told.append(f"gradient by the {name} of {[m[bad][:3].tolist() for m in mine]}")
    return told


def one_by_one(names, seed):
    """Which of these operators have code, and why the others have none."""
    compiled, refused = [], {}
    for name in names:
        found = traced(drawn([name], seed)[0](1, 6))
        if isinstance(found, Trace):
            compiled.append(name)
        else:
            refused[name] = found
    return compiled, refused


def check(seeds):
    tried, faults = len(POINTWISE) + len(LEFT) + len(NOT_POINTWISE), []
    _, refused = one_by_one(POINTWISE, 0)
    assert not refused
    for seed in seeds:
        names = list(POINTWISE)
        random.Random(seed).shuffle(names)
        for begin in range(0, len(names), TOGETHER):
            some = names[begin : begin + TOGETHER]
            for special in (True, False):
                faults += wrong(some, seed, special)
    print(
        f"\n{tried} operators tried, {len(POINTWISE)} compiled, {tried - len(POINTWISE)} refused by name, "
        f"wrong: {len(faults)}"
    )
    assert not faults, "\n".join(faults)


@needs_compiler
def test_every_operator_that_has_code_gives_torchs_values_and_gradients():
    check([0])


@pytest.mark.slow
@needs_compiler
def test_operators_with_operands_of_every_kind_give_torchs_values_and_gradients():
    check(range(1, 5))


@pytest.mark.parametrize("name", LEFT | NOT_POINTWISE)
def test_an_operator_without_code_is_refused_by_its_name(name):
    function = (LEFT | NOT_POINTWISE)[name]
    cell = type("One", (Drawn,), {"gates": ("a", "b"), "states": ("h",), "chosen": ((function, None, False),)})(1, 6)
    found = traced(cell)
    assert isinstance(found, str)
    assert "'" in found or "aten::" in found, found
