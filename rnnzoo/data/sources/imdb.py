"""IMDB: film reviews, each positive or negative."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.hub import HubSource
from rnnzoo.data.splits import drawn, held_out, taken
from rnnzoo.limits import Fraction, Seed, checked


class Imdb(HubSource):
    """50,000 film reviews, half of them positive: 25,000 for training, 25,000 for testing.

    Source: Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011; `stanfordnlp/imdb` on the Hub.

    dev_split: "films" makes the dev split of the training split's end, after a gap: reviews of one film stand together.
    "random" draws it with `split_seed`, as many tutorials do: it shares films with what is trained on, and reads about
    three points of accuracy high. "test", as other tutorials have it, trains on all of the training split and takes the
    test split as dev split; there is no test split then, since a checkpoint chosen on it is not tested on it.
    dev_fraction: of the training split, for "films" and "random". revision: the Hub's commit, branch or tag; the newest
    if not given.
    """

    form = "labelled_text"
    hub_id = "stanfordnlp/imdb"
    gap = 30  # reviews of each label; no film has more
    expected_failures: ClassVar[dict[str, str]] = {"no_overlap": "some reviews stand in it twice, as published"}

    @checked
    def __init__(
        self,
        revision: str | None = None,
        dev_split: Literal["films", "random", "test"] = "films",
        dev_fraction: Fraction = 0.1,
        split_seed: Seed = 123,
    ) -> None:
        super().__init__(revision)
        self.dev_split, self.dev_fraction, self.split_seed = dev_split, dev_fraction, split_seed

    def parts(self, parts: Any) -> dict[str, Columns]:
        train, test = (self._columns(parts[name]) for name in ("train", "test"))
        if self.dev_split == "test":
            return {"train": train, "dev": test}
        if self.dev_split == "films":
            train_rows, dev_rows = held_out(train["label"], self.dev_fraction, self.gap)
        else:
            train_rows, dev_rows = drawn(len(train["label"]), self.dev_fraction, self.split_seed)
        return {"train": taken(train, train_rows), "dev": taken(train, dev_rows), "test": test}

    def identity(self) -> dict[str, str | None]:
        return super().identity() | ({"dev": "the test part"} if self.dev_split == "test" else {})

    @staticmethod
    def _columns(rows: Any) -> Columns:
        names = rows.features["label"].names
        table = rows.data
        return {
            "text": [text.replace("<br />", " ") for text in table.column("text").to_pylist()],
            "label": [names[label] for label in table.column("label").to_pylist()],
        }
