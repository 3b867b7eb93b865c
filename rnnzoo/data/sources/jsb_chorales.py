"""Bach's chorales as a text of notes, which a language model reads and writes."""

from __future__ import annotations

from typing import Any

from rnnzoo.data.base import Columns, Source
from rnnzoo.data.readers.fetch import digest, fetch
from rnnzoo.data.readers.midi import STEP_END
from rnnzoo.errors import DataError
from rnnzoo.system import files

QUARTER_NOTES = (
    "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d/"
    "jsb-chorales-quarter.json#sha256=2db9329f1881a1d3f49703ec556bf1d6f84b4f6c1d702c156536e93cf31e1c91"
)


class JsbChorales(Source):
    """382 chorales of J. S. Bach, 229 of them for training, each a line of notes.

    A step is the MIDI numbers that sound, from the highest down, and a full stop: "84 79 76 60 . 84 79 76 .".
    Source: Boulanger-Lewandowski, Bengio, Vincent, arXiv:1206.6392, whose parts these are: a step is a quarter note,
    and the pieces stand in one key; the file is that of `czhuang/JSB-Chorales-dataset` on GitHub.

    file: a path, or an https address ending in "#sha256=DIGEST", of JSON {"train": [...], "valid": [...], "test":
    [...]}: for each piece, for each step, a list of MIDI numbers, where one below 0 is silence. The repository's files
    with other steps and with four voices in their order are read as well.
    """

    form = "text_stream"

    def __init__(self, file: str = QUARTER_NOTES) -> None:
        self.file = file
        self._digest: str | None = None

    def read(self) -> dict[str, Columns]:
        path = fetch(self.file)
        self._digest = digest(path)
        try:
            parts = files.read_json(path)
            pieces = {part: parts[name] for part, name in (("train", "train"), ("dev", "valid"), ("test", "test"))}
        except (OSError, ValueError, TypeError, KeyError) as cause:
            raise DataError(
                f"{path} holds no chorales: {type(cause).__name__}: {cause}.\n"
                '  Expected JSON {"train": [...], "valid": [...], "test": [...]}, as jsb-chorales-quarter.json.'
            ) from cause
        return {
            part: {"text": [line(piece, f"{path}, {part} piece {row}") for row, piece in enumerate(rows, start=1)]}
            for part, rows in pieces.items()
        }

    def identity(self) -> dict[str, str | None]:
        """The file's address or path, and its SHA-256."""
        return {"id": self.file.partition("#")[0].rpartition("/")[2], "revision": self._digest}


def line(piece: Any, place: str) -> str:
    """The steps of a piece as text. Raises: DataError, naming the place and the step."""
    words: list[str] = []
    for number, step in enumerate(piece if isinstance(piece, list) else [piece], start=1):
        if not isinstance(step, list) or not all(type(note) is int and note < 128 for note in step):
            raise DataError(f"{place}, step {number}: expected a list of MIDI numbers, got {step!r:.80}.")
        words += [str(note) for note in sorted(step, reverse=True) if note >= 0]
        words.append(STEP_END)
    return " ".join(words)
