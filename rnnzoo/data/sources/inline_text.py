"""A text written in the recipe itself."""

from rnnzoo.data.base import Columns, Source


class TypedText(Source):
    """A text of a sentence or two, to be learned by heart: its dev split is the same text, and nothing is held out.

    text: the whole text; each line of it ends with <eos>.
    """

    form = "text_stream"

    def __init__(self, text: str) -> None:
        if not text.split():
            raise ValueError("text must hold at least one word, got nothing but blanks")
        self.text = text

    def read(self) -> dict[str, Columns]:
        lines = [line for line in self.text.split("\n") if line.strip()]
        return {"train": {"text": lines}, "dev": {"text": lines}}

    def identity(self) -> dict[str, str | None]:
        return {"id": "typed_text", "revision": None}
