"""What is wrong with the trackers that a recipe names, beside their settings."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ALWAYS = "wandb"  # there without being named


def mistakes(trackers: Sequence[Mapping[str, Any]], classes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The key and the message of each mistake.

    trackers: of the recipe's `tracking.also`; empty ones are wrong already. classes: of parts, by their key.
    """
    key = "tracking.also"
    names = [tracker["name"].rpartition(":")[2] for tracker in trackers if tracker]
    for name in dict.fromkeys(names):
        if name == ALWAYS:
            yield key, "'wandb' is always there.\n  `tracking.mode` says how, or disables it."
        elif names.count(name) > 1:
            yield key, f"'{name}' is there {names.count(name)} times.\n  Keep one of them."
    for place, tracker in enumerate(trackers):
        required = getattr(classes.get(f"{key}[{place}]"), "requires", None)
        for module, requirement in required.items() if isinstance(required, Mapping) else ():
            if importlib.util.find_spec(module.partition(".")[0]) is None:
                missing = f"'{tracker['name']}' needs the package {module}, which is not installed"
                yield f"{key}[{place}]", f"{missing}: pip install '{requirement}'"
