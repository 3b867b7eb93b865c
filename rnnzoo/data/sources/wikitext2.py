"""WikiText-2."""

from __future__ import annotations

from rnnzoo.data.sources.text_corpus import TextCorpus


class WikiText2(TextCorpus):
    """Good articles of Wikipedia: 2,088,628 tokens, 33,278 types, with case, punctuation and headings.

    Source: Merity et al., arXiv:1609.07843; `Salesforce/wikitext` on the Hub, the version with <unk> for rare words.
    """

    hub_id = "Salesforce/wikitext"
    config = "wikitext-2-v1"
