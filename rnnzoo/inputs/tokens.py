"""Vectors of tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.batch import PAD, UNK, Field
from rnnzoo.layers.dropout import LockedDropout
from rnnzoo.limits import NonNegative, Probability, Size, checked


class TokenEmbedding(nn.Module):
    """A learned vector per token.

    embedding_dropout: drops features of a whole sequence at once (one mask through time; Gal, Ghahramani,
    arXiv:1512.05287). word_dropout: a token becomes <unk> with this probability (Iyyer et al., ACL 2015). type_dropout:
    the vector of a word is zero wherever the word stands in a batch, with this probability, and the others are scaled
    up (the "embedding dropout" of Merity et al., arXiv:1708.02182). rare_word_dropout: a word that occurs n times in
    training becomes <unk> with probability a / (a + n), for this a (Kiperwasser, Goldberg, arXiv:1603.04351); the data
    must count their words, as those of tagging do.
    """

    @checked
    def __init__(
        self,
        field: Field,
        embedding_size: Size,
        embedding_dropout: Probability = 0.0,
        word_dropout: Probability = 0.0,
        type_dropout: Probability = 0.0,
        rare_word_dropout: NonNegative = 0.0,
    ) -> None:
        super().__init__()
        if rare_word_dropout and not field.counts:
            raise ValueError("rare_word_dropout needs to know how often each word occurs, and these data do not tell")
        self.embedding = nn.Embedding(field.size, embedding_size, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[PAD].zero_()
        self.output_size = embedding_size
        self.dropout = LockedDropout(embedding_dropout)
        self.type_dropout = type_dropout
        counts = torch.tensor(field.counts or [1] * field.size)
        rare = rare_word_dropout / (rare_word_dropout + counts.clamp(min=1))
        replaced = word_dropout + (1 - word_dropout) * rare
        replaced[PAD] = 0
        self.replaced: Tensor  # (size,) the probability of each token to become <unk>
        self.register_buffer("replaced", replaced, persistent=False)
        self.word_dropout = bool(word_dropout or rare_word_dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, time) int64. Returns (batch, time, embedding_size)."""
        if self.training and self.word_dropout:
            dropped = torch.rand(tokens.shape, device=tokens.device) < self.replaced[tokens]
            tokens = tokens.masked_fill(dropped, UNK)
        x = self.embedding(tokens)
        if self.training and self.type_dropout:
            kept = F.dropout(x.new_ones(self.embedding.num_embeddings, 1), self.type_dropout)
            x = x * F.embedding(tokens, kept)
        return self.dropout(x)
