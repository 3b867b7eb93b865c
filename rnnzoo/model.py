"""SequenceModel: inputs, an architecture, pooling where one answer is wanted, and the task's head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from rnnzoo.architectures.base import ONE, SEQUENCE, Architecture, ArchitectureLike, make_architecture
from rnnzoo.architectures.decoder import Decoded, Decoder, DecoderState
from rnnzoo.architectures.encoded import Encoded
from rnnzoo.architectures.pooling import Pool, Pooling
from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.cells.base import State
from rnnzoo.engine.sequences import Sequences
from rnnzoo.inputs.characters import CharacterFeatures
from rnnzoo.inputs.tokens import TokenEmbedding
from rnnzoo.inputs.values import Values
from rnnzoo.layers.dropout import LockedDropout
from rnnzoo.limits import Limit, NonNegative, Probability, Size, checked

INPUTS: dict[str, type[nn.Module]] = {
    "tokens": TokenEmbedding,
    "values": Values,
    "characters": CharacterFeatures,
    "case": TokenEmbedding,
}


class Question(Protocol):
    """What a model asks of its task, see `rnnzoo.tasks.base.Task`."""

    needs: ClassVar[str]

    def inputs(self, spec: DataSpec) -> Mapping[str, Field]: ...

    def head_for(self, architecture: Architecture, features: int) -> nn.Module: ...


class SequenceModel(nn.Module):
    """From a batch to logits.

    embedding_size: features of a token's vector. pooling: see `Pool`; used where the task wants one answer. dropout:
    before the head. locked_dropout: the same with one mask through time, where there is an answer to each step.
    embedding_dropout, word_dropout, type_dropout, rare_word_dropout: see `TokenEmbedding`. character_encoder,
    character_size, character_filters: of words by their letters, where the data give them, see `CharacterFeatures`.
    shift: of numbers, see `Values`. case_size: features of a word's shape, where the data give it. tie_weights: the
    head's weights are the (target) embedding's (Press, Wolf, arXiv:1608.05859); the sizes must agree. share_embeddings:
    source and target tokens have the same vectors, which takes one vocabulary for both. vectors: a file of word vectors
    that training starts from, see `rnnzoo.vectors.start`; a path, or an https address ending in "#sha256=DIGEST".
    freeze_vectors: they are not trained.

    Raises: ValueError for a size or probability out of range, weights that cannot be tied, or settings of embeddings
    where no input is of tokens.
    """

    @checked
    def __init__(
        self,
        spec: DataSpec,
        task: Question,
        architecture: ArchitectureLike = "bidirectional",
        embedding_size: Size = 128,
        pooling: Pooling = "last",
        dropout: Probability = 0.0,
        embedding_dropout: Probability = 0.0,
        word_dropout: Probability = 0.0,
        shift: Annotated[int, Limit(0, 1000)] = 0,
        type_dropout: Probability = 0.0,
        rare_word_dropout: NonNegative = 0.0,
        locked_dropout: Probability = 0.0,
        character_encoder: ArchitectureLike | None = None,
        character_size: Size = 30,
        character_filters: Size = 50,
        case_size: Size = 10,
        tie_weights: bool = False,
        share_embeddings: bool = False,
        vectors: str | None = None,
        freeze_vectors: bool = False,
    ) -> None:
        super().__init__()
        settings: dict[str, Any] = {
            "embedding_size": embedding_size,
            "embedding_dropout": embedding_dropout,
            "word_dropout": word_dropout,
            "type_dropout": type_dropout,
            "rare_word_dropout": rare_word_dropout,
        }
        settings_of: dict[str, dict[str, Any]] = {
            "tokens": settings,
            "values": {"shift": shift},
            "characters": {
                "character_size": character_size,
                "filters": character_filters,
                "encoder": character_encoder,
                "embedding_dropout": embedding_dropout,
            },
            "case": {"embedding_size": case_size, "embedding_dropout": embedding_dropout},
        }
        inputs = task.inputs(spec)
        self.input_names = tuple(inputs)
        parts: list[Any] = [INPUTS[field.kind](field, **settings_of[field.kind]) for field in inputs.values()]
        of_tokens = {name: value for name, value in settings.items() if name != "embedding_size"}
        of_tokens |= {"tie_weights": tie_weights, "vectors": vectors, "freeze_vectors": freeze_vectors}
        asked = next((name for name, value in of_tokens.items() if value), None)
        if asked and not any(isinstance(part, TokenEmbedding) for part in parts):
            raise ValueError(f"{asked} needs an input of tokens, and the data are numbers")
        if shift and not any(isinstance(part, Values) for part in parts):
            raise ValueError("shift needs an input of numbers, and the data are tokens")
        self.inputs = nn.ModuleList(parts)
        self.architecture = make_architecture(architecture, sum(part.output_size for part in parts))
        features = self.architecture.output_size
        if task.needs == ONE:
            if locked_dropout:
                raise ValueError("locked_dropout holds through the steps answered, and the task has one answer")
            self.pool = Pool(pooling, features)
            features = self.pool.output_size
        if task.needs == SEQUENCE:
            features = self.decoder.output_size
            read = {"embedding_size": self.decoder.input_size}  # by the decoder; of tokens, embedding_size
            self.target_inputs = TokenEmbedding(spec.target, **(settings | read))
        if share_embeddings:
            self._share(spec)
        self.dropout = nn.Sequential(nn.Dropout(dropout), LockedDropout(locked_dropout))
        self.head = task.head_for(self.architecture, features)
        if tie_weights:
            self._tie()
        if freeze_vectors:
            if vectors is None:
                raise ValueError("freeze_vectors needs vectors: vectors drawn at random are to be trained")
            self.word_embedding.weight.requires_grad_(False)

    @property
    def word_embedding(self) -> nn.Embedding:
        """The vectors of the input named "tokens"."""
        part: Any = self.inputs[self.input_names.index("tokens")]
        return part.embedding

    def _share(self, spec: DataSpec) -> None:
        source = spec.inputs.get("tokens")
        if not hasattr(self, "target_inputs") or source is None or source.names != spec.target.names:
            raise ValueError(
                "share_embeddings needs an encoder-decoder over one vocabulary for source and target; "
                "the data's option joint_vocabulary makes one"
            )
        self.target_inputs.embedding.weight = self.word_embedding.weight

    def _tie(self) -> None:
        source: Any = getattr(self, "target_inputs", self.inputs[0])
        if not isinstance(self.head, nn.Linear) or self.head.weight.shape != source.embedding.weight.shape:
            head = tuple(self.head.weight.shape) if isinstance(self.head, nn.Linear) else type(self.head).__name__
            raise ValueError(
                f"tie_weights needs a head of the embedding's shape {tuple(source.embedding.weight.shape)}, "
                f"got {head}: embedding_size must be the architecture's output size"
            )
        self.head.weight = source.embedding.weight

    def encode(self, batch: Batch, state: list[State] | None = None, need_state: bool = False) -> Encoded:
        """What the architecture makes of the batch's inputs."""
        sequences = Sequences.of(self.embed(batch), batch.lengths)
        return self.architecture(sequences, state=state, need_state=need_state)

    def embed(self, batch: Batch) -> Tensor:
        """The inputs of each step, side by side: (batch, time, features)."""
        x = [part(batch.inputs[name]) for name, part in zip(self.input_names, self.inputs, strict=True)]
        return x[0] if len(x) == 1 else torch.cat(x, -1)

    def sequence_logits(self, batch: Batch) -> Tensor:
        """One answer for each sequence: logits (batch, classes)."""
        return self.head(self.dropout(self.pool(self.encode(batch))))

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
        return self.decoder.start(self.encode(batch))

    def decoder_features(self, tokens: Tensor, state: DecoderState, lengths: Tensor | None = None) -> Decoded:
        """What the head reads after each of the previous targets. tokens: (batch, time) int64; lengths: (batch,)."""
        decoded = self.decoder.decode(self.target_inputs(tokens), state, lengths)
        return decoded._replace(features=self.dropout(decoded.features))

    def decoder_logits(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """The answer to each of the previous targets: logits (batch, time, classes), and the state after the last."""
        decoded = self.decoder_features(tokens, state)
        return self.head(decoded.features), decoded.state
