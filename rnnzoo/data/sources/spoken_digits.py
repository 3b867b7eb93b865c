"""Recordings of spoken digits."""

from __future__ import annotations

import re
from typing import Any

from rnnzoo.data.base import Columns
from rnnzoo.data.readers.audio import read_wav
from rnnzoo.data.sources.hub import HubSource
from rnnzoo.data.splits import held_out, taken
from rnnzoo.limits import Fraction, checked


class SpokenDigits(HubSource):
    """3,000 recordings of the ten digits by six speakers, 300 of them for testing; 8,000 samples a second.

    Source: Jackson, "Free Spoken Digit Dataset", doi:10.5281/zenodo.1342401; `mteb/free-spoken-digit-dataset` on the
    Hub. The dev split is the last recordings of each speaker and digit in the training split; the test split has the
    same speakers.

    revision: the Hub's commit, branch or tag; the newest if not given. dev_fraction: of the training split.
    """

    form = "labelled_sound"
    hub_id = "mteb/free-spoken-digit-dataset"

    @checked
    def __init__(self, revision: str | None = None, dev_fraction: Fraction = 0.1) -> None:
        super().__init__(revision)
        self.dev_fraction = dev_fraction

    def parts(self, parts: Any) -> dict[str, Columns]:
        recordings = self.recordings(parts)
        for columns in recordings.values():
            del columns["speaker"]
        return recordings

    def recordings(self, parts: Any) -> dict[str, Columns]:
        """The columns of each part, with the speakers' names as far as the files' names tell them."""
        train, test = (self._columns(parts[name]) for name in ("train", "test"))
        spoken = list(zip(train["label"], train["speaker"], strict=True))
        kept, dev = held_out(spoken, self.dev_fraction)
        return {"train": taken(train, kept), "dev": taken(train, dev), "test": test}

    @staticmethod
    def _columns(rows: Any) -> Columns:
        audio = rows.data.column("audio").to_pylist()
        names = [recording["path"] or "" for recording in audio]
        heard = [
            read_wav(recording["bytes"], f"{name or 'recording'} (row {row})")
            for row, (recording, name) in enumerate(zip(audio, names, strict=True), start=1)
        ]
        speakers = [re.search(r"\d_(\w+)_\d+\.wav$", name) for name in names]  # as in 7_jackson_32.wav
        return {
            "sound": [sound for sound, _ in heard],
            "rate": [rate for _, rate in heard],
            "label": [str(label) for label in rows.data.column("label").to_pylist()],
            "speaker": [found[1] if found else "" for found in speakers],
        }
