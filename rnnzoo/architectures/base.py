"""What every architecture is and returns, and the stack of layers that most of them are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from rnnzoo import registry
from rnnzoo.architectures.decoder import Decoder
from rnnzoo.architectures.encoded import Encoded
from rnnzoo.cells.base import Cell, CellLike, State, make_cell
from rnnzoo.engine.paths.fused import recognise
from rnnzoo.engine.recurrence import Recurrence, run_together
from rnnzoo.engine.sequences import Sequences
from rnnzoo.layers.dropout import LockedDropout
from rnnzoo.limits import Layers, Probability, Size, checked

ArchitectureLike = Annotated[Any, registry.Part("architectures")]  # a name, {"name": ...}, or a class
Merge = Literal["concat", "sum", "mean", "product"]
MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": lambda forward, backward: torch.cat([forward, backward], -1),
    "sum": torch.add,
    "mean": lambda forward, backward: (forward + backward) / 2,
    "product": torch.mul,
}
ONE, EACH, CAUSAL, SEQUENCE = "many_to_one", "many_to_many", "causal", "sequence_to_sequence"


class Architecture(nn.Module):
    """Recurrent layers over any cell: (batch, time, input_size) in, (batch, time, output_size) out.

    `answers` declares which shapes of answer the architecture can give, from its parameters alone: "many_to_one",
    "many_to_many" (one a step, with sight of the whole sequence or not), "causal" (one a step, from this step and
    those before alone) and "sequence_to_sequence".
    reads_to_end: where it is not causal, why a sequence that arrives in parts cannot be answered part by part.
    """

    input_size: int
    output_size: int
    reads_to_end: ClassVar[str] = "its architecture reads a sequence to the end before it answers"

    @classmethod
    def answers(cls, **parameters: Any) -> frozenset[str]:
        """The shapes of answer that this architecture gives, built with these parameters."""
        raise TypeError(f"{cls.__name__} must define answers(**parameters)")

    def target_decoder(self) -> Decoder[Any] | None:
        """What writes the target, in an architecture that answers "sequence_to_sequence"; None in any other."""
        return None

    def layer_groups(self) -> list[list[nn.Module]]:
        """Its layers from the input up, each as its directions, forwards first. One, the whole of it, if not said.

        Learning rates by depth go by them, and what a model takes from a trained one of more or fewer directions.
        """
        return [[self]]

    def forward(
        self,
        x: Tensor | Sequences,
        lengths: Tensor | None = None,
        state: list[State] | None = None,
        need_state: bool = True,
    ) -> Encoded:
        """x: (batch, time, input_size); lengths: (batch,), all of time if None; state: one from an earlier call.

        Raises: ValueError if x's features or the lengths do not fit.
        """
        sequences = x if isinstance(x, Sequences) else Sequences.of(x, lengths)
        if sequences.features != self.input_size:
            raise ValueError(
                f"{type(self).__name__} expected x with input_size={self.input_size} features, got {sequences.features}"
            )
        return self.encode(sequences, state, need_state)

    def encode(self, x: Sequences, state: list[State] | None, need_state: bool) -> Encoded:
        """As `forward`, on sequences that are known to fit."""
        raise TypeError(f"{type(self).__name__} must define encode(x, state, need_state)")

    def step(self, x: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """One step of a causal architecture in evaluation: (batch, input_size) to the output and the new state."""
        encoded = self(x.unsqueeze(1), state=state)
        assert encoded.state is not None
        return encoded.last, encoded.state


class LayerStack(Architecture):
    """Layers of one cell, in one direction or both: each layer reads the (merged) outputs of the one below.

    residual: from the second layer on, a layer's input is added to its output. dropout: between layers.
    locked_dropout: the same with one mask through time. last_hidden_size: of the last layer, `hidden_size` if None.
    Raises: ValueError for a residual connection to a layer of another size.
    """

    reads_to_end = "a bidirectional network reads to the end before it answers"

    @checked
    def __init__(
        self,
        input_size: Size,
        cell: CellLike,
        hidden_size: Size,
        num_layers: Layers = 1,
        bidirectional: bool = False,
        merge: Merge = "concat",
        dropout: Probability = 0.0,
        residual: bool = False,
        locked_dropout: Probability = 0.0,
        last_hidden_size: Size | None = None,
    ) -> None:
        super().__init__()
        if residual and last_hidden_size not in (None, hidden_size):
            raise ValueError(
                f"residual adds layers of one size, got hidden_size {hidden_size} and last_hidden_size "
                f"{last_hidden_size}"
            )
        self.input_size, self.num_layers, self.bidirectional = input_size, num_layers, bidirectional
        self.merge, self.residual = merge, residual
        self.dropout, self.locked_dropout = nn.Dropout(dropout), LockedDropout(locked_dropout)
        self.layers = nn.ModuleList()
        size = input_size
        for depth in range(num_layers):
            if depth + 1 == num_layers and last_hidden_size is not None:
                hidden_size = last_hidden_size
            for reverse in (False, True)[: 1 + bidirectional]:
                self.layers.append(Recurrence(make_cell(cell, size, hidden_size), reverse))
            size = self.cells[-1].output_size * (2 if bidirectional and merge == "concat" else 1)
        self.output_size = size

    @property
    def cells(self) -> list[Cell]:
        """The cell of each layer and direction, the first layer's first."""
        return [layer.cell for layer in self.layers if isinstance(layer, Recurrence)]

    @classmethod
    def answers(cls, bidirectional: bool = False, **parameters: Any) -> frozenset[str]:
        return frozenset({ONE, EACH} if bidirectional else {ONE, EACH, CAUSAL})

    def layer_groups(self) -> list[list[nn.Module]]:
        layers, directions = list(self.layers), 1 + self.bidirectional
        return [layers[first : first + directions] for first in range(0, len(layers), directions)]

    def encode(self, x: Sequences, state: list[State] | None, need_state: bool) -> Encoded:
        directions = 1 + self.bidirectional
        recurrences: list[Any] = list(self.layers)
        merge = MERGES[self.merge]
        last_state: list[State] = []
        last = torch.empty(0)
        for depth in range(self.num_layers):
            below = self._between(x) if depth else x
            layers = slice(depth * directions, (depth + 1) * directions)
            states = [None] * directions if state is None else state[layers]
            ran = run_together(recurrences[layers], below, states, need_state)
            runs = [outputs for outputs, _ in ran]
            last_state += [end for _, end in ran if end is not None]
            x = runs[0].map(merge, runs[1]) if self.bidirectional else runs[0]
            if depth + 1 == self.num_layers:
                last = merge(runs[0].at_ends(), runs[1].at_starts()) if self.bidirectional else runs[0].at_ends()
            if self.residual and depth:
                x = x.map(torch.add, below)
                if depth + 1 == self.num_layers:
                    last = last + self._skipped(below)
        return Encoded(x, last, last_state if need_state else None)

    def step(self, x: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        states = [None] * self.num_layers if state is None else state
        after: list[State] = []
        recurrences: list[Any] = list(self.layers)
        for depth in range(self.num_layers):
            y, end = recurrences[depth].step(x, states[depth])
            x = y + x if self.residual and depth else y
            after.append(end)
        return x, after

    def _between(self, x: Sequences) -> Sequences:
        """What a layer reads of the one below."""
        if self.dropout.p:
            x = x.map(self.dropout)
        return Sequences(x.layout, padded_finite=self.locked_dropout(x.padded_finite)) if self.locked_dropout.p else x

    def _skipped(self, below: Sequences) -> Tensor:
        """What a residual connection adds to `last`: each half of the features at its own direction's last step."""
        if not self.bidirectional:
            return below.at_ends()
        if self.merge != "concat":
            return (below.at_ends() + below.at_starts()) / 2
        half = self.output_size // 2
        return torch.cat([below.at_ends()[:, :half], below.at_starts()[:, half:]], -1)

    @torch.no_grad()
    def load_torch(self, rnn: nn.RNNBase) -> None:
        """Copy the weights of an nn.LSTM, nn.GRU or nn.RNN of the same sizes.

        Raises: ValueError if the equations, the sizes, the number of layers or the directions differ, before any copy.
        """
        directions = ("", "_reverse")[: 1 + rnn.bidirectional]
        if (
            (rnn.num_layers, rnn.bidirectional) != (self.num_layers, self.bidirectional)
            or not rnn.bias
            or rnn.proj_size
        ):
            wanted = f"num_layers={self.num_layers}, bidirectional={self.bidirectional}"
            raise ValueError(f"expected {wanted}, with biases and without a projection, got {rnn}")
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        copies = []
        for cell, suffix in zip(
            self.cells, [f"_l{k}{d}" for k in range(rnn.num_layers) for d in directions], strict=True
        ):
            if recognise(cell) != rnn.mode.lower():
                raise ValueError(f"{type(cell).__name__} does not compute what {rnn.mode} does, got {rnn}")
            theirs = {name: getattr(rnn, name + suffix) for name in names}
            for name, parameter in cell.named_parameters():
                if parameter.shape != theirs[name].shape:
                    ours, shape = tuple(parameter.shape), tuple(theirs[name].shape)
                    raise ValueError(f"expected {name}{suffix} of shape {ours}, got {shape} in {rnn}")
            copies.append((cell, theirs))
        for cell, theirs in copies:
            cell.load_state_dict(theirs)


def make_architecture(architecture: ArchitectureLike, input_size: int, **defaults: Any) -> Architecture:
    """Build an architecture from a name, a mapping with the name and parameters, or a class.

    `defaults` hold where the mapping is silent and the architecture has such a parameter.
    Raises: UnknownName, PluginError; TypeError for anything that is not an architecture.
    """
    parameters: dict[str, Any] = {}
    if isinstance(architecture, Mapping):
        parameters = {key: value for key, value in architecture.items() if key != "name"}
        architecture = architecture["name"]
    build = registry.load("architectures", architecture) if isinstance(architecture, str) else architecture
    if not (isinstance(build, type) and issubclass(build, Architecture)):
        raise TypeError(f"an architecture must be given as a class or a name, got {build!r}")
    return build(input_size, **(defaults | parameters))
