"""How fast a cell or a recipe runs here."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `rnnzoo bench`."""


def run(given: argparse.Namespace) -> int:
    """Measure, print, and return the exit code."""
    return 0
