"""The English Web Treebank, with parts of speech."""

from __future__ import annotations

from typing import Any, ClassVar

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.hub import HubSource
from rnnzoo.data.sources.tagged_hub import tagged


class UdEwt(HubSource):
    """16,622 sentences of English web text, with universal parts of speech.

    Source: Silveira et al., "A Gold Standard Dependency Corpus for English", LREC 2014; configuration `en_ewt` of
    `universal-dependencies/universal_dependencies` on the Hub. The words are those of the treebank.
    """

    form = "tagged_text"
    hub_id = "universal-dependencies/universal_dependencies"
    config = "en_ewt"
    default_revision = "refs/convert/parquet"
    expected_failures: ClassVar[dict[str, str]] = {"no_overlap": "greetings and other short lines recur, as published"}

    def parts(self, parts: Any) -> dict[str, Columns]:
        names = {"train": "train", "dev": "validation", "test": "test"}
        return {part: tagged(parts[name], "upos") for part, name in names.items()}
