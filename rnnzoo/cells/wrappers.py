"""Cells around a cell: each changes one thing about any other, by composition.

    {name: zoneout, rate: 0.1, cell: lstm}
    {name: residual, cell: {name: weight_drop, rate: 0.5, cell: gru}}

Around a `PointwiseCell` most of them are pointwise again, and run on the same fast paths.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.cells.base import Cell, CellLike, LinearCell, Named, NoiseSpec, PointwiseCell, Projected, State, make_cell
from rnnzoo.limits import Probability, Size, checked


class Wrapper(Cell):
    """A cell around a cell; by itself it changes nothing.

    A subclass writes `after(new, old, *masks)`, elementwise, with the masks that it names to `__init__`; or `project`,
    `inner` and `readout`. One that changes what goes into the step overrides `step`, and `core` to be None.
    """

    is_builtin = True

    def __init__(
        self, input_size: Size, hidden_size: Size, cell: CellLike = "lstm", noise: tuple[NoiseSpec, ...] = ()
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.cell = make_cell(cell, input_size, hidden_size)
        self.states = self.cell.state_specs()
        self.noise = (*self.cell.noise, *noise)

    @property
    def core(self) -> Any:
        return self.cell.core

    @property
    def output_size(self) -> int:
        return self.cell.output_size

    def initial_state(self, batch: int, like: Tensor) -> State:
        return self.cell.initial_state(batch, like)

    def effective_weights(self) -> dict[str, Tensor]:
        return {f"cell.{name}": weight for name, weight in self.cell.effective_weights().items()}

    def project(self, x: Tensor) -> Projected:
        return self.cell.project(x)

    def inner(self, gx: Projected) -> Projected:
        """The part of gx that is the wrapped cell's."""
        return gx

    def gates_of(self, gx: Projected) -> Tensor:
        return self.cell.gates_of(self.inner(gx))

    def as_gates(self, values: Iterable[Tensor]) -> Named:
        return self.cell.as_gates(values)

    def overrides(self, *names: str) -> list[str]:
        return super().overrides(*names) + self.cell.overrides(*names)

    def step(self, gx: Projected, state: Named, *noise: Tensor) -> State:
        """The wrapped cell's step, then `after`. gx: as `project` returns it; state: (batch, *shape) each, by name."""
        cut = len(self.cell.noise)
        new = self.cell.step(self.inner(gx), state, *noise[:cut])
        return self.after(type(state)._make(new), state, *noise[cut:])

    def update(self, gx: Named, gh: Named, state: Named, *noise: Tensor) -> State:
        """The step without its products, where the wrapped cell is pointwise.

        gx, gh: one (..., hidden_size) tensor per gate, by name; state: (..., hidden_size) each, by name. Returns the
        new state.
        """
        assert isinstance(self.cell, (PointwiseCell, LinearCell, Wrapper))
        cut = len(self.cell.noise)
        new = self.cell.update(gx, gh, state, *noise[:cut])
        return self.after(type(state)._make(new), state, *noise[cut:])

    def after(self, new: Named, old: Named, *noise: Tensor) -> State:
        """The state after a step, from the wrapped cell's new state and the one before it; elementwise.

        new, old: (..., *shape) each, by name. Returns the new state, of the same shapes.
        """
        return new

    def readout(self, gx: Projected, state: Named) -> Tensor:
        return self.cell.readout(self.inner(gx), state)


class Zoneout(Wrapper):
    """Some of a state stays as it was, at random.

        s' = d * s'_cell + (1 - d) * s        d ~ Bernoulli(1 - rate), per step and channel; its mean in evaluation

    Source: Krueger et al., arXiv:1606.01305. rate: for the output; memory_rate: for all other states, `rate` if None.
    """

    @checked
    def __init__(
        self,
        input_size: Size,
        hidden_size: Size,
        cell: CellLike = "lstm",
        rate: Probability = 0.1,
        memory_rate: float | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, cell)
        specs = self.state_specs()
        rates = [rate, *[rate if memory_rate is None else memory_rate] * (len(specs) - 1)]
        self.noise += tuple(NoiseSpec(s.shape, r) for s, r in zip(specs, rates, strict=True))

    def after(self, new: Named, old: Named, *noise: Tensor) -> State:
        return tuple(d * n + (1 - d) * o for n, o, d in zip(new, old, noise, strict=True))


