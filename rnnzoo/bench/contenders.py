"""One recurrent layer, run by the engine and by its rivals: the same weights, numbers in and gradients out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnzoo.architectures.base import LayerStack
from rnnzoo.bench import RIVALS
from rnnzoo.bench.cases import Case
from rnnzoo.cells.base import Cell, CellLike
from rnnzoo.engine.paths.fused import recognise
from rnnzoo.engine.recurrence import set_path


class Contender(NamedTuple):
    """forward: from (batch, time, input_size) to (batch, time, features)."""

    forward: Callable[[Tensor], Tensor]
    module: nn.Module


TWINS: dict[str, Callable[..., nn.RNNBase]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn_tanh": nn.RNN,
    "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
}


def contenders(
    cell: CellLike, case: Case, engine: str = "auto", rivals: Collection[str] = RIVALS, device: str = "cpu"
) -> dict[str, Contender]:
    """The layer by the engine, named "engine", and its rivals.

    A cell that computes what a layer of torch.nn does is compared with that, at equal weights; any other with both
    nn.LSTM and nn.GRU. Raises: ZooError if the cell cannot be built.
    """
    lengths = torch.tensor(case.lengths)
    mask = (torch.arange(case.time) < lengths[:, None]).to(device) if case.ragged else None
    torch.manual_seed(0)
    layer = LayerStack(case.input_size, cell, case.hidden_size, bidirectional=case.bidirectional).to(device)
    set_path(layer, engine)
    entrants = {"engine": Contender(partial(_by_engine, layer, lengths), layer)}
    twin = recognise(layer.cells[0])
    for name in [twin] if twin else ["lstm", "gru"]:
        rnn = TWINS[name](case.input_size, case.hidden_size, batch_first=True, bidirectional=case.bidirectional)
        rnn = rnn.to(device)
        if twin:
            _copy_weights(layer, rnn)
        label = f"nn.{type(rnn).__name__}"
        if "padded" in rivals:
            entrants[f"{label} padded"] = Contender(partial(_padded, rnn), rnn)
        if "packed" in rivals:
            entrants[f"{label} packed"] = Contender(partial(_packed, rnn, lengths), rnn)
    if "reference" in rivals:
        other = copy.deepcopy(layer)
        set_path(other, "reference")
        entrants["reference loop"] = Contender(partial(_by_engine, other, lengths), other)
    if "naive" in rivals:
        entrants["naive loop"] = Contender(partial(_naive, layer, mask), layer)
    return entrants


@torch.no_grad()
def _copy_weights(layer: LayerStack, rnn: nn.RNNBase) -> None:
    for cell, suffix in zip(layer.cells, ("_l0", "_l0_reverse"), strict=False):
        for name, parameter in cell.named_parameters():
            getattr(rnn, name.rpartition(".")[2] + suffix).copy_(parameter)


def _by_engine(layer: LayerStack, lengths: Tensor, x: Tensor) -> Tensor:
    return layer(x, lengths, need_state=False).outputs


def _padded(rnn: nn.RNNBase, x: Tensor) -> Tensor:
    return rnn(x)[0]


def _packed(rnn: nn.RNNBase, lengths: Tensor, x: Tensor) -> Tensor:
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(rnn(packed)[0], batch_first=True)[0]


def _naive(layer: LayerStack, mask: Tensor | None, x: Tensor) -> Tensor:
    directions = zip(layer.cells, (False, True), strict=False)
    return torch.cat([_loop(cell, mask, x, reverse) for cell, reverse in directions], -1)


def _loop(cell: Cell, mask: Tensor | None, x: Tensor, reverse: bool) -> Tensor:
    """Step by step over padded time; past a sequence's end the state stays as it is."""
    state, outputs = cell.initial_state(len(x), x), []
    for t in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
        y, new = cell(x[:, t], state)
        if mask is not None:
            alive = mask[:, t]
            y = y * alive[:, None]
            new = tuple(
                torch.where(alive.view(-1, *[1] * (s.dim() - 1)), s, old) for s, old in zip(new, state, strict=True)
            )
        state = new
        outputs.append(y)
    return torch.stack(outputs[::-1] if reverse else outputs, 1)
