"""Captioning: a text that describes numbers (one to many: a vector, or the rows of an image, starts a decoder)."""

from rnnzoo.tasks.translation import Translation


class Captioning(Translation):
    """Write a text of a series of numbers, as a translation is written of a text.

    A vector of features is a series of one step: it starts the decoder through the bridge, as in Vinyals et al.,
    arXiv:1411.4555. Settings and metrics: see `Translation`.
    """

    form = "described_series"
    needs_reason = "captioning writes a text whose length is its own, which takes a decoder"
