"""A recurrent cell of any kind: parameters, one step, and what goes before and after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.cells.named import Named, check_names, named_type
from rnnzoo.cells.specs import NoiseSpec, Projected, State, StateSpec
from rnnzoo.limits import Size, checked


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

    is_builtin: ClassVar[bool] = True  # of this class alone: the engine may replace the methods that it defines
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

    def project(self, x: Tensor) -> Projected:
        """x: (..., input_size). Returns gx, (..., features): a tensor, or a tuple of tensors."""
        return F.linear(x, self.weight_ih, self.bias_ih) if self.gates else x

    def step(self, *args: Any, **kwargs: Any) -> State:
        """`step(gx, state, *noise)`, and without the masks for a cell that declares no noise.

        gx: (batch, features) of one step; state: (batch, *shape) each. Returns the new state. Changes no input.
        """
        raise TypeError(f"{type(self).__name__} must define step(gx, state)")

    def readout(self, gx: Projected, state: Named) -> Tensor:
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

    def gates_of(self, gx: Projected) -> Tensor:
        """The part of gx that holds the core's gates: (..., gates * hidden_size)."""
        gates: Tensor = gx
        return gates

    def overrides(self, *names: str) -> list[str]:
        """Which of these methods the cell, or a base class that is not rnnzoo's, defines anew."""

        def owner(name: str) -> type:
            return next((c for c in type(self).__mro__ if name in vars(c)), Cell)

        return [name for name in names if not vars(owner(name)).get("is_builtin", False)]

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One step for (batch, input_size): the output and the new state. For streams and loops of your own.

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
