"""Vectors of tokens."""

import torch
from torch import Tensor, nn

from rnnzoo import limits
from rnnzoo.batch import PAD, UNK, Field


class TokenEmbedding(nn.Module):
    """A learned vector per token.

    embedding_dropout: drops features of a whole sequence at once (one mask through time; Gal, Ghahramani,
    arXiv:1512.05287). word_dropout: a token becomes <unk> with this probability (Iyyer et al., ACL 2015).
    """

    def __init__(
        self, field: Field, embedding_size: int, embedding_dropout: float = 0.0, word_dropout: float = 0.0
    ) -> None:
        super().__init__()
        limits.check(embedding_size=embedding_size, embedding_dropout=embedding_dropout, word_dropout=word_dropout)
        self.embedding = nn.Embedding(field.size, embedding_size, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[PAD].zero_()
        self.output_size = embedding_size
        self.dropout = nn.Dropout1d(embedding_dropout)  # drops whole channels of (batch, channels, time)
        self.word_dropout = word_dropout

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, time) int64. Returns (batch, time, embedding_size)."""
        if self.training and self.word_dropout:
            dropped = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            tokens = tokens.masked_fill(dropped & (tokens != PAD), UNK)
        x = self.embedding(tokens)
        if self.training and self.dropout.p:
            x = x * self.dropout(x.new_ones(len(x), self.output_size, 1)).transpose(1, 2)
        return x
