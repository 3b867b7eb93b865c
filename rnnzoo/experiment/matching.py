"""What a new model takes of a trained one: words by spelling, labels by name, layers by depth and direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnnzoo import registry
from rnnzoo.architectures.base import CAUSAL
from rnnzoo.batch import SPECIALS, UNK, DataSpec, Field
from rnnzoo.model import SequenceModel
from rnnzoo.recipe import Recipe
from rnnzoo.runs.summary import StartPart


class Trained(NamedTuple):
    """A trained model as its checkpoint holds it; it is never built. weights: by the name in its model."""

    weights: Mapping[str, Tensor]
    spec: DataSpec
    recipe: Recipe


class Misfit(Exception):
    """Why a part of the model takes nothing."""


@dataclass
class Pair:
    """A part of the new model, and what the trained one has in its place.

    tensors: by name in the new model, each with its name in the trained one. own, theirs: what the rows of its
    embedding or its head stand for, if for anything. misfit: why it takes nothing, where that is known already.
    """

    part: str
    tensors: dict[str, str]
    own: tuple[str, ...] = ()
    theirs: tuple[str, ...] = ()
    misfit: str = ""
    rows: dict[int, int] = field(default_factory=dict)  # of `own` that `theirs` has, too, with their numbers there


def take(model: SequenceModel, spec: DataSpec, recipe: Recipe, trained: Trained) -> list[StartPart]:
    """Give a model the weights of a trained one, as far as they fit; returns what became of each part.

    A part is taken as a whole, or left as it was drawn. Rows of an embedding go by the spelling of words; a word that
    the trained model does not know starts as its <unk>, so that the new model reads every text as the trained one does.
    (Differs from Howard, Ruder, arXiv:1801.06146, where it starts as the mean of all vectors, which the layers above
    have never met.) Rows of a head go by the names of labels; those of other labels stay as they were drawn.
    """
    own = model.state_dict()
    filled: set[int] = set()  # addresses of tensors: tied ones are filled once
    parts: list[StartPart] = []
    for pair in _pairs(model, spec, recipe, trained):
        tensors = {name: own[name] for name in pair.tensors if own[name].data_ptr() not in filled}
        if not tensors:
            continue
        try:
            if pair.misfit:
                raise Misfit(pair.misfit)
            values = [_values(model, pair, name, tensor, trained.weights) for name, tensor in tensors.items()]
        except Misfit as misfit:
            parts.append({"part": pair.part, "outcome": "left", "why": str(misfit)})
            continue
        for tensor, value in zip(tensors.values(), values, strict=True):
            tensor.copy_(value)
            filled.add(tensor.data_ptr())
        parts.append(_outcome(pair))
    return parts


def _outcome(pair: Pair) -> StartPart:
    known, of = len(pair.rows), len(pair.own)
    part: StartPart = {"part": pair.part, "outcome": "taken" if known == of else "grown"}
    return part | {"rows": known, "of": of} if of else part  # type: ignore[return-value]


# -- what belongs together ------------------------------------------------------------------------------------------


def _pairs(model: SequenceModel, spec: DataSpec, recipe: Recipe, trained: Trained) -> Iterator[Pair]:
    numbers = {name: number for number, name in enumerate(trained.spec.inputs)}
    for index, name in enumerate(model.input_names):
        tensors = _tensors(model, f"inputs.{index}", f"inputs.{numbers.get(name)}")
        yield _with_rows(f"inputs.{name}", tensors, spec.inputs.get(name), trained.spec.inputs.get(name))
    yield _with_rows("target_inputs", _tensors(model, "target_inputs"), spec.target, trained.spec.target)
    yield from _layers(model, recipe, trained)
    yield Pair("pool", _tensors(model, "pool"))
    yield _with_rows("head", _tensors(model, "head"), spec.target, trained.spec.target)


def _tensors(model: SequenceModel, own: str, theirs: str | None = None) -> dict[str, str]:
    """The names of a part's tensors, with those in the trained model, whose part is called `theirs`."""
    names = [name for name in model.state_dict() if name.startswith(f"{own}.")]
    return {name: f"{theirs or own}{name[len(own) :]}" for name in names}


def _with_rows(part: str, tensors: dict[str, str], own: Field | None, theirs: Field | None) -> Pair:
    """A part whose rows stand for words, letters or labels."""
    if own is None or theirs is None:
        return Pair(part, tensors, misfit="the trained model does not read it")
    if own.kind != theirs.kind:
        return Pair(part, tensors, misfit=f"it is for {own.kind}, and the trained model's for {theirs.kind}")
    numbers = {name: number for number, name in enumerate(theirs.names)}
    rows = {row: numbers[name] for row, name in enumerate(own.names) if name in numbers}
    common = any(own.names[row] not in SPECIALS for row in rows)
    examples = [repr(names[-1])[:20] for names in (own.names, theirs.names) if names]
    misfit = "" if common or len(examples) < 2 else f"no name in common, such as {examples[0]} and {examples[1]}"
    return Pair(part, tensors, own.names, theirs.names, misfit, rows)


