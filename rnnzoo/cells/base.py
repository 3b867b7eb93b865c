"""The contract of a recurrent cell: what one step computes, and nothing of time, direction, lengths or speed.

    gx     = project(x)           what of a step needs only the input: run over all live steps at once
    state' = step(gx, state)      one step: the truth for every faster path
    y      = readout(gx, state')  the output: run over all live steps at once

Three kinds of author: a `PointwiseCell` writes `update`, a `LinearCell` writes `coefficients`, any other `Cell` writes
`step`. The engine runs all of them forwards and backwards over ragged batches, with carried state. A cell around a cell
is a `Wrapper` (`rnnzoo/cells/wrappers.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo import registry
from rnnzoo.cells.named import Named as Named
from rnnzoo.cells.named import check_names, named_type
from rnnzoo.errors import CellError, ZooError
from rnnzoo.limits import Limit, Size, checked

State = tuple[Tensor, ...]  # one tensor (batch, *shape) per spec, h first
CellLike = Annotated[Any, registry.Part("cells")]  # "lstm", {"name": "lstm", ...}, or a Cell class
Init = Literal["uniform", "orthogonal"]
NONE = named_type(())()  # gh of a cell without a recurrent product


@dataclass(frozen=True)
class StateSpec:
    """One tensor of a state: (batch, *shape), filled with `initial` at the start.

    dtype: None is the parameters' own; a complex one has the parameters' precision. free: whether any numbers make a
    valid state, so that an encoder may set them; False for a running maximum or a normaliser.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype | None = None
    initial: float = 0.0
    free: bool = True

    def dtype_for(self, like: torch.dtype) -> torch.dtype:
        """The dtype of this state beside parameters of dtype `like`."""
        if self.dtype is None:
            return like
        if not self.dtype.is_complex:
            return self.dtype
        return torch.complex128 if like == torch.float64 else torch.complex64


@dataclass(frozen=True)
class NoiseSpec:
    """One random mask of a step, drawn by the engine so that every path sees the same numbers.

    In training each entry is 1 with probability 1 - rate, else 0; in evaluation every entry is the mean, 1 - rate.
    per: "sequence" holds one mask (batch, *shape) through time, "step" draws one for every step.
    """

    shape: tuple[int, ...]
    rate: float
    per: Literal["sequence", "step"] = "step"


