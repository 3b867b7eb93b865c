"""`rnnzoo page`: a trained model as one HTML file that runs it."""

from __future__ import annotations

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.system import console, files
from rnnzoo.system.paths import typed

EXAMPLE = "rnnzoo page sentiment --out sentiment.html"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    parser.text_flags = ("--text",)
    parser.add_argument("--out", type=typed, metavar="FILE", help="the file to write (default: NAME.html)")
    parser.add_argument("--int8", action="store_true", help="weights of 8 bits: a smaller file, rounded answers")
    parser.add_argument("--text", metavar="TEXT", help="what stands in the page's field at first")


def run(arguments: Namespace) -> int:
    from rnnzoo.export.web import html, pages, verify
    from rnnzoo.inference import predictor

    model = predictor.load(arguments.run)
    page = pages.make(model, "int8" if arguments.int8 else None, arguments.text)
    verified = verify.verify(page, model)
    path = arguments.out or typed(f"{html.name_of(model)}.html")
    files.write_text(path, page.source)
    console.print(f"page      {console.inline(str(path))}, {page.size / 1e6:.1f} MB; open it in a browser")
    console.print(f"weights   {html.stored(page.stored)}")
    if verified is None:
        console.print("verified  no: no Chromium was found here to run it in")
    else:
        console.print(
            f"verified  {verified.questions} texts in {verified.browser}: "
            f"largest difference from PyTorch {verified.largest:.1e}"
        )
    if page.rounds:
        lost = verify.rounding(page, model)
        console.print(
            f"rounding  against the unrounded weights: {lost.changed} of {lost.questions} answers change, "
            f"logits by at most {lost.logits:.1e}"
        )
    if arguments.int8:
        from rnnzoo.export import cost
        from rnnzoo.export.base import Exported

        for line in cost.lines(arguments.run, Exported(model, int8=True), Exported(model)):
            console.print(f"cost      {line}")
    return 0