def _layers(model: SequenceModel, recipe: Recipe, trained: Trained) -> Iterator[Pair]:
    """The architecture's layers, one pair for each direction; then what else it has."""
    paths = {module: path for path, module in model.named_modules()}
    own_settings, settings = recipe["model"]["architecture"], trained.recipe["model"]["architecture"]
    cells = _innermost_cell(own_settings), _innermost_cell(settings)
    other_cell = f"its cell is {cells[0]}, and the trained model's {cells[1]}" if cells[0] != cells[1] else ""
    paired: set[str] = set()
    for group in model.architecture.layer_groups():
        for direction, layer in enumerate(group):
            own, misfit = paths[layer], other_cell
            above, _, number = own.rpartition(".")
            theirs = own
            if number.isdigit():
                directions = _directions(settings, above.split(".")[1:-1])
                theirs = f"{above}.{int(number) // len(group) * directions + direction}"
                if direction >= directions:
                    misfit = misfit or "the trained model reads forwards alone"
            tensors = _without_wrappers(_tensors(model, own, theirs), trained.weights)
            paired.update(tensors)
            yield Pair(own, tensors, misfit=misfit)
    rest = {name: other for name, other in _tensors(model, "architecture").items() if name not in paired}
    yield Pair("architecture, the rest", rest)


def _without_wrappers(tensors: Mapping[str, str], weights: Mapping[str, Tensor]) -> dict[str, str]:
    """The same pairs of names, whatever cells are around a cell: layers.0.cell.cell.bias fits layers.0.cell.bias."""
    theirs = {_bare(name): name for name in weights}
    return {own: theirs.get(_bare(other), other) for own, other in tensors.items()}


def _bare(name: str) -> str:
    while ".cell.cell." in name:
        name = name.replace(".cell.cell.", ".cell.")
    return name


def _innermost_cell(architecture: Mapping[str, Any]) -> object:
    """The name of the cell inside all wrappers."""
    cell = architecture.get("cell")
    while isinstance(cell, Mapping):
        cell = cell.get("cell", cell.get("name"))
    return cell


def _directions(architecture: Any, path: list[str]) -> int:
    """How many directions the layers of a trained architecture have, or those of an architecture inside it."""
    for key in path:
        architecture = architecture.get(key)
        if not isinstance(architecture, Mapping):
            return 1
    able = registry.load("architectures", architecture["name"]).answers(**registry.settings(architecture))
    return 1 if CAUSAL in able else 2


# -- values ---------------------------------------------------------------------------------------------------------


def _values(model: SequenceModel, pair: Pair, name: str, tensor: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """What a tensor of the model becomes. Raises: Misfit."""
    theirs = weights.get(pair.tensors[name])
    if theirs is None:
        raise Misfit(f"the trained model has no {pair.tensors[name]}")
    dims = 0 if pair.own == pair.theirs else _dims_of_rows(model, pair, name, tensor)
    shape = (*[len(pair.theirs)] * dims, *tensor.shape[dims:])
    if theirs.shape != shape:
        short = ".".join(name.split(".")[-2:])
        raise Misfit(f"its {short} is {tuple(tensor.shape)}, and the trained model's {tuple(theirs.shape)}")
    if not dims:
        return theirs
    values, theirs = tensor.clone(), theirs.to(tensor)
    if pair.theirs[UNK : UNK + 1] == (SPECIALS[UNK],) and pair.part != "head":
        values[:] = theirs[UNK]
    own_rows, their_rows = torch.tensor([*pair.rows]), torch.tensor([*pair.rows.values()])
    values[torch.meshgrid([own_rows] * dims, indexing="ij")] = theirs[
        torch.meshgrid([their_rows] * dims, indexing="ij")
    ]
    return values


def _dims_of_rows(model: SequenceModel, pair: Pair, name: str, tensor: Tensor) -> int:
    """How many of a tensor's first dimensions go by the names of the part: 2 of a CRF's transitions. Raises: Misfit."""
    owner = model.get_submodule(name.rpartition(".")[0])
    count = len(pair.own)
    if pair.part != "head":
        return int(isinstance(owner, nn.Embedding) and owner.num_embeddings == count)
    most = 1 if isinstance(owner, nn.Linear) else tensor.dim()
    dims = next((dim for dim, size in enumerate(tensor.shape[:most]) if size != count), most)
    if not dims:
        raise Misfit("its labels are others, and it does not have one row for each")
    return dims
