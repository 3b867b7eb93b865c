"""Tagged words of the Hub."""

from __future__ import annotations

from typing import Any

from rnnzoo.data.base import Columns


def tagged(rows: Any, column: str) -> Columns:
    """The words and the tags of a `datasets.Dataset` whose tags are numbers."""
    names = rows.features[column].feature.names
    table = rows.data
    return {
        "words": table.column("tokens").to_pylist(),
        "tags": [[names[tag] for tag in tags] for tags in table.column(column).to_pylist()],
    }
