"""The Penn Treebank, as a stream of text and as sentences."""

from __future__ import annotations

from rnnzoo.data.sources.text_corpus import TextCorpus


class Ptb(TextCorpus):
    """The Penn Treebank's newspaper text as language models read it: 929,589 tokens, 10,000 types.

    Lower case, no punctuation, numbers written N, rare words <unk>; one sentence a line.
    Source: Marcus et al., 1993, prepared by Mikolov et al., 2010; `ptb-text-only/ptb_text_only` on the Hub.
    """

    hub_id = "ptb-text-only/ptb_text_only"
    default_revision = "refs/convert/parquet"
    column = "sentence"


class PtbSentences(Ptb):
    """The sentences of the Penn Treebank, each by itself; see `Ptb`."""

    form = "masked_text"
