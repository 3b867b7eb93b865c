"""Running text of the Hub, to learn a language from."""

from __future__ import annotations

from typing import Any

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.hub import HubSource


class TextCorpus(HubSource):
    """A corpus of running text whose makers fixed all three parts; each row is a line. column: where the text is."""

    form = "text_stream"
    column = "text"

    def parts(self, parts: Any) -> dict[str, Columns]:
        places = {"train": "train", "dev": "validation", "test": "test"}
        return {part: {"text": parts[place].data.column(self.column).to_pylist()} for part, place in places.items()}
