"""`rnnzoo export`: a trained model as a file that runs without rnnzoo."""

from __future__ import annotations

from pathlib import Path

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.export.formats import FORMATS, find
from rnnzoo.system import console
from rnnzoo.system.paths import typed
from rnnzoo.system.quantities import size

EXAMPLE = "rnnzoo export quickstart --format torch --out quickstart.pt2"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    parser.add_argument("--format", required=True, metavar="FORMAT", help=f"{', '.join(FORMATS)}")
    parser.add_argument("--out", metavar="FILE", help="the file to write (default: the run's name, in this folder)")


def run(arguments: Namespace) -> int:
    form = find(arguments.format)
    from rnnzoo.export.base import Exported, write
    from rnnzoo.inference import predictor

    exported = Exported(predictor.load(arguments.run))
    path = typed(arguments.out) if arguments.out else Path(Path(arguments.run).name + form.suffix)
    report = write(exported, form, path)
    console.print(
        f"wrote {path} ({size(report.size)}): {report.calls} calls of other sizes agree with the model, "
        f"largest difference {report.difference:.2g}"
    )
    if exported.slots:
        console.print("it can stream: state in and out, " + ", ".join(slot.name for slot in exported.slots))
    return 0
