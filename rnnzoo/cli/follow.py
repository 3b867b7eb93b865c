"""`rnnzoo predict --follow`: one sequence whose parts are the lines of standard input, answered as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnnzoo.errors import DataError
from rnnzoo.inference import texts
from rnnzoo.system import console

if TYPE_CHECKING:
    from rnnzoo.inference.predictor import Predictor
    from rnnzoo.tasks.base import Answer


def follow(model: Predictor, column: texts.Column, as_json: bool) -> int:
    """Answer each line as it arrives, until the end of the input or Ctrl-C. Raises: RunError, DataError.

    A line continues the sequence. An empty one ends it, and the next begins another, unless the model reads line ends.
    """
    stream = model.stream()
    new = stream.state
    with texts.opened("-", column) as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if not line.strip() and stream.empty_line_ends:
                    _print(model, stream.end(), as_json)
                    stream.state = new
                    continue
                try:
                    answers = stream.feed(stream.line(line))
                except DataError as error:
                    raise DataError(f"standard input, line {number}: {error}") from None
                _print(model, answers, as_json)
            _print(model, stream.end(), as_json)
        except KeyboardInterrupt:
            console.print("" if as_json else "\n", end="")
    return 0


def _print(model: Predictor, answers: Sequence[Answer], as_json: bool) -> None:
    """Print answers, so that who reads on gets them at once."""
    for answer in answers:
        if as_json:
            console.print_json(answer)
        else:
            console.print("\n".join(map(console.inline, model.describe(answer))))
    console.flush()
