"""`rnnzoo predict`: ask a trained model."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import DataError, RunError
from rnnzoo.inference import texts
from rnnzoo.system import console
from rnnzoo.system.paths import typed
from rnnzoo.system.quantities import percent

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
    parser.add_argument("--all", action="store_true", help="print the probability of every class")
    parser.add_argument("--abstain", metavar="P", type=float, help="say 'not sure' below this confidence, as 0.9")


def run(arguments: Namespace) -> int:
    least = arguments.abstain
    if least is not None and not 0 <= least <= 1:
        raise RunError(f"--abstain: must be a confidence from 0 to 1, got {least:g}.\n  For example: --abstain 0.9")
    if arguments.follow and (arguments.all or least is not None):
        raise RunError(
            "--follow prints each answer as it comes: --all and --abstain are for whole texts.\n  Leave them out."
        )
    path = None if arguments.file in (None, "-") else typed(arguments.file)
    if path is not None and not os.path.isdir(path):
        with texts.opened(arguments.file, texts.Column()):  # a missing file is a mistake before a model is loaded
            pass
    from rnnzoo.inference import predictor

    model = predictor.load(arguments.run)
    if arguments.follow:
        from rnnzoo.cli.follow import follow

        return follow(model, texts.Column.of(model.recipe["data"], arguments.text_column), arguments.json)
    printer = Printer(model, arguments.json, arguments.all, least)
    if path is not None and (questions := model.read_file(path)) is not None:
        names = [name for name, _ in questions]
        for name, answer in zip(names, model.predict([question for _, question in questions]), strict=True):
            label = "" if arguments.json or len(names) == 1 else f"{console.inline(name)}  "
            console.print(label + printer.printed(name, answer))
        printer.sum_up()
        return 0
    with contextlib.nullcontext(arguments.text) if arguments.file is None else _opened(model, arguments) as asked:
        if arguments.interactive:
            return _interact(model, printer)
        count = strange = 0
        for text, answer in model.answers(asked):
            console.print(printer.printed(text, answer))
            count, strange = count + 1, strange + model.knows_no_word(answer)
    printer.sum_up()
    if strange:
        console.print_error(f"{strange} of {count} texts have no word that the model knows.")
    return 0


def _opened(model: Predictor, arguments: Namespace) -> contextlib.AbstractContextManager[Any]:
    """The texts of a file, by the column that the model was trained on unless another is named."""
    return texts.opened(arguments.file, texts.Column.of(model.recipe["data"], arguments.text_column))


@dataclass
class Printer:
    """A prediction as one line of JSON, or as the lines in which its task describes it.

    every: with the probability of every class. least: the confidence below which it is "not sure"; None to answer all.
    """

    model: Predictor
    as_json: bool
    every: bool = False
    least: float | None = None
    asked: int = 0
    abstained: int = 0

    def printed(self, text: str, answer: dict[str, Any]) -> str:
        """Raises: RunError if the model's answers have no confidence and one is asked for."""
        unsure = self._unsure(answer)
        if self.as_json:
            told = {} if self.least is None else {"abstained": unsure}
            return console.json_text({"input": text, **answer, **told})
        lines = [console.inline(line) for line in self.model.describe(answer, self.every)]
        return "\n".join([f"not sure  ({lines[0]})", *lines[1:]] if unsure else lines)

    def _unsure(self, answer: dict[str, Any]) -> bool:
        if self.least is None:
            return False
        confidence = self.model.task.confidence(answer)
        if confidence is None:
            raise RunError(
                f"--abstain: the answers of the task {self.model.recipe['task']['name']} have no confidence.\n"
                "  Leave it out."
            )
        self.asked, self.abstained = self.asked + 1, self.abstained + (confidence < self.least)
        return bool(confidence < self.least)

    def sum_up(self) -> None:
        """Say, beside the answers, how many there were none for."""
        if self.asked and self.least is not None:
            share = percent(self.abstained / self.asked)
            console.print_error(f"not sure of {self.abstained} of {self.asked} ({share}), below {self.least:g}.")


def _interact(model: Predictor, printer: Printer) -> int:
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
            strange = "  (the model knows no word of it)" if model.knows_no_word(answer) and not printer.as_json else ""
            console.print(printer.printed(text, answer) + strange)
    except (EOFError, KeyboardInterrupt):
        console.print()
    return 0
