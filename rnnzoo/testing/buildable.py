"""What a part of any kind promises: a recipe can build it."""

from __future__ import annotations

import json

from rnnzoo.testing.subject import Subject


def check_builds_from_json(subject: Subject) -> str:
    """Every parameter is plain data with a default: a recipe can build the part."""
    missing = subject.missing_parameters
    subject.require(not missing, f"expected a default for every parameter, found none for {', '.join(missing)}")
    defaults = {name: p.default for name, p in subject.signature.items() if not p.required}
    json.dumps(defaults, allow_nan=False)
    return f"parameters: {', '.join(subject.signature) or 'none'}"
