"""Refuses processes that do not belong to one run: with other versions, another recipe, other data, another folder."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo.errors import RunError
from rnnzoo.system import files
from rnnzoo.system.console import inline, short
from rnnzoo.system.files import JsonObject

MOST = 5  # differences that a message shows
MISSING = "nothing"


class Together(Callback):
    """Compare what each process of a run is about to train with the first one's, before the first step.

    folder: of the run; all processes read the checkpoints that the first one writes there. facts: JSON, what must be
    the same in each: versions, the recipe, which data.

    Raises: RunError, in all processes, naming both sides of each difference.
    """

    def __init__(self, folder: Path, facts: JsonObject) -> None:
        self.folder, self.facts = folder, facts

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit" or trainer.world_size == 1:
            return
        sign = f".together-{secrets.token_hex(8)}"
        if trainer.is_global_zero:
            files.write_text(self.folder / sign, "")
        try:
            everyone = _gathered({"host": socket.gethostname(), "sign": sign, "facts": self.facts})
            seen = _gathered((self.folder / everyone[0]["sign"]).exists())
        finally:
            if trainer.is_global_zero:
                with contextlib.suppress(OSError):
                    (self.folder / sign).unlink()
        if problem := _problem(everyone, seen, self.folder):
            raise RunError(problem)


def _gathered(mine: Any) -> list[Any]:
    """What each process gives, by its number."""
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, mine)
    return parts


def _problem(everyone: list[Any], seen: list[bool], folder: Path) -> str | None:
    """What is not the same in all processes, the first one's against that of the first that differs; None if all is."""
    first = everyone[0]
    for rank, other in enumerate(everyone):
        here, there = f"process 0 ({inline(first['host'])})", f"process {rank} ({inline(other['host'])})"
        if found := list(differences(first["facts"], other["facts"])):
            lines = [f"{key}: {here} has {one}, {there} has {two}." for key, one, two in found[:MOST]]
            lines += [f"... and {len(found) - MOST} more."] if len(found) > MOST else []
            told = "\n  ".join(lines)
            return (
                f"the processes of the run are not alike: process {rank} differs from process 0 in {found[0][0]}.\n"
                f"  {told}\n"
                "  Start the same command, with the same packages and the same data, on every machine."
            )
        if not seen[rank]:
            return (
                f"{there} does not see the run's folder as {here} does: {short(folder)}.\n"
                "  All read the checkpoints that the first one writes: give a --run_dir that the machines share."
            )
    return None


def differences(one: Any, two: Any, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Where two pieces of JSON differ: the dotted key, and both values as they are printed."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for name in dict.fromkeys((*one, *two)):
            place = f"{key}.{name}" if key else name
            yield from differences(one.get(name, MISSING), two.get(name, MISSING), place)
    elif one != two:
        yield key, inline(one, 60), inline(two, 60)
