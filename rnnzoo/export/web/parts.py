"""Each part of a model as a page computes it. A class that is not registered here is refused by name.

A part that computes something else than what is described here, as a subclass may, is found by the verification: no
page is kept that does not answer as the model does.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from torch import nn

from rnnzoo.architectures.base import Architecture, LayerStack
from rnnzoo.architectures.pooling import Pool
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.errors import ZooError
from rnnzoo.export.web.cells import Writer
from rnnzoo.inputs.characters import CharacterFeatures, Convolution, Last
from rnnzoo.inputs.tokens import Embedding, TokenEmbedding
from rnnzoo.inputs.values import Values
from rnnzoo.layers.crf import CRF
from rnnzoo.layers.heads import AdaptiveSoftmax
from rnnzoo.model import SequenceModel

Description = dict[str, Any]


def model(network: SequenceModel, writer: Writer) -> Description:
    """A whole model. Raises: ZooError for a part that a page cannot run."""
    pool = getattr(network, "pool", None)
    return {
        "inputs": [
            {"field": name, **_input(part, writer)}
            for name, part in zip(network.input_names, network.inputs, strict=True)
        ],
        "stack": _architecture(network.architecture, writer),
        "pool": None if pool is None else _pool(pool, writer),
        "head": _head(network.head, writer),
    }


def _refuse(part: nn.Module, writer: Writer) -> ZooError:
    return ZooError(f"{writer.what} cannot run {type(part).__name__}, a part of this model.")


# -- inputs ---------------------------------------------------------------------------------------------------------


@singledispatch
def _input(part: nn.Module, writer: Writer) -> Description:
    raise _refuse(part, writer)


@_input.register
def _embedding(part: Embedding, writer: Writer) -> Description:
    large = isinstance(part, TokenEmbedding)
    return {"kind": "lookup", "table": writer.bundle.add(part.embedding.weight, embedding=large)}


@_input.register
def _values(part: Values, writer: Writer) -> Description:
    return {"kind": "values", "size": part.output_size}


@_input.register
def _characters(part: CharacterFeatures, writer: Writer) -> Description:
    table = writer.bundle.add(part.embedding.weight)
    return {"kind": "letters", "table": table, **_of_letters(part.encoder, writer)}


@singledispatch
def _of_letters(part: nn.Module, writer: Writer) -> Description:
    raise _refuse(part, writer)


@_of_letters.register
def _convolution(part: Convolution, writer: Writer) -> Description:
    return {"windows": [_linear(window, writer) for window in part.windows]}


@_of_letters.register
def _last(part: Last, writer: Writer) -> Description:
    return {"stack": _architecture(part.architecture, writer)}


def _linear(part: nn.Module, writer: Writer) -> Description:
    """A layer with a weight, (outputs, inputs) or with an axis of positions after these, and a bias or none."""
    bias = getattr(part, "bias", None)
    assert isinstance(part.weight, nn.Parameter)
    return {"weight": writer.bundle.add(part.weight), "bias": None if bias is None else writer.bundle.add(bias)}


# -- layers ---------------------------------------------------------------------------------------------------------


@singledispatch
def _architecture(part: Architecture, writer: Writer) -> Description:
    raise ZooError(
        f"{writer.what} cannot run the architecture {type(part).__name__}: it runs layers in one direction or both."
    )


@_architecture.register
def _stack(part: LayerStack, writer: Writer) -> Description:
    if type(part).encode is not LayerStack.encode:
        raise ZooError(
            f"{writer.what} cannot run the architecture {type(part).__name__}: it has an `encode` of its own."
        )
    return {
        "layers": [writer.layer(layer) for layer in part.layers if isinstance(layer, Recurrence)],
        "bidirectional": part.bidirectional,
        "merge": part.merge,
        "residual": part.residual,
        "output": part.output_size,
    }


def _pool(part: Pool, writer: Writer) -> Description:
    score = [_linear(layer, writer) for layer in (part.score[0], part.score[2])] if part.name == "attention" else None
    return {"name": part.name, "score": score}


# -- heads ----------------------------------------------------------------------------------------------------------


@singledispatch
def _head(part: nn.Module, writer: Writer) -> Description:
    raise _refuse(part, writer)


@_head.register
def _linear_head(part: nn.Linear, writer: Writer) -> Description:
    return {"kind": "linear", **_linear(part, writer)}


@_head.register
def _crf(part: CRF, writer: Writer) -> Description:
    names = ("transitions", "start", "end")
    scores = {name: writer.bundle.add(getattr(part, name)) for name in names}
    return {"kind": "crf", **_linear(part.emissions, writer), **scores, "penalty": writer.bundle.add(part.penalty)}


@_head.register
def _adaptive(part: AdaptiveSoftmax, writer: Writer) -> Description:
    tails = [[_linear(layer, writer) for layer in tail] for tail in part.tails if isinstance(tail, nn.Sequential)]
    return {"kind": "adaptive", **_linear(part.head, writer), "ends": part.ends, "tails": tails}


def parameters(network: nn.Module) -> int:
    """How many numbers a model has learned; those of tied weights once."""
    return sum(parameter.numel() for parameter in network.parameters())
