"""Multi30k: captions in English and German."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.hub import HubSource

Language = Literal["en", "de"]


class Multi30k(HubSource):
    """Captions of 31,014 photographs in English and German: 29,000 to train on, 1,014 dev, 1,000 test (2016 Flickr).

    Source: Elliott et al., arXiv:1605.00459; `bentrevett/multi30k` on the Hub, raw text.

    revision: the Hub's commit, branch or tag; the newest if not given. source, target: the languages.
    """

    form = "text_pairs"
    hub_id = "bentrevett/multi30k"
    expected_failures: ClassVar[dict[str, str]] = {"no_overlap": "some captions recur, as published"}

    def __init__(self, revision: str | None = None, source: Language = "en", target: Language = "de") -> None:
        super().__init__(revision)
        if source == target:
            raise ValueError(f"source and target are the same language, '{source}'")
        self.columns = {"source": source, "target": target}

    def parts(self, parts: Any) -> dict[str, Columns]:
        names = {"train": "train", "dev": "validation", "test": "test"}
        return {
            part: {column: list(parts[name][language]) for column, language in self.columns.items()}
            for part, name in names.items()
        }
