"""A model that torch.export can take: batch and time stay symbols, and the loop over time is one operator, `scan`.

The model's own code runs, with a layout whose lengths are not known yet: nothing is packed, steps past a sequence's
end leave its state as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.layout import Layout, layout_maker
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.engine.sequences import Sequences
from rnnzoo.engine.weights import of_this_pass
from rnnzoo.errors import ZooError
from rnnzoo.export.base import SHAPES, Exported


class SymbolicLayout(Layout):
    """The lengths of a batch that has none yet: what architectures ask of a layout, as operators."""

    longest = 1  # as far as anyone asks: not 0
    no_padding = False  # as a mask is right for equal lengths too

    def __init__(self, lengths: Tensor | int, time: int, device: torch.device, path: Path) -> None:
        self.time, self.device, self.path = time, device, path
        self.lengths = torch.full((lengths,), time) if isinstance(lengths, int) else lengths
        self.batch = self.lengths.shape[0]

    @cached_property
    def mask(self) -> Tensor:
        """(batch, time) bool, True where there is a step."""
        return torch.arange(self.time) < self.lengths[:, None]

    @property
    def empty_mask(self) -> Tensor:
        """(batch, 1) bool, True for sequences of length 0."""
        return (self.lengths == 0)[:, None]


class ScanOperator(Path):
    """The loop as torch's operator `scan`, whose body is the cell's step as a graph."""

    name = "scan operator"
    in_every_mode = True

    def __init__(self, model: nn.Module) -> None:
        cells = [m.cell for m in model.modules() if isinstance(m, Recurrence)]
        self._graphs = {id(cell): _step_graph(cell) for cell in cells}

    @property
    def graphs(self) -> list[nn.Module]:
        """The graph of each cell's step."""
        return list(self._graphs.values())

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """None: any step may be the body."""
        return None

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, *shape) each, or None. Returns the outputs and the last state."""
        from torch._higher_order_ops.scan import scan

        layout = x.layout
        gx = cell.project(x.padded_finite)
        first = cell.initial_state(layout.batch, x.padded_finite) if state is None else state
        graph = self._graphs[id(cell)]
        by_time = pytree.tree_map(lambda g: _flipped(g.transpose(0, 1), reverse), (gx, layout.mask))

        def body(before: State, step: Any) -> tuple[State, State]:
            inputs, alive = step
            after = graph(inputs, before)
            kept = tuple(
                torch.where(alive.view(-1, *[1] * (new.dim() - 1)), new, old)
                for new, old in zip(after, before, strict=True)
            )
            return kept, tuple(state.clone() for state in kept)

        last, states = scan(body, tuple(s.clone() for s in first), by_time, dim=0)
        states = [_flipped(s, reverse).transpose(0, 1) for s in states]
        outputs = cell.readout(gx, cell.as_state(states))
        return Sequences(layout, padded_finite=outputs), tuple(last)


def _flipped(x: Tensor, reverse: bool) -> Tensor:
    return x.flip(0) if reverse else x.contiguous()


class _Step(nn.Module):
    """A cell's step as a module, its masks at their mean."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, gx: Any, state: State) -> State:
        """gx: (batch, features); state: (batch, *shape) each. Returns the new state."""
        masks = [torch.full((1, *spec.shape), 1 - spec.rate) for spec in self.cell.noise]  # the same for all
        return tuple(self.cell.step(gx, self.cell.as_state(state), *masks))


def _step_graph(cell: Cell) -> nn.Module:
    """The graph of a step, for any batch."""
    x = torch.zeros(3, cell.input_size)
    with torch.no_grad(), of_this_pass([cell]):
        gx, state = cell.project(x), tuple(cell.initial_state(3, x))
        dynamic = pytree.tree_map(lambda _: {0: torch.export.Dim.DYNAMIC}, (gx, state))
        graph = torch.export.export(_Step(cell), (gx, state), dynamic_shapes=dynamic).module(check_guards=False)
    for node in list(graph.graph.nodes):
        if node.target is torch.ops.aten.promote_types.default and not node.users:  # asked while it was recorded
            graph.graph.erase_node(node)
        elif node.target is torch.ops.aten.sym_size.int:  # a size as the operator scan can read it
            node.op, node.target = "call_method", "size"
    graph.recompile()
    return graph


class PureModel(nn.Module):
    """`Exported` as a module without anything that torch.export cannot follow."""

    def __init__(self, exported: Exported) -> None:
        super().__init__()
        self.exported, self.model = exported, exported.model
        self.path = ScanOperator(exported.model)
        self.steps = nn.ModuleList(self.path.graphs)

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """inputs (batch, time, ...), lengths (batch,), states (batch, *shape). Returns what `Exported` does."""
        with symbolic(self.path):
            return self.exported(*arguments)


@contextmanager
def symbolic(path: Path) -> Iterator[None]:
    """Within the block, layouts are made of symbols, and `path` runs every cell."""
    token = layout_maker.set(lambda lengths, time, device: SymbolicLayout(lengths, time, device, path))
    try:
        yield
    finally:
        layout_maker.reset(token)


def program(exported: Exported) -> torch.export.ExportedProgram:
    """The program of a model, for any batch and any time. Raises: ZooError with what torch cannot follow."""
    example = exported.example(*SHAPES[0])
    exported(*example.arguments)  # cells are looked at on their first call, which a graph must not hold
    batch, time = torch.export.Dim("batch", min=1, max=2**20), torch.export.Dim("time", min=1, max=2**24)
    letters = {2: torch.export.Dim("letters", min=1, max=2**16)}
    fields = [letters if field.kind == "characters" else {} for field in exported.fields.values()]
    shapes: list[Any] = [{0: batch, 1: time, **more} for more in fields]
    shapes += [{0: batch}] + [{0: batch} for _ in example.state]
    try:
        with torch.no_grad():
            return torch.export.export(PureModel(exported), example.arguments, dynamic_shapes=(tuple(shapes),))
    except Exception as error:  # a plugin's part may do anything, and torch has many words for what it cannot follow
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ZooError(f"torch.export cannot follow this model: {first[:300]}.") from error
