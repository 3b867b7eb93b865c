"""The formats of `rnnzoo export`, each with the module that writes it. Importing this module does not import torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from rnnzoo.errors import ZooError, unknown

if TYPE_CHECKING:
    from rnnzoo.export.format import Format

FORMATS = {  # a module of this folder that holds FORMAT, by the name of the format
    "torch": "torch_program",
    "onnx": "onnx_file",
    "c": "c.file",
    "web": "web_page",
}


def find(name: str) -> Format:
    """A format by its name. Raises: ZooError for one that does not exist."""
    if name not in FORMATS:
        raise ZooError(unknown("no format of an export is named", name, FORMATS))
    return cast("Format", importlib.import_module(f"rnnzoo.export.{FORMATS[name]}").FORMAT)
