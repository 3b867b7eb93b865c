"""A resolved recipe as YAML, and the digest of what it computes."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import yaml

from rnnzoo.recipe.sections import LoaderOptions

LATER = {  # keys of later versions, by section: null or false is as it was before
    "task": ("class_weights", "threshold"),
    "data": ("sampler", "separator", "streaming", "window"),
    "trainer": ("exact",),
    "model": {"inputs": {"tokens": ("sparse",)}},
}
LOADING = [option.name for option in fields(LoaderOptions)]


def dump(resolved: Mapping[str, Any]) -> str:
    """YAML that `read` and `resolve` turn back into exactly `resolved`."""
    return yaml.dump(
        resolved, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf, default_flow_style=False
    )


def digest(resolved: Mapping[str, Any]) -> str:
    """The sha256 of what a resolved recipe computes: without format, name, tracking, and how it is saved and loaded.

    A key that a later version has added counts where it is set. What follows on bad numbers counts only where the run
    goes on after them.
    """
    what = {key: value for key, value in resolved.items() if key not in ("format", "name", "tracking", "checkpoint")}
    if isinstance(data := what.get("data"), Mapping):
        what["data"] = {key: value for key, value in data.items() if key not in LOADING}
    what = without_later(what)
    if isinstance(bad := what.get("bad_numbers"), Mapping) and bad.get("policy") == "stop":
        del what["bad_numbers"]
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def without_later(settings: Mapping[str, Any], later: Mapping[str, Any] | tuple[str, ...] = LATER) -> dict[str, Any]:
    """A resolved recipe without the keys that a later version has added, where these are as it was before."""
    if isinstance(later, tuple):
        return {
            key: value for key, value in settings.items() if key not in later or not (value is None or value is False)
        }
    return {
        key: without_later(value, later[key]) if key in later and isinstance(value, Mapping) else value
        for key, value in settings.items()
    }


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Bare only what every YAML reads as text: `1e-3` is a number to YAML 1.2, and `no` a bool to YAML 1.1."""
    bare = re.fullmatch(r"[A-Za-z_][\w./-]*", text, re.ASCII)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if bare else '"')


_Dumper.add_representer(str, _represent_text)
