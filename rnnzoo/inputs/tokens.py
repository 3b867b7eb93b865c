"""Vectors of tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo import limits
from rnnzoo.batch import PAD, UNK, Field
from rnnzoo.dropout import LockedDropout


class TokenEmbedding(nn.Module):
    """A learned vector per token.

    embedding_dropout: drops features of a whole sequence at once (one mask through time; Gal, Ghahramani,
    arXiv:1512.05287). word_dropout: a token becomes <unk> with this probability (Iyyer et al., ACL 2015). type_dropout:
    the vector of a word is zero wherever the word stands in a batch, with this probability, and the others are scaled
    up (the "embedding dropout" of Merity et al., arXiv:1708.02182).
    """

    def __init__(
        self, field: Field, embedding_size: int, embedding_dropout: float = 0.0, word_dropout: float = 0.0,
        type_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        limits.check(embedding_size=embedding_size, embedding_dropout=embedding_dropout, word_dropout=word_dropout)
        limits.check(type_dropout=type_dropout)
        self.embedding = nn.Embedding(field.size, embedding_size, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[PAD].zero_()
        self.output_size = embedding_size
        self.dropout = LockedDropout(embedding_dropout)
        self.word_dropout, self.type_dropout = word_dropout, type_dropout

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, time) int64. Returns (batch, time, embedding_size)."""
        if self.training and self.word_dropout:
            dropped = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            tokens = tokens.masked_fill(dropped & (tokens != PAD), UNK)
        x = self.embedding(tokens)
        if self.training and self.type_dropout:
            kept = F.dropout(x.new_ones(self.embedding.num_embeddings, 1), self.type_dropout)
            x = x * F.embedding(tokens, kept)
        return self.dropout(x)