class Cell(nn.Module):
    """One step of a recurrent network.

    states: a StateSpec, or a name for a vector of hidden_size, per state tensor. gates: if named, `project` is one
    linear map from the input to len(gates) * hidden_size features, by `weight_ih` and `bias_ih`. params: names of
    per-channel parameters of hidden_size, as peepholes are, read from self. noise: the masks that `step` takes after
    the state.

    Whoever calls `step`, `update`, `readout` or `scan` passes the state by name (`as_state`), and `update` its gates
    (`as_gates`): the equations read `gx.r` and `state.c`. What they return may be a plain tuple.

    Raises: ValueError for sizes that are not whole numbers >= 1; CellError where a class is defined with a gate or a
    state whose name Python cannot read after a dot, is a tuple's own method, or is there twice.
    """

    house: ClassVar[bool] = True  # this very class is rnnzoo's: what it defines, the engine may do in another way
    states: tuple[StateSpec | str, ...] = ("h",)
    gates: ClassVar[tuple[str, ...]] = ()
    noise: tuple[NoiseSpec, ...] = ()
    params: ClassVar[tuple[str, ...]] = ()
    weight_ih: nn.Parameter
    bias_ih: nn.Parameter
    scan: ClassVar[Callable[..., tuple[Tensor, State]] | None] = None
    """`scan(gx, layout, state) -> (outputs, last)`: all steps at once, where a cell has such a form.

    gx as `project` gives it for packed rows; state: (batch, *shape) each, longest sequence first. Returns the outputs
    (rows, output_size) and the last state, longest first. It must equal a loop of `step` and `readout`; always written
    forwards: the engine reverses. `layout.to_grid` and `layout.from_grid` turn rows into rectangles and back.
    """

    _gates_type: ClassVar[type[Named]] = named_type(())

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for what in ("gate", "state"):
            names = vars(cls).get(f"{what}s", ())
            if isinstance(names, (tuple, list)):
                names = tuple(spec.name if isinstance(spec, StateSpec) else spec for spec in names)
            if isinstance(names, (tuple, str)):
                check_names(names, cls.__name__, what)
        cls._gates_type = named_type(tuple(cls.gates) if isinstance(cls.gates, (tuple, list)) else ())

    @checked
    def __init__(self, input_size: Size, hidden_size: Size) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        if self.gates:
            self.weight_ih = nn.Parameter(torch.empty(len(self.gates) * hidden_size, input_size))
            self.make_recurrent()
            self.bias_ih = nn.Parameter(torch.empty(len(self.gates) * hidden_size))
            self.make_recurrent_bias()
            self.reset_parameters()

    def make_recurrent(self) -> None:
        """Register the weights that stand between `weight_ih` and `bias_ih` (torch.nn's order); none by default."""

    def make_recurrent_bias(self) -> None:
        """Register the biases that follow `bias_ih`, and the parameters that `params` names."""
        for name in self.params:
            self.register_parameter(name, nn.Parameter(torch.empty(self.hidden_size)))

    def reset_parameters(self) -> None:
        """Uniform in +-1 / sqrt(hidden_size), as in torch.nn."""
        bound = 1 / math.sqrt(self.hidden_size)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-bound, bound)

    @property
    def output_size(self) -> int:
        """Features of the output; hidden_size unless `readout` says otherwise."""
        return self.hidden_size

    def state_specs(self) -> tuple[StateSpec, ...]:
        """`states` with every name made a spec."""
        return tuple(s if isinstance(s, StateSpec) else StateSpec(s, (self.hidden_size,)) for s in self.states)

    @property
    def state_type(self) -> type[Named]:
        """The named tuple of this cell's states. Raises: CellError for a name that it cannot have."""
        specs = self.states if type(self).state_specs is Cell.state_specs else self.state_specs()
        return named_type(tuple([spec if isinstance(spec, str) else spec.name for spec in specs]))

    def as_state(self, values: Iterable[Tensor]) -> Named:
        """One tensor per state, by name: `state.c`."""
        return self.state_type._make(values)

    def as_gates(self, values: Iterable[Tensor]) -> Named:
        """One tensor per gate, by name: `gx.r`."""
        return self._gates_type._make(values)

    def initial_state(self, batch: int, like: Tensor) -> State:
        """The state before the first step, on the device (and, unless a spec has its own, of the dtype) of `like`."""
        return tuple(
            torch.full((batch, *s.shape), s.initial, dtype=s.dtype_for(like.dtype), device=like.device)
            for s in self.state_specs()
        )

    def project(self, x: Tensor) -> Any:
        """x: (..., input_size). Returns gx, (..., features): a tensor, or a tuple of tensors."""
        return F.linear(x, self.weight_ih, self.bias_ih) if self.gates else x

    def step(self, *args: Any, **kwargs: Any) -> State:
        """`step(gx, state, *noise)`, and without the masks for a cell that declares no noise.

        gx: (batch, features) of one step; state: (batch, *shape) each. Returns the new state. Changes no input.
        """
        raise TypeError(f"{type(self).__name__} must define step(gx, state)")

    def readout(self, gx: Any, state: Named) -> Tensor:
        """The output (..., output_size) after a step; by default the first state.

        It is run over all live steps at once, with all their states in memory: a cell with a large state computes its
        output in `step` and keeps it as the first state.
        """
        return state[0]

    def effective_weights(self) -> dict[str, Tensor]:
        """Tensors that stand in for parameters, by name, for one pass over a batch of sequences: dropped weights, say.

        Asked for once a pass, before any mask is drawn.
        """
        return {}

    @property
    def core(self) -> Any:
        """The cell that owns the gates and the recurrent product, if the step is pointwise beside those; else None."""
        return None

    def gates_of(self, gx: Any) -> Tensor:
        """The part of gx that holds the core's gates: (..., gates * hidden_size)."""
        gates: Tensor = gx
        return gates

    def overrides(self, *names: str) -> list[str]:
        """Which of these methods the cell has a version of its own of."""

        def owner(name: str) -> type:
            return next((c for c in type(self).__mro__ if name in vars(c)), Cell)

        return [name for name in names if not vars(owner(name)).get("house", False)]

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One step for (batch, input_size): the output and the new state. For streams and one's own loops.

        Masks of `noise` are at their mean here; the engine draws them when it trains.
        """
        if x.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__} expected x with input_size={self.input_size} features, "
                f"got {x.shape[-1]} in {tuple(x.shape)}"
            )
        gx = self.project(x)
        by_name = self.state_type
        before = by_name._make(self.initial_state(len(x), x) if state is None else state)
        masks = [x.new_full((len(x), *spec.shape), 1 - spec.rate) for spec in self.noise]
        after = by_name._make(self.step(gx, before, *masks))
        return self.readout(gx, after), after

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"


class PointwiseCell(Cell):
    """A cell whose step is elementwise once both products are there: gx from the input, gh from the last output.

    recurrent: the product that makes gh from h, "dense" (gates * hidden_size, hidden_size), "block" (the same with
    `blocks` blocks on the diagonal), "diagonal" (a vector per gate), or None (gh is empty).

    init: "uniform" as in torch.nn, or "orthogonal": Glorot-uniform input weights, orthogonal recurrent weights per
    gate (Saxe et al., arXiv:1312.6120), zero biases but 1 for a forget gate that stands beside an input gate
    (Jozefowicz et al., ICML 2015). forget_bias: the bias of the forget gate, in place of init's. chrono_steps: T, the
    longest memory in steps: the bias of the forget gate is log U(1, T - 1), that of the input gate its negative
    (Tallec, Ollivier, arXiv:1804.11188).

    Raises: ValueError if a bias is asked for and the cell has no forget gate.
    """

    house = True
    recurrent: ClassVar[Literal["dense", "block", "diagonal"] | None] = "dense"
    blocks: int = 1
    forget_gate: ClassVar[str | None] = None  # the gate that keeps memory when it is open
    input_gate: ClassVar[str | None] = None  # the gate that writes to it, where that is another one
    weight_hh: nn.Parameter
    bias_hh: nn.Parameter

    @checked
    def __init__(
        self,
        input_size: Size,
        hidden_size: Size,
        init: Init = "uniform",
        forget_bias: float | None = None,
        chrono_steps: Annotated[int, Limit(3)] | None = None,
    ) -> None:
        if self.forget_gate is None and (forget_bias is not None or chrono_steps is not None):
            raise ValueError(f"{type(self).__name__} has no forget gate to give a bias")
        if forget_bias is not None and chrono_steps is not None:
            raise ValueError("forget_bias and chrono_steps both set the forget gate's bias; give one of them")
        self.init, self.forget_bias, self.chrono_steps = init, forget_bias, chrono_steps
        super().__init__(input_size, hidden_size)

    @property
    def core(self) -> PointwiseCell:
        return self

    def make_recurrent(self) -> None:
        gates, size, block = len(self.gates), self.hidden_size, self.hidden_size // self.blocks
        if self.recurrent == "block" and size % self.blocks:
            raise ValueError(f"{type(self).__name__} needs a hidden_size that {self.blocks} divides, got {size}")
        shapes = {"dense": (gates * size, size), "block": (gates, self.blocks, block, block), "diagonal": (gates, size)}
        if self.recurrent is not None:
            self.weight_hh = nn.Parameter(torch.empty(shapes[self.recurrent]))

    def make_recurrent_bias(self) -> None:
        if self.recurrent is not None:
            self.bias_hh = nn.Parameter(torch.empty(len(self.gates) * self.hidden_size))
        super().make_recurrent_bias()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.init == "orthogonal":
            for gate in self.weight_ih.chunk(len(self.gates)):
                nn.init.xavier_uniform_(gate)
            if self.recurrent == "dense":
                for gate in self.weight_hh.chunk(len(self.gates)):
                    nn.init.orthogonal_(gate)
                self.bias_hh.zero_()
            self.bias_ih.zero_()
            if self.input_gate is not None:
                self._set_bias(self.forget_gate, torch.ones(()))
        if self.forget_bias is not None:
            self._set_bias(self.forget_gate, torch.tensor(float(self.forget_bias)))
        if self.chrono_steps is not None:
            memory = torch.empty(self.hidden_size).uniform_(1, self.chrono_steps - 1).log_()
            self._set_bias(self.forget_gate, memory)
            self._set_bias(self.input_gate, -memory)

    def _set_bias(self, gate: str | None, value: Tensor) -> None:
        if gate is None:
            return
        place = self.gates.index(gate)
        self.bias_ih.chunk(len(self.gates))[place].copy_(value.expand(self.hidden_size))
        if self.recurrent is not None:
            self.bias_hh.chunk(len(self.gates))[place].zero_()

    def recur(self, h: Tensor) -> Named:
        """h: (batch, hidden_size). Returns gh, one (batch, hidden_size) tensor per gate; none without a product."""
        gates = len(self.gates)
        if self.recurrent is None:
            return NONE
        if self.recurrent == "dense":
            return self._gates_type._make(F.linear(h, self.weight_hh, self.bias_hh).chunk(gates, -1))
        biases = self.bias_hh.chunk(gates)
        if self.recurrent == "diagonal":
            return self.as_gates(h * u + c for u, c in zip(self.weight_hh, biases, strict=True))
        blocks = h.unflatten(-1, (self.blocks, -1))
        products = torch.einsum("bki,gkoi->gbko", blocks, self.weight_hh).flatten(-2)
        return self.as_gates(product + c for product, c in zip(products, biases, strict=True))

    def step(self, gx: Any, state: Named, *noise: Tensor) -> State:  # the engine may run it in other ways
        """gx: (batch, gates * hidden_size); state: (batch, hidden_size) each, by name. Returns the new state."""
        by_gate = self._gates_type._make(self.gates_of(gx).chunk(len(self.gates), -1))
        return self.update(by_gate, self.recur(state[0]), state, *noise)

    def update(self, *args: Any, **kwargs: Any) -> State:
        """`update(gx, gh, state, *noise)`, elementwise, and without the masks for a cell that declares no noise.

        gx, gh: one (..., hidden_size) tensor per gate, by name; state: (..., hidden_size) each, by name. Returns the
        new state.
        """
        raise TypeError(f"{type(self).__name__} must define update(gx, gh, state)")


class LinearCell(Cell):
    """A cell that is linear in its state: h' = a * h + b, with a and b from the input alone."""

    house = True
    recurrent: ClassVar[None] = None
    blocks: int = 1

    @property
    def core(self) -> LinearCell | None:
        return self if self.gates else None

    def step(self, gx: Any, state: Named, *noise: Tensor) -> State:
        """gx: as `project` returns it, (batch, ...); state: (h,), (batch, *shape). Returns (h',)."""
        a, b = self.parts(gx)
        return (a * state[0] + b,)

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """The step as that of a `PointwiseCell` without a recurrent product.

        gx: one (..., hidden_size) tensor per gate, by name; gh: (); state: (h,), (..., hidden_size). Returns (h',).
        """
        a, b = self.coefficients(gx)
        return (a * state[0] + b,)

    def parts(self, gx: Any) -> tuple[Tensor, Tensor]:
        """a and b of the steps in gx."""
        if not self.gates:
            return self.coefficients(gx)
        return self.coefficients(self.as_gates(self.gates_of(gx).chunk(len(self.gates), -1)))

    def coefficients(self, gx: Any) -> tuple[Tensor, Tensor]:
        """gx: one (..., hidden_size) tensor per gate, by name. Returns a and b, of the state's shape."""
        raise TypeError(f"{type(self).__name__} must define coefficients(gx)")


