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
    parser.add_argument("--int8", action="store_true", help="matrices of 8 bits, and what that costs (onnx, c, web)")


def run(arguments: Namespace) -> int:
    form = find(arguments.format)
    from rnnzoo.export.base import Exported
    from rnnzoo.export.format import write
    from rnnzoo.inference import predictor

    model = predictor.load(arguments.run)
    exported = Exported(model, arguments.int8)
    path = typed(arguments.out) if arguments.out else Path(Path(arguments.run).name + form.suffix)
    report = write(exported, form, path)
    console.print(
        f"wrote {console.inline(str(path))} ({size(report.size)}): {report.calls} calls of other sizes agree with the "
        f"model{' in 8 bits' if arguments.int8 else ''}, largest difference {report.difference:.2g}"
    )
    if exported.slots:
        console.print("it can stream: state in and out, " + ", ".join(slot.name for slot in exported.slots))
    if arguments.int8:
        from rnnzoo.export import cost

        numbers = sum(parameter.numel() for parameter in model.model.parameters())
        console.print(f"its weights have {size(4 * numbers)} in 32 bits")
        for line in cost.lines(arguments.run, exported, Exported(model)):
            console.print(line)
    return 0
