"""Captioning: a text that describes numbers (one to many: a vector, or the rows of an image, starts a decoder)."""

import torch
from torch import Tensor

from rnnzoo.batch import Batch
from rnnzoo.data.encoding.text import LONGEST
from rnnzoo.tasks.translation import Translation


class Captioning(Translation):
    """Write a text of a series of numbers, as a translation is written of a text.

    A vector of features is a series of one step: it starts the decoder through the bridge, as in Vinyals et al.,
    arXiv:1411.4555. max_steps: tokens after which decoding stops; if not given, 10 more than the longest training text
    has. Further settings, and metrics: see `Translation`.
    """

    form = "described_series"
    needs_reason = "captioning writes a text whose length is its own, which takes a decoder"

    def limits(self, batch: Batch) -> Tensor:
        longest = self.spec.target.options.get(LONGEST)  # which models of before do not know
        return super().limits(batch) if longest is None else torch.full_like(batch.lengths, longest + 10)
