"""`rnnzoo compare`: finished runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import ZooError
from rnnzoo.system import console, files
from rnnzoo.system.paths import typed

if TYPE_CHECKING:
    from rnnzoo.compare.comparison import Comparison

EXAMPLE = "rnnzoo compare runs/imdb_bilstm   or   rnnzoo compare runs --at cpu_seconds=300"


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN | DIR | FILE.wandb",
        help="runs' folders or ids, folders with runs in them, or W&B's files of runs",
    )
    parser.add_argument("--wandb", metavar="ENTITY/PROJECT", help="runs of a project on W&B's server, too")
    parser.add_argument("--report", metavar="ENTITY/PROJECT", help="make a report of these runs on W&B")
    parser.add_argument("--publish", type=typed, metavar="FILE", help="send a report that was kept without a network")
    parser.add_argument(
        "--at", metavar="AXIS=N", help="dev scores at equal cost: cpu_seconds, tokens, epoch, step, ..."
    )
    parser.add_argument("--metric", metavar="NAME", help="the metric that counts (default: what chose the checkpoints)")
    parser.add_argument(
        "--where", action="append", default=[], metavar="KEY=VALUE", help="only runs with this setting; may be repeated"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object, with every run and setting")
    output.add_argument("--csv", action="store_true", help="print a line a run")
    output.add_argument("--md", action="store_true", help="print a page in Markdown")
    parser.add_argument(
        "--html", type=typed, metavar="FILE", help="write a page for a browser, with curves and examples"
    )
    parser.add_argument("--out", type=typed, metavar="FILE", help="write the JSON, CSV or Markdown there instead")


def run(arguments: Namespace) -> int:
    """Compare and print. Raises: ZooError."""
    from rnnzoo.compare import compare, exports, parse_at, terminal

    kind = next((name for name in exports.WRITERS if getattr(arguments, name)), None)
    if arguments.out and not kind:
        raise ZooError(
            "rnnzoo compare: --out needs --json, --csv or --md.\n  As in: rnnzoo compare runs --csv --out a.csv"
        )
    if arguments.publish:
        return _publish(arguments.publish)
    if not (arguments.runs or arguments.wandb):
        raise ZooError("rnnzoo compare: names no run.\n  As in: rnnzoo compare runs, or: --wandb ENTITY/PROJECT")
    at = parse_at(arguments.at) if arguments.at is not None else None
    where = dict(map(_setting, arguments.where))
    comparison = compare(arguments.runs, at=at, metric=arguments.metric, where=where, project=arguments.wandb)
    if arguments.html:
        from rnnzoo.compare import page

        files.write_text(arguments.html, page.render(comparison))
        console.print_error(f"page: {arguments.html}")
    if arguments.report:
        _report(comparison, arguments.report)
    if kind is None:
        terminal.show(comparison)
        return 0
    text = exports.WRITERS[kind](comparison)
    if arguments.out:
        files.write_text(arguments.out, text)
        console.print(arguments.out)
    else:
        console.print(text, end="")
    return 0


def _report(comparison: Comparison, project: str) -> None:
    """Send a report to W&B; where that fails, keep it beside the runs and say how it is sent later."""
    from rnnzoo.compare import report_plan, wandb_api, wandb_reports

    plan = report_plan.plan(comparison, *wandb_api.split_project(project))
    try:
        console.print_error(f"report: {wandb_reports.publish(plan)}")
    except ZooError as error:
        path = comparison.runs[0].path.parent / "wandb-report.json"
        if not path.parent.is_dir():  # of a run on the server
            path = Path(path.name)
        report_plan.write(path, plan)
        console.print_error(f"{error}\n  The report is kept; later: rnnzoo compare --publish {console.short(path)}")


def _publish(path: Path) -> int:
    from rnnzoo.compare import report_plan, wandb_reports

    console.print(f"report: {wandb_reports.publish(report_plan.read(path))}")
    return 0


def _setting(text: str) -> tuple[str, str]:
    """Raises: ZooError."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ZooError(f"--where: takes KEY=VALUE, got '{text}'.\n  As in: --where cell=gru")
    return key, value
