"""Values of any library as strict JSON."""

from __future__ import annotations

import math
from typing import Any


def plain(value: Any) -> Any:
    """The value in strict JSON: numbers of any library become Python's, NaN and infinity null, the rest text."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if callable(getattr(value, "tolist", None)):  # numpy's and torch's numbers and arrays
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
