"""`rnnzoo explain`: which tokens of a text made a trained model's answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.system import console
from rnnzoo.system.paths import typed

if TYPE_CHECKING:
    from rnnzoo.inference.explain import Explanation

EXAMPLE = 'rnnzoo explain sentiment --text "One of the best films I have seen."'
HALF = 12  # characters of a bar to either side


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    parser.text_flags = ("--text",)
    parser.add_argument("--text", action="append", metavar="TEXT", help="a text; may be repeated")
    parser.add_argument("--label", metavar="LABEL", help="the label to explain (default: the one that is answered)")
    parser.add_argument("--word", type=int, metavar="N", help="whose answer, from 1, where each word has one")
    parser.add_argument(
        "--worst", type=int, metavar="N", help="explain the N worst examples of the run's test, as a page"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object a line")
    output.add_argument("--html", type=typed, metavar="FILE", help="write a page")


def run(arguments: Namespace) -> int:
    from rnnzoo.errors import ZooError

    if (arguments.text is None) == (arguments.worst is None):
        raise ZooError("rnnzoo explain: give either --text TEXT or --worst N.\n  See `rnnzoo explain --help`.")
    if arguments.worst is not None:
        return _worst(arguments)
    from rnnzoo.inference import predictor
    from rnnzoo.inference.explain import explain

    model = predictor.load(arguments.run)
    step = None if arguments.word is None else arguments.word - 1
    explanations = [explain(model, text, arguments.label, step) for text in arguments.text]
    if arguments.html:
        from rnnzoo.inference.explanation_page import page
        from rnnzoo.system import files

        files.write_text(arguments.html, page(f"{arguments.run}, explained", explanations, model.describe))
        console.print(console.short(arguments.html))
        return 0
    for number, explanation in enumerate(explanations):
        if arguments.json:
            console.print_json(explanation.to_json())
            continue
        if number:
            console.print()
        console.print("\n".join(map(console.inline, model.describe(explanation.answer))))
        _show(explanation)
    return 0


def _show(explanation: Explanation) -> None:
    """A line for each token, with a signed bar of what the log-odds lose without it."""
    asked = "" if explanation.step is None else f" of word {explanation.step + 1}"
    label = console.inline(explanation.label)
    console.print(
        f"log-odds of {label}{asked}: {explanation.log_odds:+.2f} nats; by token: the loss without it, gradient x input"
    )
    tokens = [console.inline(token.replace(" ", "␣") if token.isspace() else token, 24) for token in explanation.tokens]
    width = max(map(len, tokens))
    most = max(map(abs, explanation.erasure)) or 1.0
    for token, erasure, gradient in zip(tokens, explanation.erasure, explanation.gradient, strict=True):
        size = round(HALF * abs(erasure) / most)
        bar = "█" * size
        sides = (f"{'':{HALF}}", f"{bar:{HALF}}") if erasure > 0 else (f"{bar:>{HALF}}", f"{'':{HALF}}")
        console.print_coloured(
            [
                (f"  {token:{width}}  ", None),
                (sides[0], "red"),
                ("│", None),
                (sides[1], "green"),
                (f"  {erasure:+8.3f}  {gradient:+8.3f}", None),
            ]
        )


def _worst(arguments: Namespace) -> int:
    """Write the page of the worst examples. Raises: RunError, Unwritable."""
    from rnnzoo.inference.worst import write

    path: Path | None = arguments.html
    console.print(console.short(write(arguments.run, arguments.worst, path)))
    return 0
