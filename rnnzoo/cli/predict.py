"""`rnnzoo predict`: ask a trained model."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import DataError
from rnnzoo.inference import texts
from rnnzoo.system import console
from rnnzoo.system.paths import typed

if TYPE_CHECKING:
    from rnnzoo.inference.predictor import Predictor

EXAMPLE = 'rnnzoo predict runs/quickstart/ID --text "not bad at all"'


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    parser.text_flags = ("--text",)
    inputs = parser.add_mutually_exclusive_group(required=True)
    inputs.add_argument("--text", action="append", metavar="TEXT", help="a text; may be repeated")
    inputs.add_argument("--file", metavar="FILE", help="a table, a text a line, a WAV or a folder of them; - is stdin")
    inputs.add_argument("--interactive", action="store_true", help="ask for texts until 'stop'")
    inputs.add_argument("--follow", action="store_true", help="answer lines of standard input as they arrive")
    parser.add_argument("--text_column", metavar="NAME", help="of a table (default: as the run's data had it)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: Namespace) -> int:
    path = None if arguments.file in (None, "-") else typed(arguments.file)
    if path is not None and not os.path.isdir(path):
        with texts.opened(arguments.file, texts.Column()):  # a missing file is a mistake before a model is loaded
            pass
    from rnnzoo.inference import predictor

    model = predictor.load(arguments.run)
    if arguments.follow:
        from rnnzoo.cli.follow import follow

        return follow(model, texts.Column.of(model.recipe["data"], arguments.text_column), arguments.json)
    if path is not None and (questions := model.read_file(path)) is not None:
        names = [name for name, _ in questions]
        for name, answer in zip(names, model.predict([question for _, question in questions]), strict=True):
            label = "" if arguments.json or len(names) == 1 else f"{console.inline(name)}  "
            console.print(label + _printed(model, name, answer, arguments.json))
        return 0
    with contextlib.nullcontext(arguments.text) if arguments.file is None else _opened(model, arguments) as asked:
        if arguments.interactive:
            return _interact(model, arguments.json)
        count = strange = 0
        for text, answer in model.answers(asked):
            console.print(_printed(model, text, answer, arguments.json))
            count, strange = count + 1, strange + model.knows_no_word(answer)
    if strange:
        console.print_error(f"{strange} of {count} texts have no word that the model knows.")
    return 0


def _opened(model: Predictor, arguments: Namespace) -> contextlib.AbstractContextManager[Any]:
    """The texts of a file, by the column that the model was trained on unless another is named."""
    return texts.opened(arguments.file, texts.Column.of(model.recipe["data"], arguments.text_column))


def _printed(model: Predictor, text: str, answer: dict[str, Any], as_json: bool) -> str:
    """A prediction as one line of JSON, or as the lines in which its task describes it."""
    if as_json:
        return console.json_text({"input": text, **answer})
    return "\n".join(map(console.inline, model.describe(answer)))


def _interact(model: Predictor, as_json: bool) -> int:
    """Ask for texts and answer them until 'stop', the end of the input, or Ctrl-C."""
    if sys.stdin is None:
        raise DataError("cannot ask for a text: standard input is closed.")
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (arrow keys and history, where there is one)
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")
    console.print("Type a text and press Enter; 'stop' ends.")
    try:
        while (text := input("text: ").strip()).lower() != "stop":
            if not text:
                console.print("The text is empty; type a few words.")
                continue
            try:
                (answer,) = model.predict([text])
            except DataError as error:
                console.print(error)
                continue
            strange = "  (the model knows no word of it)" if model.knows_no_word(answer) and not as_json else ""
            console.print(_printed(model, text, answer, as_json) + strange)
    except (EOFError, KeyboardInterrupt):
        console.print()
    return 0