class LockedDropout(Wrapper):
    """Dropout of the output, with one mask held through a sequence, so that the recurrent input is masked alike.

        h' = d * h'_cell / (1 - rate)         d ~ Bernoulli(1 - rate), once a sequence

    Source: Gal, Ghahramani, arXiv:1512.05287. Differs: one mask for the output and for the recurrent input.
    """

    @checked
    def __init__(self, input_size: Size, hidden_size: Size, cell: CellLike = "lstm", rate: Probability = 0.1) -> None:
        super().__init__(input_size, hidden_size, cell)
        self.noise += (NoiseSpec(self.state_specs()[0].shape, rate, per="sequence"),)
        self.rate = rate

    def after(self, new: Named, old: Named, *noise: Tensor) -> State:
        return (new[0] * noise[0] / (1 - self.rate), *new[1:])


class WeightDrop(Wrapper):
    """DropConnect of the recurrent weights: one mask for all steps of a batch.

    Source: Merity, Keskar, Socher, arXiv:1708.02182.
    Raises: ValueError if the wrapped cell has no `weight_hh`.
    """

    @checked
    def __init__(self, input_size: Size, hidden_size: Size, cell: CellLike = "lstm", rate: Probability = 0.5) -> None:
        super().__init__(input_size, hidden_size, cell)
        self.rate = rate
        self.dropped = [name for name, _ in self.named_parameters() if name.endswith("weight_hh")]
        if not self.dropped:
            raise ValueError(f"weight_drop found no weight_hh in {type(self.cell).__name__}, whose weights it drops")

    def effective_weights(self) -> dict[str, Tensor]:
        inner = super().effective_weights()
        weights = {name: inner.get(name, self.get_parameter(name)) for name in self.dropped}
        return inner | {name: F.dropout(weight, self.rate, self.training) for name, weight in weights.items()}


class OutputNorm(Wrapper):
    """The output normalised over its features; the recurrence itself is left alone.

    kind: "layer" (Ba, Kiros, Hinton, arXiv:1607.06450) or "rms" (Zhang, Sennrich, arXiv:1910.07467).
    """

    def __init__(
        self, input_size: Size, hidden_size: Size, cell: CellLike = "lstm", kind: Literal["layer", "rms"] = "layer"
    ) -> None:
        super().__init__(input_size, hidden_size, cell)
        self.norm = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}[kind](self.output_size)

    def readout(self, gx: Projected, state: Named) -> Tensor:
        y: Tensor = self.norm(super().readout(gx, state))
        return y


class Residual(Wrapper):
    """The input added to the output: y = y_cell + x, or + W x where their sizes differ.

    Source: He et al., arXiv:1512.03385.
    """

    def __init__(self, input_size: Size, hidden_size: Size, cell: CellLike = "lstm") -> None:
        super().__init__(input_size, hidden_size, cell)
        same = input_size == self.output_size
        self.skip = nn.Identity() if same else nn.Linear(input_size, self.output_size, bias=False)

    def project(self, x: Tensor) -> Projected:
        return super().project(x), self.skip(x)

    def inner(self, gx: Projected) -> Projected:
        return gx[0]

    def readout(self, gx: Projected, state: Named) -> Tensor:
        skipped: Tensor = gx[1]
        return super().readout(gx, state) + skipped


class Highway(Residual):
    """The output and the input mixed by a gate: y = t * y_cell + (1 - t) * x, t = sigmoid(W_t x + b_t).

    Source: Srivastava, Greff, Schmidhuber, arXiv:1505.00387; b_t begins at -1, so that the input is carried.
    """

    def __init__(self, input_size: Size, hidden_size: Size, cell: CellLike = "lstm") -> None:
        super().__init__(input_size, hidden_size, cell)
        self.transform = nn.Linear(input_size, self.output_size)
        nn.init.constant_(self.transform.bias, -1)

    def project(self, x: Tensor) -> Projected:
        return *super().project(x), torch.sigmoid(self.transform(x))

    def readout(self, gx: Projected, state: Named) -> Tensor:
        x: Tensor = gx[1]
        t: Tensor = gx[2]
        return t * Wrapper.readout(self, gx, state) + (1 - t) * x
