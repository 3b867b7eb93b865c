"""Learned vectors: of tokens, of the shapes of words, and of the tokens that a decoder reads."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.batch import PAD, UNK, Field
from rnnzoo.engine import modes
from rnnzoo.engine.sequences import Distinct
from rnnzoo.inputs.base import Input
from rnnzoo.layers.dropout import LockedDropout
from rnnzoo.limits import NonNegative, Probability, Size, checked

FEW = 1024  # steps of a batch, below which it is not worth looking for symbols that occur twice


class Embedding(Input):
    """A learned vector for each id, drawn from N(0, 0.1^2); that of padding is zero.

    size: features of a vector. dropout: drops features of a whole sequence at once (one mask through time; Gal,
    Ghahramani, arXiv:1512.05287).
    """

    by_symbol: ClassVar[bool] = True  # of this class's own `forward` alone: a step's features are those of its symbol

    @checked
    def __init__(self, field: Field, size: Size, dropout: Probability = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(field.size, size, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[PAD].zero_()
        self.output_size = size
        self.dropout = LockedDropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, time) int64, PAD past the ends. Returns (batch, time, size)."""
        return self.dropout(self.embedding(x))

    def distinct(self, x: Tensor) -> Distinct | None:
        """In inference, where at most half as many symbols as steps occur. x: (batch, time) int64."""
        owner = next(one for one in type(self).__mro__ if "forward" in vars(one))
        if not vars(owner).get("by_symbol", False) or any(part.training for part in self.modules()):
            return None
        if not torch.is_inference_mode_enabled() or x.device.type != "cpu" or modes.watching(x) is not None:
            return None
        if x.numel() < FEW or int(x.min()) < 0:
            return None
        occurs = x.new_zeros(self.embedding.num_embeddings, dtype=torch.bool)
        occurs[x.flatten()] = True
        symbols = occurs.nonzero().squeeze(1)
        if 2 * len(symbols) > x.numel():
            return None
        return Distinct(self(symbols.unsqueeze(0)).squeeze(0), (occurs.cumsum(0) - 1)[x])


class CaseEmbedding(Embedding):
    """A learned vector for the shape of a word: its capitals, digits and marks. size, dropout: see `Embedding`."""

    reads = frozenset({"case"})

    @checked
    def __init__(self, field: Field, size: Size = 10, dropout: Probability = 0.0) -> None:
        super().__init__(field, size, dropout)


class TokenEmbedding(Embedding):
    """A learned vector for each token.

    size: features of a vector. dropout: drops features of a whole sequence at once, see `Embedding`. word_dropout: a
    token becomes <unk> with this probability (Iyyer et al., ACL 2015). type_dropout: the vector of a word is zero
    wherever the word occurs in a batch, with this probability, and the others are scaled up (the "embedding dropout" of
    Merity et al., arXiv:1708.02182). rare_word_dropout: a word that occurs n times in training becomes <unk> with
    probability a / (a + n), for this a (Kiperwasser, Goldberg, arXiv:1603.04351); the data must count their words, as
    those of tagging do. vectors: a file of word vectors that training starts from, see `rnnzoo.vectors.start`; a path,
    or an https address ending in "#sha256=DIGEST". freeze_vectors: the vectors are not trained. sparse: the gradient
    holds the rows of the batch's words alone, for vocabularies of 10^5 and more; it takes an optimizer that reads it.

    Raises: ValueError for a setting out of its range, frozen vectors without a file, or words that are not counted.
    """

    reads = frozenset({"tokens"})

    @checked
    def __init__(
        self,
        field: Field,
        size: Size = 128,
        dropout: Probability = 0.0,
        word_dropout: Probability = 0.0,
        type_dropout: Probability = 0.0,
        rare_word_dropout: NonNegative = 0.0,
        vectors: str | None = None,
        freeze_vectors: bool = False,
        sparse: bool = False,
    ) -> None:
        super().__init__(field, size, dropout)
        if rare_word_dropout and not field.counts:
            raise ValueError("rare_word_dropout needs to know how often each word occurs, and these data do not tell")
        if freeze_vectors and vectors is None:
            raise ValueError("freeze_vectors needs vectors: vectors drawn at random are to be trained")
        self.embedding.weight.requires_grad_(not freeze_vectors)
        self.embedding.sparse = sparse
        self.vectors, self.type_dropout = vectors, type_dropout
        counts = torch.tensor(field.counts or [1] * field.size)
        rare = rare_word_dropout / (rare_word_dropout + counts.clamp(min=1))
        replaced = word_dropout + (1 - word_dropout) * rare
        replaced[PAD] = 0
        self.replaced: Tensor  # (size of the vocabulary,) the probability of each token to become <unk>
        self.register_buffer("replaced", replaced, persistent=False)
        self.word_dropout = bool(word_dropout or rare_word_dropout)

    by_symbol = True

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, time) int64, PAD past the ends. Returns (batch, time, size)."""
        if self.training and self.word_dropout:
            dropped = torch.rand(x.shape, device=x.device) < self.replaced[x]
            x = x.masked_fill(dropped, UNK)
        vectors = self.embedding(x)
        if self.training and self.type_dropout:
            kept = F.dropout(vectors.new_ones(self.embedding.num_embeddings, 1), self.type_dropout)
            vectors = vectors * F.embedding(x, kept)
        return self.dropout(vectors)


class TargetEmbedding(TokenEmbedding):
    """A learned vector for each token that a decoder has written before, as many features as the decoder reads.

    dropout, word_dropout, type_dropout, rare_word_dropout: see `TokenEmbedding`. share: source and target tokens have
    the same vectors, which takes one vocabulary for both (the data's option joint_vocabulary).
    """

    reads = frozenset({"target"})

    @checked
    def __init__(
        self,
        field: Field,
        output_size: Size,
        dropout: Probability = 0.0,
        word_dropout: Probability = 0.0,
        type_dropout: Probability = 0.0,
        rare_word_dropout: NonNegative = 0.0,
        share: bool = False,
    ) -> None:
        super().__init__(field, output_size, dropout, word_dropout, type_dropout, rare_word_dropout)
        self.share = share
