"""Series of named channels and a label for each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from rnnzoo.batch import IGNORE, Batch, DataSpec, Field
from rnnzoo.data.base import Columns, RowError, label_ids, named_labels
from rnnzoo.data.encoding.text import Ragged
from rnnzoo.data.forms.channels import ChannelExamples, Channels
from rnnzoo.data.sources.series_files import AskedSeries


@dataclass
class TaggedChannelExamples(ChannelExamples):
    """Series with a label for each step: their numbers end to end, as the values are."""

    def collate(self, window: Sequence[int]) -> Batch:
        """`Batch.target` is (batch, time) int64, IGNORE past the ends."""
        batch = replace(self, target=None, asked=[]).untagged(window)
        if self.target is not None:
            assert batch.index is not None
            batch.target = torch.from_numpy(Ragged(self.target, self.offsets).padded(batch.index.tolist(), IGNORE))
        return batch

    def untagged(self, window: Sequence[int]) -> Batch:
        """The batch without its target."""
        return super().collate(window)


class TaggedChannels(Channels):
    """A series of named channels and one label for each of its steps."""

    name = "tagged_channels"
    columns = ("values", "static", "tags")
    target = "tags"
    stands_for = ("tagged_text",)

    def target_field(self, train: Columns) -> Field:
        return Field("tags", named_labels("tags", [tag for tags in self._tags(train) for tag in tags]))

    def target_array(self, columns: Columns, field: Field) -> np.ndarray:
        """(steps,) int64, row after row."""
        rows = self._tags(columns)
        row_of = np.repeat(np.arange(len(rows)), [len(tags) for tags in rows])
        return label_ids("tags", (tag for tags in rows for tag in tags), field.names, row_of.__getitem__)

    @staticmethod
    def _tags(columns: Columns) -> list[Sequence[str]]:
        for row, (values, tags) in enumerate(zip(columns["values"], columns["tags"], strict=True)):
            if not isinstance(tags, (list, tuple)) or not all(isinstance(tag, str) for tag in tags):
                raise RowError(row, "tags", f"expected a list of labels, got {tags!r:.80}.")
            if len(tags) != len(values):
                raise RowError(row, None, f"{len(values)} steps and {len(tags)} tags.\n  Give each step one tag.")
        return columns["tags"]

    def encode(self, columns: Columns, spec: DataSpec) -> TaggedChannelExamples:
        examples = super().encode(columns, spec)
        return TaggedChannelExamples(examples.values, examples.offsets, examples.target)

    def repeated(self, asked: AskedSeries) -> dict[str, Any]:
        return super().repeated(asked) | ({} if asked.times is None else {"times": list(asked.times)})