def make_cell(cell: CellLike, input_size: int, hidden_size: int) -> Cell:
    """Build a cell from a name, a mapping with the name and parameters, or a class (or any callable that gives one).

    Raises: UnknownName, PluginError; CellError for anything that is not a cell, or does not build.
    """
    if isinstance(cell, nn.Module):
        raise CellError(f"a cell must be given as a class or a name, got an instance of {type(cell).__name__}.")
    parameters: dict[str, Any] = {}
    build: Callable[..., Any]
    if isinstance(cell, Mapping):
        parameters = {key: value for key, value in cell.items() if key != "name"}
        cell = cell["name"]
    build = registry.load("cells", cell) if isinstance(cell, str) else cell
    name = registry.whose("cells", build) if isinstance(build, type) else repr(build)
    if isinstance(build, type) and not issubclass(build, Cell):
        raise CellError(f"{name} is not a rnnzoo.Cell.\n  Its bases: {', '.join(c.__name__ for c in build.__bases__)}.")
    try:
        built = build(input_size, hidden_size, **parameters)
    except (ZooError, MemoryError):
        raise
    except Exception as cause:  # a constructor may raise anything
        told = (str(cause).splitlines() or [""])[0]
        raise CellError(f"{name} cannot be built: {type(cause).__name__}: {told}") from cause
    if not isinstance(built, Cell):
        raise CellError(f"{name} gave a {type(built).__name__}, not a rnnzoo.Cell.")
    _check_built(name, built)
    return built


def _check_built(name: str, cell: Cell) -> None:
    if "_parameters" not in vars(cell) or not hasattr(cell, "hidden_size"):
        raise CellError(f"{name} was built without super().__init__(input_size, hidden_size).")
    check_names([spec.name for spec in cell.state_specs()], name, "state")
    for place, parameter in cell.named_parameters():
        lazy = isinstance(parameter, nn.parameter.UninitializedParameter)
        real = type(parameter) is nn.Parameter and parameter.device.type != "meta"  # not a fake one, without numbers
        if lazy or (real and bool(parameter.detach().sum().isnan())):
            raise CellError(f"{name} left its parameter '{place}' without numbers.\n  Fill it in __init__.")
