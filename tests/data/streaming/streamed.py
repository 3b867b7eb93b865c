"""Files of every form that streams, and small chunks."""

import json

import pytest

from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import LabelledText, MaskedText, MultilabelledText, TaggedText, TextPairs, TextStream
from rnnzoo.data.sources.conll_files import ConllFiles
from rnnzoo.data.sources.pair_files import PairFiles
from rnnzoo.data.sources.text_files import TextFiles
from rnnzoo.data.sources.text_lines import Sentences, TextLines
from rnnzoo.data.streaming import stream

TEXTS = [f"the {['good', 'bad', 'odd'][n % 3]} dog no. {n}" + ", it's late" * (n % 5) for n in range(50)]


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Chunks of a few rows, a cache of one's own; the test runs in `tmp_path`."""
    monkeypatch.setattr(stream, "ROWS", 7)
    monkeypatch.setenv("RNNZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def csv_of(folder, texts=TEXTS, name="train.csv"):
    rows = "".join(f'"{text}",{"xyz"[number % 3]}\n' for number, text in enumerate(texts))
    (folder / name).write_text("text,label\n" + rows)
    return str(folder / name)


def labelled(folder):
    return TextFiles(csv_of(folder), test=csv_of(folder, TEXTS[:9], "test.csv")), LabelledText(max_length=9)


def multilabelled(folder):
    lines = [{"text": t, "label": [["x"], ["y", "x"], [], ["y"]][n % 4]} for n, t in enumerate(TEXTS)]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = TextFiles(str(folder / "train.jsonl"))
    source.give("multilabelled_text")
    return source, MultilabelledText()


def running(folder):
    (folder / "train.txt").write_text("\n".join([*TEXTS, "", "the end"]) + "\n\n")
    return TextLines(str(folder / "train.txt"), test=str(folder / "train.txt")), TextStream(tbptt_steps=5, batch_size=4)


def masked(folder):
    (folder / "lines.txt").write_text("\r\n".join(TEXTS))
    return Sentences(str(folder / "lines.txt")), MaskedText()


def pairs(folder):
    for name, texts in {"train.en": TEXTS, "train.de": TEXTS[::-1], "dev.en": TEXTS[:8], "dev.de": TEXTS[:8]}.items():
        (folder / name).write_text("\n".join(texts) + "\n")
    source = PairFiles(str(folder / "train"), str(folder / "dev"), source="en", target="de")
    return source, TextPairs(unit="subword", vocab_size=60)


def tagged(folder):
    rows = ["# note\n-DOCSTART- x x\n\n"]
    for number in range(30):
        rows.append(f"Ann N I-P\nsees V O\nYork{number} N {'I-L' if number % 2 else 'B-L'}\n\n")
    (folder / "train.conll").write_text("".join(rows))
    return ConllFiles(str(folder / "train.conll")), TaggedText(characters=True, case=True, max_length=2)


KINDS = {
    "labelled_text": labelled,
    "multilabelled_text": multilabelled,
    "text_stream": running,
    "masked_text": masked,
    "text_pairs": pairs,
    "tagged_text": tagged,
}


def data_of(name, folder, **options):
    source, form = KINDS[name](folder)
    return ZooData(source, form, **options)
