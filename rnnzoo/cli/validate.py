"""`rnnzoo validate`: score a run's best checkpoint on its dev data."""

from __future__ import annotations

from rnnzoo.cli.parser import Namespace
from rnnzoo.cli.test import add_arguments, score

__all__ = ["EXAMPLE", "add_arguments", "run"]
EXAMPLE = "rnnzoo validate runs/quickstart/ID"


def run(arguments: Namespace) -> int:
    return score(arguments, "dev")
