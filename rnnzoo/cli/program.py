"""One command, from its words to its exit code. A verb's module is imported when the verb is asked for."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from rnnzoo import __version__
from rnnzoo.errors import LostProcess, Stopped, ZooError, nearest
from rnnzoo.system import console
from rnnzoo.system.launcher import forget_leftovers, rank
from rnnzoo.system.parent import speaks, watch_parent

if TYPE_CHECKING:
    from rnnzoo.cli.parser import Parser, Verb

VERBS = {  # each with a module of this folder
    "look": "look at a recipe's data before a training",
    "prepare": "encode a recipe's data once, ahead of its runs",
    "fit": "train a recipe, test its best checkpoint, log it",
    "sweep": "train a recipe many times, and run the best again",
    "launch": "print the script that trains a recipe on other machines",
    "validate": "score a run's best checkpoint on its dev data",
    "test": "score a run's best checkpoint on its test data",
    "predict": "ask a trained model",
    "encode": "vectors of texts or series, by a trained model",
    "explain": "which tokens of a text made a trained model's answer",
    "generate": "continue a text with a language model; <unk> is never written",
    "export": "write a trained model as a file that runs without rnnzoo",
    "push": "put a trained model into a repository of the Hugging Face Hub",
    "serve": "answer requests with a trained model, over HTTP",
    "page": "write a trained model as one HTML file that runs it",
    "reproduce": "run a finished run again, and say whether the same comes out",
    "list": "list what is installed",
    "show": "show a part, a recipe or a run",
    "compare": "compare finished runs: what differs, what they score and cost",
    "gradients": "plot the gradient of the last output of trained models through time",
    "check": "check that a part keeps its contract, and show what holds",
    "new-plugin": "write a package with a part of your own",
    "results": "make the table of results from finished runs of the shipped recipes",
    "vectors": "train or score vectors of words",
    "bench": "measure the speed of cells, or of a recipe",
}
HELP = """\
usage: rnnzoo [-h] [--version] COMMAND ...

The model zoo of recurrent networks for PyTorch Lightning.

options:
  -h, --help    show this help and exit; `rnnzoo COMMAND --help` is more
  --version     show the version and exit

commands:
{commands}

example: rnnzoo fit quickstart"""
MISTAKE_EXIT, SIGINT_EXIT, PIPE_EXIT, SIGNAL_EXIT = 2, 130, 141, 128  # SIGNAL_EXIT: plus the signal's number
FIRST_SECONDS = 2.0  # that the first process of a run has to tell a mistake that all of them make, and end the others
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 2 for a mistake of the caller, 130 for Ctrl-C, 143 for SIGTERM."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # torch's idle threads give their cores away, read on its import
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # a stack of C++ for each try to reach another process
    watch_parent()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what the terminal's encoding lacks is printed as an escape
            stream.reconfigure(errors="backslashreplace")
    try:
        return _report_mistakes([*(sys.argv[1:] if arguments is None else arguments)])
    except BrokenPipeError:  # `| head` has seen enough
        _drop_output()
        return PIPE_EXIT
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        _drop_output()
        console.print_error(f"cannot write {error.filename or 'the output'}: {error.strerror}.")
        return MISTAKE_EXIT


def _report_mistakes(words: list[str]) -> int:
    """Run one command; the message of a mistake comes after everything that was printed before it."""
    try:
        code = run(words)
        console.flush()
        return code
    except ZooError as error:
        if rank() > 0:
            time.sleep(FIRST_SECONDS)
        if not isinstance(error, LostProcess) or speaks():
            console.print_error(error)
        return MISTAKE_EXIT
    except KeyboardInterrupt as stop:
        console.flush()
        if sys.stderr.isatty():
            console.print_error()  # the terminal has written ^C
        console.print_error(str(stop) or "stopped.")
        return SIGNAL_EXIT + stop.number if isinstance(stop, Stopped) else SIGINT_EXIT


def _drop_output() -> None:
    """Send what is still to be printed nowhere, so that Python does not fail on it when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(words: list[str]) -> int:
    """Run the verb that comes first, or answer `--help` and `--version`. Raises: ZooError."""
    name = words[0] if words else "--help"
    if name in ("-h", "--help", "--version"):
        console.print(f"rnnzoo {__version__}" if name == "--version" else _help())
        return 0
    if name.startswith("-"):
        raise ZooError(f"rnnzoo: unexpected argument '{name}'.\n  See `rnnzoo --help`.")
    if name not in VERBS:
        match = nearest(name, VERBS)
        hint = f"\n  Did you mean '{match}'?" if match else ""
        raise ZooError(f"no command is named '{name}'.{hint}\n  Commands: {', '.join(VERBS)}.")
    parser = parser_of(name)
    try:
        arguments, rest = parser.parse_known_args(words[1:])
    except SystemExit:  # --help has printed; mistakes are raised
        return 0
    if rest:
        raise ZooError(f"{parser.prog}: unexpected argument '{rest[0]}'.\n  See `{parser.prog} --help`.")
    if warning := forget_leftovers():
        console.print_error(warning)
    with console.guarded():
        return verb(name).run(arguments)


def _help() -> str:
    width = max(map(len, VERBS))
    return HELP.format(commands="\n".join(f"    {name.ljust(width)}  {summary}" for name, summary in VERBS.items()))


def verb(name: str) -> Verb:
    """The module of a verb."""
    return cast("Verb", importlib.import_module(f"rnnzoo.cli.{name.replace('-', '_')}"))


def parser_of(name: str) -> Parser:
    """The parser of a verb, with its arguments."""
    from rnnzoo.cli.parser import Parser

    module, summary = verb(name), VERBS[name]
    parser = Parser(
        prog=f"rnnzoo {name}",
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example: {module.EXAMPLE}",
    )
    module.add_arguments(parser)
    return parser
