"""Cells whose step is elementwise beside two matrix products."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.cells.cell import Cell
from rnnzoo.cells.named import Named
from rnnzoo.cells.specs import Projected, State
from rnnzoo.limits import Limit, Size, checked

Init = Literal["uniform", "orthogonal"]
NO_GATES = Named()  # gh of a cell without a recurrent product


class PointwiseCell(Cell):
    """A cell whose step is elementwise once both products are there: gx from the input, gh from the last output.

    recurrent: the product that makes gh from h, "dense" (gates * hidden_size, hidden_size), "block" (the same with
    `blocks` blocks on the diagonal), "diagonal" (a vector per gate), or None (gh is empty).

    init: "uniform" as in torch.nn, or "orthogonal": Glorot-uniform input weights, orthogonal recurrent weights per
    gate (Saxe et al., arXiv:1312.6120), zero biases but 1 for a forget gate that has an input gate beside it
    (Jozefowicz et al., ICML 2015). forget_bias: the bias of the forget gate, in place of init's. chrono_steps: T, the
    longest memory in steps: the bias of the forget gate is log U(1, T - 1), that of the input gate its negative
    (Tallec, Ollivier, arXiv:1804.11188).

    Raises: ValueError if a bias is asked for and the cell has no forget gate.
    """

    is_builtin = True
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
        index = self.gates.index(gate)
        self.bias_ih.chunk(len(self.gates))[index].copy_(value.expand(self.hidden_size))
        if self.recurrent is not None:
            self.bias_hh.chunk(len(self.gates))[index].zero_()

    def recur(self, h: Tensor) -> Named:
        """h: (batch, hidden_size). Returns gh, one (batch, hidden_size) tensor per gate; none without a product."""
        gates = len(self.gates)
        if self.recurrent is None:
            return NO_GATES
        if self.recurrent == "dense":
            return self._gates_type._make(F.linear(h, self.weight_hh, self.bias_hh).chunk(gates, -1))
        biases = self.bias_hh.chunk(gates)
        if self.recurrent == "diagonal":
            return self.as_gates(h * u + c for u, c in zip(self.weight_hh, biases, strict=True))
        blocks = h.unflatten(-1, (self.blocks, -1))
        products = torch.einsum("bki,gkoi->gbko", blocks, self.weight_hh).flatten(-2)
        return self.as_gates(product + c for product, c in zip(products, biases, strict=True))

    def step(self, gx: Projected, state: Named, *noise: Tensor) -> State:  # the engine may run it in other ways
        """gx: (batch, gates * hidden_size); state: (batch, hidden_size) each, by name. Returns the new state."""
        by_gate = self._gates_type._make(self.gates_of(gx).chunk(len(self.gates), -1))
        return self.update(by_gate, self.recur(state[0]), state, *noise)

    def update(self, *args: Any, **kwargs: Any) -> State:
        """`update(gx, gh, state, *noise)`, elementwise, and without the masks for a cell that declares no noise.

        gx, gh: one (..., hidden_size) tensor per gate, by name; state: (..., hidden_size) each, by name. Returns the
        new state.
        """
        raise TypeError(f"{type(self).__name__} must define update(gx, gh, state)")
