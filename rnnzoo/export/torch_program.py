"""A program of torch.export: one .pt2 file that torch loads without rnnzoo.

    program = torch.export.load("model.pt2").module()
    logits, *state = program(tokens, lengths, *state)

The description is an extra file: with `found = {"rnnzoo.json": ""}`, `torch.export.load(path, extra_files=found)` puts
its text into `found`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from rnnzoo.export.base import Exported
from rnnzoo.export.format import Format, Run, plain_json
from rnnzoo.export.pure import program

EXTRA = "rnnzoo.json"


class TorchProgram(Format):
    """`torch.export`'s own file."""

    name, suffix = "torch", ".pt2"

    def write(self, exported: Exported, path: Path) -> None:
        torch.export.save(program(exported), path, extra_files={EXTRA: plain_json(exported.description())})

    @contextmanager
    def running(self, exported: Exported, path: Path) -> Iterator[Run]:
        loaded = torch.export.load(path).module()
        with torch.no_grad():
            yield lambda *arguments: loaded(*arguments)


FORMAT = TorchProgram()
