"""Words by their letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.architectures.base import ArchitectureLike, make_architecture
from rnnzoo.batch import PAD, Field
from rnnzoo.inputs.base import Input
from rnnzoo.layers.dropout import LockedDropout
from rnnzoo.limits import Probability, Size, checked

MULTIPLIER = 6364136223846793005  # Knuth's, of a linear congruential generator modulo 2**64


class CharacterFeatures(Input):
    """Features of each word from its letters, so that a word that was never seen has some too.

    size: features of a letter's vector. filters: of a convolution, for each width. encoder: None for a convolution, see
    `Convolution`; or an architecture that reads the letters in order and whose last outputs are the features, as the
    bidirectional LSTM of Lample et al., arXiv:1603.01360. dropout: of the words' features, one mask through a sentence.

    A word that occurs several times in a batch is computed once.
    """

    reads = frozenset({"characters"})

    @checked
    def __init__(
        self,
        field: Field,
        size: Size = 30,
        filters: Size = 50,
        encoder: ArchitectureLike | None = None,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(field.size, size, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=0.5)
        with torch.no_grad():
            self.embedding.weight[PAD].zero_()
        self.encoder = Convolution(size, filters) if encoder is None else Last(size, encoder)
        self.output_size = self.encoder.output_size
        self.dropout = LockedDropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, time, letters) int64, PAD after a word's end. Returns (batch, time, output_size)."""
        if torch.compiler.is_exporting():  # how many words are distinct is known only where they are
            return self.encoder(x.flatten(0, 1), self.embedding).unflatten(0, x.shape[:2])
        words, index = distinct(x.flatten(0, 1))
        features = self.encoder(words, self.embedding)
        return self.dropout(features[index].unflatten(0, x.shape[:2]))


def distinct(words: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct rows of (words, letters), and the index of each row among them: (distinct, letters), (words,).

    Rows are distinguished by 64-bit keys, which takes a twentieth of the time of `torch.unique(words, dim=0)`.
    """
    powers = (pow(MULTIPLIER, position, 2**64) for position in range(words.shape[1]))
    signed = torch.tensor([p - 2**64 if p >= 2**63 else p for p in powers], dtype=torch.int64, device=words.device)
    keys, index = torch.unique((words * signed).sum(1), return_inverse=True)  # wraps round: sums modulo 2**64
    first = torch.empty_like(keys).scatter_(0, index, torch.arange(len(words), device=words.device))
    return words[first], index


class Convolution(nn.Module):
    """Filters over windows of letters; each gives its largest answer in the word.

        f = max over t of relu(W [x_t-k, ..., x_t+k] + b)    for windows of 2k + 1 = 3 and 5 letters

    with zeros around the word. Source: Ma, Hovy, arXiv:1603.01354. Differs: two widths, and a relu.

    There are few letters, so W_j x is computed once for each letter and each position j of a window, then looked up
    and summed: a third of the time of a convolution.
    """

    def __init__(self, input_size: int, filters: int, widths: Sequence[int] = (3, 5)) -> None:
        super().__init__()
        self.windows = nn.ModuleList(nn.Conv1d(input_size, filters, width, padding=width // 2) for width in widths)
        self.output_size = filters * len(widths)

    def forward(self, words: Tensor, embedding: nn.Embedding) -> Tensor:
        """words: (words, letters) int64, PAD after the ends. Returns (words, output_size), zeros for no letters."""
        if torch.compiler.is_exporting():
            return self._convolved(words, embedding)
        weights = [cast(Tensor, window.weight) for window in self.windows]
        width = max(weight.shape[2] for weight in weights)
        weight = torch.cat([F.pad(weight, [(width - weight.shape[2]) // 2] * 2) for weight in weights])
        answers = torch.einsum("vd,fdj->jvf", embedding.weight, weight).float().flatten(0, 1)
        real = words != PAD
        letters = F.pad(words, [width // 2] * 2, value=PAD).unfold(1, width, 1)[real]
        looked_up = letters + torch.arange(width, device=words.device) * embedding.num_embeddings
        at_letters = F.embedding_bag(looked_up.masked_fill(letters == PAD, PAD), answers, mode="sum", padding_idx=PAD)
        everywhere = at_letters.new_full((*words.shape, self.output_size), -torch.inf)
        best = everywhere.index_put(torch.nonzero(real, as_tuple=True), at_letters).amax(1)
        return (best + torch.cat([cast(Tensor, window.bias) for window in self.windows])).relu()

    def _convolved(self, words: Tensor, embedding: nn.Embedding) -> Tensor:
        """The same as convolutions, in operators that any exporter has."""
        real = (words != PAD).unsqueeze(-1)
        letters = (embedding(words) * real).transpose(1, 2)
        answers = torch.cat([window(letters) for window in self.windows], 1).transpose(1, 2)
        return answers.masked_fill(~real, 0).relu().amax(1)


class Last(nn.Module):
    """The last output of each direction of an architecture."""

    def __init__(self, input_size: int, architecture: ArchitectureLike) -> None:
        super().__init__()
        self.architecture = make_architecture(architecture, input_size)
        self.output_size = self.architecture.output_size

    def forward(self, words: Tensor, embedding: nn.Embedding) -> Tensor:
        """words: (words, letters) int64, PAD after the ends. Returns (words, output_size), zeros for no letters."""
        return self.architecture(embedding(words), (words != PAD).sum(1).cpu(), need_state=False).last
