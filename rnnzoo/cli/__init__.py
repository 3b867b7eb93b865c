"""The command line: a file a verb, and `program.py`, which knows their names and runs the one that is asked for."""

from rnnzoo.cli.program import main

__all__ = ["main"]
