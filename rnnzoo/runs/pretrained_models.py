"""Trained models that come with rnnzoo, usable offline. Importing this module imports no torch.

rnnzoo/pretrained/<recipe>/             written by `rnnzoo results RUN --ship`
    README.md                           the card: what it is for, data, licence, scores, recipe
    summary.json                        the facts of its run
    weights.safetensors                 in half precision; the model computes in single precision
    meta.json, spec.json, MANIFEST.json     as in any checkpoint, see rnnzoo.runs.checkpoint
"""

from pathlib import Path

from rnnzoo.system.shipped import PACKAGE, models

FOLDER = PACKAGE / "pretrained"
ALIASES = {  # other names -> the model
    "sentiment": "imdb_bilstm",
    "pos": "ud_pos",
    "part_of_speech": "ud_pos",
    "next_word": "shakespeare_lstm",
    "shakespeare": "shakespeare_lstm",
}


def find(name: str | Path) -> Path | None:
    """The folder of a model by its name or alias; None if none is shipped under it."""
    return models().get(ALIASES.get(str(name), str(name)))


def names() -> list[str]:
    """Every name that `find` knows."""
    here = models()
    return [*here, *(alias for alias, name in ALIASES.items() if name in here)]
