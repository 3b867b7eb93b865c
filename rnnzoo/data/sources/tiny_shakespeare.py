"""Plays of Shakespeare."""

from __future__ import annotations

from rnnzoo.data.sources.text_corpus import TextCorpus


class TinyShakespeare(TextCorpus):
    """Plays of Shakespeare, 1.1 million characters, each part one text with its line feeds; read it by characters.

    Source: Karpathy, "The unreasonable effectiveness of recurrent neural networks", 2015; `karpathy/tiny_shakespeare`.
    """

    hub_id = "karpathy/tiny_shakespeare"
    default_revision = "refs/convert/parquet"
