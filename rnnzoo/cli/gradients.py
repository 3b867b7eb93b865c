"""`rnnzoo gradients`: plot the gradient of the last output through time."""

from __future__ import annotations

from pathlib import Path

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.system import console, files
from rnnzoo.system.paths import typed
from rnnzoo.system.plain import plain

EXAMPLE = "rnnzoo gradients runs/adding_lstm/ID runs/adding_vanilla/ID --out reach.svg"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", nargs="+", metavar="RUN", help="runs' folders, or their ids")
    parser.add_argument(
        "--out", type=typed, default=Path("gradients.svg"), metavar="FILE", help="(default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print each run's |dh_T/dx_(T-k)|, k = 0, 1, ...")


def run(arguments: Namespace) -> int:
    from rnnzoo.experiment import gradients

    curves: dict[str, list[float]] = {run: gradients.of_run(run) for run in arguments.run}
    if arguments.json:
        console.print_json(plain(curves))
    else:
        for run, norms in curves.items():
            half = next((str(k) for k, norm in enumerate(norms) if norm < norms[0] / 2), f"more than {len(norms) - 1}")
            reach = f"halved {half} steps back" if norms[0] > 0 else "zero, infinite or NaN at the last step"
            console.print(f"{run}: the gradient is {reach}")
    names = [Path(run).name for run in curves]
    lines = {
        name if names.count(name) == 1 else run: norms for name, (run, norms) in zip(names, curves.items(), strict=True)
    }
    files.write_text(arguments.out, gradients.picture(lines))
    if not arguments.json:
        console.print(f"drawn: {arguments.out}")
    return 0
