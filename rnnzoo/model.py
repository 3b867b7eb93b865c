"""SequenceModel: inputs, an architecture, pooling where one answer is wanted, and the task's head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor, nn

from rnnzoo.architectures.base import ONE, SEQUENCE, Architecture, ArchitectureLike, make_architecture
from rnnzoo.architectures.decoder import Decoded, Decoder, DecoderState
from rnnzoo.architectures.encoded import Encoded
from rnnzoo.architectures.pooling import Pool, Pooling
from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.cells.base import State
from rnnzoo.engine.layout import layout_maker
from rnnzoo.engine.sequences import Sequences
from rnnzoo.inputs.base import TARGET, Input, InputLike, make_input
from rnnzoo.inputs.tokens import TargetEmbedding, TokenEmbedding
from rnnzoo.layers.dropout import LockedDropout
from rnnzoo.limits import Probability, checked


class SequenceModel(nn.Module):
    """From a batch to logits, by parts that are built already; `build_model` builds them from a recipe's settings.

    inputs: what reads each field of a batch, by the field's name; their features stand side by side. architecture: of
    input_size the sum of theirs. head: from features to logits. pool: where the task wants one answer a sequence.
    dropout: before the head. target_inputs: what reads the previous targets, of an encoder-decoder.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        architecture: Architecture,
        head: nn.Module,
        pool: Pool | None = None,
        dropout: nn.Module | None = None,
        target_inputs: Input | None = None,
    ) -> None:
        super().__init__()
        self.input_names = tuple(inputs)
        self.inputs = nn.ModuleList(inputs.values())
        self.architecture = architecture
        if pool is not None:
            self.pool = pool
        if target_inputs is not None:
            self.target_inputs = target_inputs
        self.dropout = dropout or nn.Identity()
        self.head = head

    def input_of(self, field: str) -> Input:
        """The part that reads the field. Raises: KeyError if none does."""
        return cast(Input, dict(zip(self.input_names, self.inputs, strict=True))[field])

    def encode(self, batch: Batch, state: list[State] | None = None, need_state: bool = False) -> Encoded:
        """What the architecture makes of the batch's inputs."""
        sequences = self.sequences(batch)
        encoded: Encoded = self.architecture(sequences, state=state, need_state=need_state)
        return encoded

    def sequences(self, batch: Batch) -> Sequences:
        """What the architecture reads: with the distinct features of a single input where it knows them."""
        if len(self.inputs) == 1 and type(self).embed is SequenceModel.embed:
            x = batch.inputs[self.input_names[0]]
            if (distinct := self.input_of(self.input_names[0]).distinct(x)) is not None:
                return Sequences(layout_maker.get()(batch.lengths, x.shape[1], x.device), distinct=distinct)
        return Sequences.of(self.embed(batch), batch.lengths)

    def embed(self, batch: Batch) -> Tensor:
        """The inputs of each step, side by side: (batch, time, features)."""
        x = [part(batch.inputs[name]) for name, part in zip(self.input_names, self.inputs, strict=True)]
        return x[0] if len(x) == 1 else torch.cat(x, -1)

    def sequence_logits(self, batch: Batch) -> Tensor:
        """One answer for each sequence: logits (batch, classes)."""
        logits: Tensor = self.head(self.dropout(self.pool(self.encode(batch))))
        return logits

    def step_features(
        self, batch: Batch, state: list[State] | None = None, need_state: bool = False
    ) -> tuple[Tensor, Encoded]:
        """What the head reads at each step, (batch, time, features); and what it was made of, before dropout."""
        encoded = self.encode(batch, state, need_state)
        return self.dropout(encoded.outputs), encoded

    def step_logits(
        self, batch: Batch, state: list[State] | None = None, need_state: bool = False
    ) -> tuple[Tensor, list[State] | None]:
        """One answer for each step: logits (batch, time, classes), and the last state if asked for."""
        features, encoded = self.step_features(batch, state, need_state)
        return self.head(features), encoded.state

    @property
    def decoder(self) -> Decoder[Any]:
        """The architecture's decoder. Raises: ValueError if it has none."""
        decoder = self.architecture.target_decoder()
        if decoder is None:
            raise ValueError(f"the architecture {type(self.architecture).__name__} has no decoder to write a sequence")
        return decoder

    def start_decoder(self, batch: Batch) -> DecoderState:
        """Encode a batch; what its decoder starts from."""
        state: DecoderState = self.decoder.start(self.encode(batch))
        return state

    def decoder_features(self, tokens: Tensor, state: DecoderState, lengths: Tensor | None = None) -> Decoded:
        """What the head reads after each of the previous targets. tokens: (batch, time) int64; lengths: (batch,)."""
        decoded = self.decoder.decode(self.target_inputs(tokens), state, lengths)
        return decoded._replace(features=self.dropout(decoded.features))

    def decoder_logits(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """The answer to each of the previous targets: logits (batch, time, classes), and the state after the last."""
        decoded = self.decoder_features(tokens, state)
        return self.head(decoded.features), decoded.state


# -- building -------------------------------------------------------------------------------------------------------


class ModelTask(Protocol):
    """What building a model needs to know of its task, see `rnnzoo.tasks.base.Task`."""

    needs: ClassVar[str]

    def inputs(self, spec: DataSpec) -> Mapping[str, Field]: ...

    def head_for(self, architecture: Architecture, features: int) -> nn.Module: ...


class HeadOptions:
    """Settings of the last layer, which the task makes.

    dropout: before the head. locked_dropout: the same with one mask through time, where there is an answer to each
    step. tie_weights: the head's weights are those of the embedding that reads the same tokens: the decoder's, or else
    the input's (Press, Wolf, arXiv:1608.05859); the sizes must agree.
    """

    @checked
    def __init__(
        self, dropout: Probability = 0.0, locked_dropout: Probability = 0.0, tie_weights: bool = False
    ) -> None:
        self.dropout, self.locked_dropout, self.tie_weights = dropout, locked_dropout, tie_weights


def build_model(
    spec: DataSpec,
    task: ModelTask,
    architecture: ArchitectureLike = "bidirectional",
    inputs: Mapping[str, InputLike] | None = None,
    pooling: Pooling = "last",
    head: Mapping[str, Any] | None = None,
) -> SequenceModel:
    """The model of a recipe's section `model`, for a task on data; its weights are drawn from torch's generator.

    inputs: by the field of the data that it reads, a part or its settings, see `make_input`; a field that is not
    mentioned is read by the part named as the field's kind. "target" is what an encoder-decoder's decoder reads.
    pooling: see `Pool`; used where the task wants one answer. head: see `HeadOptions`.

    Raises: ValueError for a size or probability out of range, weights that cannot be tied or shared, or an input for a
    field that the data do not have.
    """
    options = HeadOptions(**(head or {}))
    fields, settings = task.inputs(spec), dict(inputs or {})
    parts = {name: make_input(settings.pop(name, {}), field) for name, field in fields.items()}
    body = make_architecture(architecture, sum(part.output_size for part in parts.values()))
    features, pool, target = body.output_size, None, None
    if task.needs == ONE:
        if options.locked_dropout:
            raise ValueError("locked_dropout holds through the steps answered, and the task has one answer")
        pool = Pool(pooling, features)
        features = pool.output_size
    if task.needs == SEQUENCE:
        decoder = body.target_decoder()
        if decoder is None:
            raise ValueError(f"the architecture {type(body).__name__} has no decoder to write a sequence")
        features = decoder.output_size
        target = make_input(settings.pop(TARGET, {}), spec.target, TARGET, decoder.input_size)
        if isinstance(target, TargetEmbedding) and target.share:
            _share(target, parts, spec)
    if settings:
        raise ValueError(f"no field of the data is named '{next(iter(settings))}'; it has {', '.join(parts)}")
    dropout = nn.Sequential(nn.Dropout(options.dropout), LockedDropout(options.locked_dropout))
    last = task.head_for(body, features)
    if options.tie_weights:
        _tie(last, target or next(iter(parts.values())))
    return SequenceModel(parts, body, last, pool, dropout, target)


def _share(target: TargetEmbedding, parts: Mapping[str, Input], spec: DataSpec) -> None:
    """Give the decoder the encoder's vectors of tokens. Raises: ValueError."""
    source = parts.get("tokens")
    if isinstance(source, TokenEmbedding) and source.embedding.sparse:
        raise ValueError(
            "model.inputs.target.share needs the gradient of all vectors, and inputs.tokens.sparse has few"
        )
    if not isinstance(source, TokenEmbedding) or spec.inputs["tokens"].names != spec.target.names:
        raise ValueError(
            "model.inputs.target.share needs one vocabulary for source and target; "
            "the data's option joint_vocabulary makes one"
        )
    if source.embedding.weight.shape != target.embedding.weight.shape:
        sizes = source.output_size, target.output_size
        raise ValueError(f"model.inputs.target.share needs vectors of one size, got {sizes[0]} and {sizes[1]}")
    target.embedding.weight = source.embedding.weight


def _tie(head: nn.Module, part: Input) -> None:
    """Give the head the weights of an embedding. Raises: ValueError."""
    if not isinstance(part, TokenEmbedding):
        raise ValueError(
            f"model.head.tie_weights needs an input of tokens, and the data are read by {type(part).__name__}"
        )
    if part.embedding.sparse:
        raise ValueError("model.head.tie_weights needs the gradient of all vectors, and inputs.tokens.sparse has few")
    weight = part.embedding.weight
    if not isinstance(head, nn.Linear) or head.weight.shape != weight.shape:
        got = tuple(head.weight.shape) if isinstance(head, nn.Linear) else type(head).__name__
        raise ValueError(
            f"model.head.tie_weights needs a head of the embedding's shape {tuple(weight.shape)}, got {got}: "
            "model.inputs.tokens.size must be the architecture's output size"
        )
    head.weight = weight
