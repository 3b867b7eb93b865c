"""Text to learn a language from: corpora of the Hub, and the user's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnzoo.data.base import Columns
from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.sources.hub import FileSource, HubSource
from rnnzoo.limits import Fraction, checked


class TextCorpus(HubSource):
    """A corpus of running text whose makers fixed all three parts; each row is a line. column: where the text is."""

    form = "text_stream"
    column = "text"

    def parts(self, parts: Any) -> dict[str, Columns]:
        places = {"train": "train", "dev": "validation", "test": "test"}
        return {part: {"text": parts[place].data.column(self.column).to_pylist()} for part, place in places.items()}


class Ptb(TextCorpus):
    """The Penn Treebank's newspaper text as language models read it: 929,589 tokens, 10,000 types.

    Lower case, no punctuation, numbers written N, rare words <unk>; one sentence a line.
    Source: Marcus et al., 1993, prepared by Mikolov et al., 2010; `ptb-text-only/ptb_text_only` on the Hub.
    """

    hub_id = "ptb-text-only/ptb_text_only"
    default_revision = "refs/convert/parquet"
    column = "sentence"


class WikiText2(TextCorpus):
    """Good articles of Wikipedia: 2,088,628 tokens, 33,278 types, with case, punctuation and headings.

    Source: Merity et al., arXiv:1609.07843; `Salesforce/wikitext` on the Hub, the version with <unk> for rare words.
    """

    hub_id = "Salesforce/wikitext"
    config = "wikitext-2-v1"


class TinyShakespeare(TextCorpus):
    """Plays of Shakespeare, 1.1 million characters, each part one text with its line feeds; read it by characters.

    Source: Karpathy, "The unreasonable effectiveness of recurrent neural networks", 2015; `karpathy/tiny_shakespeare`.
    """

    hub_id = "karpathy/tiny_shakespeare"
    default_revision = "refs/convert/parquet"


class TextLines(FileSource):
    """Your own running text: plain text files, read line by line. A line ends at a line feed only.

    train, dev, test: paths. Without dev, the last `dev_fraction` of the training lines are held out; without test,
    there is none. encoding: of all files.
    """

    form = "text_stream"

    @checked
    def __init__(
        self,
        train: str,
        dev: str | None = None,
        test: str | None = None,
        encoding: str = "utf-8",
        dev_fraction: Fraction = 0.1,
    ) -> None:
        super().__init__({"train": train, "dev": dev, "test": test}, encoding, dev_fraction)

    def columns(self, path: Path) -> Columns:
        text = decoded(path, self.encoding).removesuffix("\n")
        return {"text": [line.removesuffix("\r") for line in text.split("\n")]}
