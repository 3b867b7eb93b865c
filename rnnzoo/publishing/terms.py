"""Under which terms the data of a run are given, as far as that is known."""

from __future__ import annotations

import contextlib

from rnnzoo.publishing.card import HUB_ID
from rnnzoo.publishing.package import Package
from rnnzoo.results.ship import SHIPPABLE
from rnnzoo.runs.record import read_summary
from rnnzoo.runs.summary import at
from rnnzoo.system.network import answers, hub_errors, within
from rnnzoo.system.shipped import models

SECONDS = 10.0  # for the Hub to say


def license_of_data(package: Package, ask: bool) -> str | None:
    """As a shipped model of the same data has it, or as the Hub says of the data set; None if neither.

    ask: whether to ask the Hub.
    """
    source = str(package.summary.get("data", {}).get("id") or "")
    for name, folder in models().items():
        if name in SHIPPABLE and source and at(read_summary(folder), "data.id") == source:
            return SHIPPABLE[name]["licence"]
    if not ask or not HUB_ID.fullmatch(source) or source.startswith("rnnzoo/"):
        return None
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE or not answers(constants.ENDPOINT):
        return None
    with contextlib.suppress(*hub_errors(), AttributeError, TimeoutError):
        info = within(SECONDS, lambda: HfApi().dataset_info(source), (*hub_errors(), AttributeError))
        named = getattr(info.card_data, "license", None)
        names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
        return f"{', '.join(map(str, names))}, as its page on the Hub says." if names else None
    return None
