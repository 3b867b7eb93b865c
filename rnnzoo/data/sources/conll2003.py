"""CoNLL-2003: news with the names in it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.hub import HubSource
from rnnzoo.data.sources.tagged_hub import tagged


class Conll2003(HubSource):
    """22,137 sentences of Reuters news of 1996, with the names of persons, places, organisations and others.

    Source: Tjong Kim Sang, De Meulder, "Introduction to the CoNLL-2003 shared task", CoNLL 2003, arXiv:cs/0306050;
    `lhoestq/conll2003` on the Hub, in IOB2.

    tags: names (ner), parts of speech of the Penn Treebank (pos), or syntactic chunks (chunk).
    """

    form = "tagged_text"
    hub_id = "lhoestq/conll2003"
    expected_failures: ClassVar[dict[str, str]] = {"no_overlap": "datelines and lines of scores recur, as published"}

    def __init__(self, revision: str | None = None, tags: Literal["ner", "pos", "chunk"] = "ner") -> None:
        super().__init__(revision)
        if tags not in ("ner", "pos", "chunk"):
            raise ValueError(f"tags must be ner, pos or chunk, got {tags!r}")
        self.tags = tags

    def parts(self, parts: Any) -> dict[str, Columns]:
        names = {"train": "train", "dev": "validation", "test": "test"}
        return {part: tagged(parts[name], f"{self.tags}_tags") for part, name in names.items()}
