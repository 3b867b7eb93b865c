"""The Stanford sentiment treebank, for and against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.hub import HubSource
from rnnzoo.data.splits import taken


class Sst2(HubSource):
    """Sentences of film reviews, for training with their phrases, each positive or negative.

    Source: Socher et al., EMNLP 2013, as GLUE has it (arXiv:1804.07461); `stanfordnlp/sst2` on the Hub.
    The labels of GLUE's test split are not public. Its validation split, 872 sentences, is the dev split here. The test
    split is carved from the training split: its last 1,000 rows that seem to be whole sentences (a row that ends
    in a full stop, and is the end of no longer row). What shares four words in a row with one of them, as its phrases
    do, is left out of training. So only the dev score here compares with published ones.
    """

    form = "labelled_text"
    hub_id = "stanfordnlp/sst2"
    test_rows = 1000
    shared_words = 4

    def parts(self, parts: Any) -> dict[str, Columns]:
        train, dev = (self._columns(parts[name]) for name in ("train", "validation"))
        kept, test = carved(train["text"], self.test_rows, self.shared_words)
        return {"train": taken(train, kept), "dev": dev, "test": taken(train, test)}

    @staticmethod
    def _columns(rows: Any) -> Columns:
        names = rows.features["label"].names
        return {
            "text": [text.strip() for text in rows.data.column("sentence").to_pylist()],
            "label": [names[label] for label in rows.data.column("label").to_pylist()],
        }


def carved(texts: Sequence[str], count: int, shared: int) -> tuple[list[int], list[int]]:
    """The rows to train on, and the last `count` sentences of `shared` words or more.

    None of the first has `shared` words in a row that one of the second has.
    """
    test = [row for row in _sentences(texts) if any(_runs(texts[row], shared))][-count:]
    seen = {run for row in test for run in _runs(texts[row], shared)}
    kept = [row for row, text in enumerate(texts) if seen.isdisjoint(_runs(text, shared))]
    return kept, test


def _sentences(texts: Sequence[str]) -> list[int]:
    """The rows that end in a full stop and are the end of no other row, in order."""
    ends = sorted((text[::-1], row) for row, text in enumerate(texts) if text.endswith(" ."))
    longer = [*ends[1:], ("", -1)]  # read backwards, the continuation of a text is sorted right behind it
    return sorted(row for (text, row), (after, _) in zip(ends, longer, strict=True) if not after.startswith(text))


def _runs(text: str, length: int) -> Iterator[tuple[str, ...]]:
    words = text.split()
    return zip(*(words[start:] for start in range(length)), strict=False)
