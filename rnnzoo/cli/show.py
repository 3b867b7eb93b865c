"""`rnnzoo show`: a part, a recipe, a shipped model or a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rnnzoo import registry
from rnnzoo.cli import names
from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import UnknownName, ZooError, unknown
from rnnzoo.system import console, files
from rnnzoo.system.paths import typed
from rnnzoo.system.plain import plain

IN_FOLDER = Path("report.html in the run's folder")
EXAMPLE = "rnnzoo show cell lstm   or   rnnzoo show runs/quickstart/ID"


def add_arguments(parser: Parser) -> None:
    parser.usage = "rnnzoo show KIND NAME | RUN [--json | --curves FILE | --report [FILE]]"
    parser.add_argument("what", nargs="+", metavar="KIND NAME | RUN", help="a kind and a name, or a run")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object (of a run)")
    output.add_argument("--curves", type=typed, metavar="FILE", help="draw a run's training and validation, as .svg")
    report = "draw a run's pictures and its page again, in its folder, or the page alone as FILE"
    output.add_argument("--report", type=typed, nargs="?", const=IN_FOLDER, metavar="FILE", help=report)


def run(arguments: Namespace) -> int:
    if len(arguments.what) == 1:
        show_run(arguments.what[0], arguments.json, arguments.curves, arguments.report)
        return 0
    given = {"--json": arguments.json, "--curves": arguments.curves, "--report": arguments.report}
    of_runs = [flag for flag, value in given.items() if value]
    if len(arguments.what) > 2 or of_runs:
        got = " ".join([*arguments.what, *of_runs])
        raise ZooError(f"rnnzoo show: takes a kind and a name, or a run, got '{got}'.\n  As in: rnnzoo show cell lstm")
    kind, name = names.kind_of(arguments.what[0]), arguments.what[1]
    if kind == "recipes":
        show_recipe(name)
    elif kind == "models":
        show_model(name)
    else:
        show_part(kind, name)
    return 0


def show_run(run: str, as_json: bool, picture: Path | None, page: Path | None) -> None:
    """Print what is known of a run, or draw it. Raises: RunError, with a hint where a part has the name."""
    from rnnzoo import runs
    from rnnzoo.runs import report

    try:
        facts = runs.read(run)
    except ZooError as error:
        kinds = [kind for kind in names.LISTS if run in (kind, kind.removesuffix("s"))]
        named = [row["kind"] for row in names.listed() if row["name"] == run]
        if kinds or named:
            hint = f"{run} NAME" if kinds else f"{named[0]} {run}"
            raise ZooError(f"{error}\n  To show a part or a recipe: rnnzoo show {hint}") from None
        raise
    if picture is not None:
        from rnnzoo.pictures import curves

        curves.draw(Path(facts["path"]), picture)
        console.print(picture)
    elif page is not None:
        from rnnzoo.reports.write import write

        console.print(console.short(write(Path(facts["path"]), None if page == IN_FOLDER else page)))
    elif as_json:
        console.print_json(plain(facts), indent=2)
    else:
        report.show_run(facts)


def show_recipe(name: str) -> None:
    """Print a recipe's file. Raises: RecipeError."""
    from rnnzoo import recipe

    console.print(recipe.text(name), end="")


def show_model(name: str) -> None:
    """Print a shipped model's card. Raises: UnknownName."""
    from rnnzoo.runs import pretrained_models

    folder = pretrained_models.find(name)
    if folder is None:
        raise UnknownName(unknown("no trained model is shipped as", name, pretrained_models.names()))
    console.print(files.read_text(folder / "README.md"), end="")


def show_part(kind: str, name: str) -> None:
    """Print whose a part is, its docstring, its parameters and its source. Raises: UnknownName, PluginError."""
    import inspect

    entry = registry.find(kind, name)
    cls = registry.load(kind, name)
    whose = f"{entry.value}, {entry.distribution} {entry.version}".rstrip()
    console.print(
        f"{registry.SINGULAR[kind]} {entry.name}: {whose}\n\n{inspect.getdoc(cls) or '(no docstring)'}\n\nParameters:"
    )
    console.table(_parameters(kind, cls))
    console.print("\nSource:")
    try:
        console.print(inspect.getsource(cls), end="")
    except (OSError, TypeError):
        console.print("  not available")


def _parameters(kind: str, cls: Any) -> list[tuple[str, ...]]:
    """Name, type and default of what a recipe may set of a part; of a data set, also what it may set of its forms."""
    from rnnzoo.limits import described
    from rnnzoo.recipe.schema import part_kind, signature

    classes = [cls]
    if kind == "datasets":
        from rnnzoo.data.forms import FORMS, forms_of
        from rnnzoo.recipe.sections import FoldOptions, LoaderOptions, StreamingOptions

        forms = [FORMS[form] for form in forms_of(cls) if form in FORMS]
        classes += [*forms, LoaderOptions, StreamingOptions, FoldOptions] if forms else []
    rows: dict[str, tuple[str, ...]] = {}
    for owner in classes:
        try:
            parameters = signature(owner, registry.KINDS[kind].reserved)
        except ValueError as error:
            return [(f"cannot be read: {error}",)]
        for name, parameter in parameters.items():
            inner = part_kind(parameter.annotated)
            what = f"one of the {inner}" if inner else described(parameter.annotated)
            default = "required" if parameter.required else f"= {json.dumps(parameter.default)}"
            rows.setdefault(name, (name, what, default))
    return [*rows.values()] or [("none",)]
