"""Your own recordings, and what each of them is."""

from __future__ import annotations

from pathlib import Path

from rnnzoo.data.base import Columns
from rnnzoo.data.readers.audio import read_wav
from rnnzoo.data.sources.text_files import TextFiles
from rnnzoo.limits import Fraction, checked


class SoundFiles(TextFiles):
    """Your own labelled recordings: tables of WAV files and labels.

    train, dev, test: paths of tables as of `TextFiles`, CSV, TSV, JSON lines or Parquet. A path of a WAV file in a
    table begins at the table's folder. Without dev, the last `dev_fraction` of each label's training rows are held
    out; without test, there is none. encoding: of CSV, TSV and JSON lines. missing_label, delimiter: see `TextFiles`.
    """

    form = "labelled_sound"
    forms = ()
    keys = ("file_column", "label_column")

    @checked
    def __init__(
        self,
        train: str,
        dev: str | None = None,
        test: str | None = None,
        file_column: str = "file",
        label_column: str = "label",
        encoding: str = "utf-8",
        dev_fraction: Fraction = 0.1,
        missing_label: str | None = None,
        delimiter: str | None = None,
    ) -> None:
        super().__init__(train, dev, test, file_column, label_column, encoding, dev_fraction, missing_label, delimiter)

    def columns(self, path: Path) -> Columns:
        table = super().columns(path)
        heard = [
            read_wav(path.parent / file, f"{path}, row {row}: {file}")
            for row, file in enumerate(table["text"], start=1)
        ]
        return {
            "sound": [sound for sound, _ in heard],
            "rate": [rate for _, rate in heard],
            "label": table["label"],
        }
