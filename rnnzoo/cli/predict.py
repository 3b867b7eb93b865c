"""`rnnzoo predict`: ask a trained model."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import DataError
from rnnzoo.inference import texts
from rnnzoo.system import console
from rnnzoo.system.paths import typed

EXAMPLE = 'rnnzoo predict runs/quickstart/ID --text "not bad at all"'


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    parser.text_flags = ("--text",)
    inputs = parser.add_mutually_exclusive_group(required=True)
    inputs.add_argument("--text", action="append", metavar="TEXT", help="a text; may be repeated")
    inputs.add_argument("--file", metavar="FILE", help="a table, a text a line, a WAV or a folder of them; - is stdin")
    inputs.add_argument("--interactive", action="store_true", help="ask for texts until 'stop'")
    parser.add_argument("--text_column", metavar="NAME", help="of a table (default: as the run's data had it)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(arguments: Namespace) -> int:
    path = None if arguments.file in (None, "-") else typed(arguments.file)
    if path is not None and not path.is_dir():
        with texts.opened(arguments.file, texts.Column()):  # one that is not there is told before a model is loaded
            pass
    from rnnzoo.inference import predictor

    model = predictor.load(arguments.run)
    if path is not None and (questions := model.questions(path)) is not None:
        names = [name for name, _ in questions]
        for name, answer in zip(names, model.predict([question for _, question in questions]), strict=True):
            console.print(
                _line(name, answer, arguments.json)
                if arguments.json or len(names) == 1
                else f"{console.inline(name)}  {_line(name, answer, False)}"
            )
        return 0
    with contextlib.nullcontext(arguments.text) if arguments.file is None else _opened(model, arguments) as asked:
        if arguments.interactive:
            return _interact(model, arguments.json)
        count = strange = 0
        for text, answer in model.stream(asked):
            console.print(_line(text, answer, arguments.json))
            count, strange = count + 1, strange + (answer.get("unknown_share") == 1)
    if strange:
        console.print_error(f"{strange} of {count} texts have no word that the model knows.")
    return 0


def _opened(model: Any, arguments: Namespace) -> contextlib.AbstractContextManager[Any]:
    """The texts of a file, by the column that the model was trained on unless another is named."""
    return texts.opened(arguments.file, texts.Column.of(model.recipe["data"], arguments.text_column))


def _line(text: str, answer: dict[str, Any], as_json: bool) -> str:
    """A prediction in one line; as text, a forecast has one for each step."""
    if not as_json:
        forecast = answer.get("values") and isinstance(answer["values"][0], list)
        return "\n".join(map(console.inline, _steps(answer) if forecast else [_answer(answer)]))
    return console.json_text({"input": text, **answer})


def _answer(answer: dict[str, Any]) -> str:
    if "label" in answer:
        return f"{answer['label']}  {100 * answer['confidence']:.1f} %"
    if "tags" in answer:
        return " ".join(map("/".join, zip(answer["words"], answer["tags"], strict=False)))  # words beyond a limit: none
    if "values" in answer:
        return "  ".join(f"{value:.6g}" for value in answer["values"])
    if "gaps" in answer:
        return "  |  ".join(_shares(words) for words in answer["gaps"])
    if "next" in answer:
        return _shares(answer["next"])
    return str(answer.get("text", answer))


def _steps(answer: dict[str, Any]) -> list[str]:
    """Numbers for each step of some variables, a line for a step."""
    names = answer.get("variables") or [str(number) for number in range(1, len(answer["values"][0]) + 1)]
    rows = [zip(names, row, strict=True) for row in answer["values"]]
    told = ("  ".join(f"{name} {value:.6g}" for name, value in row) for row in rows)
    return [f"step {step}  {line}" for step, line in enumerate(told, start=1)]


def _shares(words: dict[str, float]) -> str:
    return "  ".join(f"{word} {100 * p:.1f} %" for word, p in words.items())


def _interact(model: Any, as_json: bool) -> int:
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
            strange = "" if as_json or answer.get("unknown_share", 0) < 1 else "  (the model knows no word of it)"
            console.print(_line(text, answer, as_json) + strange)
    except (EOFError, KeyboardInterrupt):
        console.print()
    return 0
