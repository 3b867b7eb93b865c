"""Examples that were encoded once and are kept in a store: made from rows, read by any number of processes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from rnnzoo.batch import EOS, SPECIALS, UNK, DataSpec
from rnnzoo.data.base import PARTS, Chunks, Columns, Examples, Form, add_value, check_type
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.data.forms.stream import StreamExamples, TextStream
from rnnzoo.data.store import Store, Writer
from rnnzoo.errors import DataError
from rnnzoo.system.files import JsonObject

IDS = (np.dtype(np.uint16), np.dtype(np.uint32))  # of tokens on the disk; in memory they are int32


def can_be_prepared(form: Form) -> bool:
    """Whether data of this form can be written as token files."""
    return isinstance(form, TextStream)


def write(
    writer: Writer, form: Form, spec: DataSpec, chunks: Mapping[str, Chunks], identity: Callable[[], JsonObject]
) -> None:
    """Encode the rows of each part into a store, and note what reading them needs.

    identity: of the data, asked for when they were read. Raises: DataError, Unwritable.
    """
    parts = {part: _encode(writer, form, part, chunks[part](), spec) for part in PARTS if part in chunks}
    scored = "test" if "test" in parts else "dev"
    writer.facts = {
        "form": form.name,
        "spec": spec.to_json(),
        "parts": parts,
        "identity": identity(),
        "scored_rows": _digest(chunks[scored], parts[scored]["rows"]),
    }


def _encode(writer: Writer, form: Form, part: str, chunks: Iterable[Columns], spec: DataSpec) -> JsonObject:
    """Write the ids of a part, and count them."""
    encoder = Encoder.from_field(spec.inputs["tokens"])
    dtype = np.uint16 if len(encoder.names) <= 2**16 else np.uint32
    rows = tokens = unknown = 0
    for columns in chunks:
        count = form.rows(columns)
        check_type("text", columns["text"], str, "a line of text")
        ids = encoder.encode(columns["text"], blank=None)[0].with_last(EOS).flat
        writer.append(part, ids.astype(dtype))
        rows, tokens, unknown = rows + count, tokens + len(ids), unknown + int((ids == UNK).sum())
    if tokens < 2:
        raise DataError(f"the {part} split has {tokens} tokens, so that there is nothing to predict.")
    return {"rows": rows, "tokens": tokens, "unknown": unknown}


def _digest(chunks: Chunks, rows: int) -> str:
    """The `rows_digest` of rows that come some at a time."""
    digest = hashlib.sha256()
    names = sorted(next(iter(chunks()), {}))
    for name in names:
        digest.update(f"{name} {rows} ".encode())
        for columns in chunks():
            for value in columns[name]:
                add_value(digest, value)
    return digest.hexdigest()


class Prepared:
    """A store of encoded examples. spec: how they were encoded. scored_rows: as `ZooData` has it.

    identity: which data they were made from. Raises: DataError for a store of something else.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        try:
            facts = store.facts
            self.spec = DataSpec.from_json(facts["spec"])
            self.facts: dict[str, JsonObject] = {part: dict(facts["parts"][part]) for part in facts["parts"]}
            self.identity: dict[str, str | None] = {name: facts["identity"][name] for name in ("id", "revision")}
            self.scored_rows = str(facts["scored_rows"])
            texts = (value for value in self.identity.values() if value is not None)
            if not all(isinstance(value, str) for value in texts) or not {"train", "dev"} <= self.facts.keys():
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError):
            raise DataError(
                f"{store.folder} holds no prepared examples: its index does not say how they were made.\n"
                "  `rnnzoo prepare RECIPE --out FOLDER` makes such a folder."
            ) from None

    def examples(self, form: Form) -> dict[str, Examples]:
        """Every part, mapped from its files. Raises: DataError where they are not of this form."""
        folder = self.store.folder
        if self.spec.form != form.name:
            raise DataError(f"{folder} holds {self.spec.form}, and the task reads {form.name}.")
        try:
            return {part: self._mapped(part) for part in PARTS if part in self.facts}
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{folder} does not hold what {form.name} needs: {error}.") from None

    def _mapped(self, part: str) -> StreamExamples:
        """Raises: KeyError, TypeError, ValueError for what is no stream of a vocabulary's numbers."""
        ids, words = self.store[part], self.spec.inputs["tokens"]
        if ids.ndim != 1 or ids.dtype not in IDS or len(ids) < 2:
            raise ValueError(f"{part} is of type {ids.dtype} and shape {ids.shape}")
        if words.names[: len(SPECIALS)] != SPECIALS:
            raise ValueError("the vocabulary does not begin with the special tokens")
        return StreamExamples(ids, unknown=int(self.facts[part]["unknown"]), size=words.size)

    def check_words(self, wanted: DataSpec) -> None:
        """Raises: DataError where a model was trained on other words, or on words cut otherwise."""
        own, theirs = (spec.inputs.get("tokens") for spec in (self.spec, wanted))
        if own is None or theirs is None:
            return
        remedy = "  `rnnzoo prepare RECIPE --vocabulary MODEL` makes token files with the words of a trained model."
        for name in ("unit", "lowercase", "merges"):
            one, other = own.options.get(name), theirs.options.get(name)
            if one != other:
                raise DataError(
                    f"the token files in {self.store.folder} are not for this model: {name} is {one!r:.80} in the "
                    f"files, and {other!r:.80} in the model.\n{remedy}"
                )
        if own.names == theirs.names:
            return
        sizes = f"{len(own.names):,} words, and the model knows {len(theirs.names):,}"
        at = next(
            (number for number, pair in enumerate(zip(own.names, theirs.names, strict=False)) if pair[0] != pair[1]),
            min(len(own.names), len(theirs.names)),
        )
        one, other = (repr(names[at])[:80] if at < len(names) else "nothing" for names in (own.names, theirs.names))
        raise DataError(
            f"the token files in {self.store.folder} are of another vocabulary than the model: {sizes}.\n"
            f"  They differ first at number {at}: {one} in the files, {other} in the model.\n{remedy}"
        )
