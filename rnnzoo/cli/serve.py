"""`rnnzoo serve`: answer requests with a trained model."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import Annotated, Any

from rnnzoo import limits
from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import RunError, ZooError
from rnnzoo.limits import Limit
from rnnzoo.serving.options import Options, is_loopback
from rnnzoo.system import console

EXAMPLE = "rnnzoo serve sentiment --port 8000"
MODULES = ("starlette", "uvicorn", "httptools", "prometheus_client")
SETTINGS: dict[str, tuple[type, Any, str]] = {
    "port": (int, Annotated[int, Limit(0, 65535)], "0 takes one that is free"),
    "batch_size": (int, limits.Count, "inputs that are answered together"),
    "batch_wait": (float, Annotated[float, Limit(0, 10)], "seconds that the first input of a batch waits for others"),
    "timeout": (float, Annotated[float, Limit(0.1, 3600)], "seconds that a request may take"),
    "body": (int, Annotated[int, Limit(1, 2**30)], "bytes of a request, at most"),
    "texts": (int, limits.Count, "texts or series of a request, at most"),
    "characters": (int, limits.Count, "of a text, at most"),
    "steps": (int, limits.Count, "of a series, at most"),
    "tokens": (int, limits.Count, "that are written for a request, at most"),
    "waiting": (int, limits.Count, "requests that wait for the model, at most"),
    "threads": (int, limits.Count, "of torch"),
}


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    parser.add_argument("--host", default=Options.host, metavar="H", help=f"to listen at (default: {Options.host})")
    for name, (kind, _, summary) in SETTINGS.items():
        default = getattr(Options, name)
        note = f" (default: {default})" if default is not None else " (default: all cores but one)"
        parser.add_argument(f"--{name}", type=kind, default=default, metavar=name[0].upper(), help=summary + note)


def run(arguments: Namespace) -> int:
    options = _options(arguments)
    if any(importlib.util.find_spec(module) is None for module in MODULES):
        raise RunError("rnnzoo serve needs packages that are not installed: pip install 'rnnzoo[serve]'")
    if not is_loopback(options.host):
        console.print_error(
            f"warning: all who can reach {options.host} can ask the model. There is no password and no encryption."
        )
    from rnnzoo.inference import predictor
    from rnnzoo.serving.serve import serve

    model = predictor.load(arguments.run)
    name = model.recipe["name"]

    def ready(address: str) -> None:
        console.print(f"{name} answers at {address}; {address}/docs says how. Ctrl-C ends it.")
        console.flush()

    serve(model, name, options, ready)
    return 0


def _options(arguments: Namespace) -> Options:
    """Raises: ZooError, with every mistake."""
    wrong = [
        f"rnnzoo serve: --{name} {problem}."
        for name, (_, annotation, _) in SETTINGS.items()
        if (value := getattr(arguments, name)) is not None and (problem := limits.violation(annotation, value))
    ]
    if wrong:
        raise ZooError(*wrong)
    return Options(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Options)})
