"""Files of examples, and vectors of words."""

from __future__ import annotations

import gzip
import json
import os
import struct
from collections.abc import Mapping
from typing import Any

from making import (
    DEEP,
    EVIL,
    HUGE_INT,
    NESTED,
    PICKLE,
    Entry,
    Make,
    makes,
    packed_bomb,
    sparse,
    special,
    tarred,
    writes,
)

MODEL = "model: {architecture: {name: lstm, hidden_size: 4}}\n"
ROWS = "text,label\n" + "good,a\nbad,b\n" * 4


def _fit(data: str, task: str = "sentiment", model: str = MODEL) -> Make:
    return writes("mine.yaml", f"data: {{{data}}}\ntask: {{name: {task}}}\n{model}tracking: {{mode: disabled}}\n")


def wav(codec: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16, data: bytes = bytes(1600)) -> bytes:
    block = channels * bits // 8
    header = struct.pack("<HHIIHH", codec, channels, rate, rate * block % 2**32, block % 2**16, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(header)) + header + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def parquet(name: str, **columns: Any) -> Make:
    def make() -> None:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table(columns), name, compression="zstd")

    return make


def repeated(text: str, rows: int) -> Any:
    """A column that says one text again and again, in a few bytes."""
    import pyarrow

    return pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * rows, pyarrow.int32()), pyarrow.array([text]))


def _bomb(rows: int, size: int) -> Make:
    return lambda: parquet("a.parquet", text=repeated("x" * size, rows), label=repeated("a", rows))()


def data() -> dict[str, Entry]:
    """Files of examples, of `fit`."""
    entries: dict[str, Entry] = {}

    def add(kind: str, file: str, recipe: Make, contents: Mapping[str, bytes | str | Make]) -> None:
        for name, content in (contents | special(file)).items():
            make = content if callable(content) else writes(file, content)
            entries[f"{kind}: {name}"] = Entry(makes(recipe, make), ("fit", "mine.yaml"))

    add(
        "CSV",
        "a.csv",
        _fit("name: text_files, train: a.csv"),
        {
            "a pickle": PICKLE,
            "nothing": "",
            "a header": "text,label\n",
            "null bytes": b"\0" * 10_000,
            "no UTF-8": b"text,label\ngood,\xff\n",
            "a quote that never ends": 'text,label\n"good,a\n' * 1000,
            "a ragged row": ROWS + "a,b,c\n",
            "names that steer": f"{EVIL},label\na,b\n",
            "one label that steers": f"text,label\ngood,{EVIL}\n",
            "many columns": "x," * 100_000 + "\n" + "1," * 100_000 + "\n",
            "a zip": b"PK\x03\x04" + bytes(1000),
            "Excel's first line alone": "sep=;\n",
            "a terabyte": sparse("a.csv"),
        },
    )
    add(
        "JSON lines",
        "a.jsonl",
        _fit("name: text_files, train: a.jsonl"),
        {
            "deep": DEEP,
            "nested": NESTED,
            "a pickle": PICKLE,
            "no object": "[1]\n",
            "half of a character": '{"text": "\\ud800", "label": "a"}\n',
            "a number of many digits": b'{"text": "a", "label": ' + HUGE_INT + b"}\n",
            "a text that is a list": '{"text": [[[]]], "label": "a"}\n',
            "one label that steers": json.dumps({"text": "a", "label": EVIL}) + "\n",
        },
    )
    add(
        "Parquet",
        "a.parquet",
        _fit("name: text_files, train: a.parquet"),
        {
            "a pickle": PICKLE,
            "nothing": "",
            "its marks alone": b"PAR1PAR1",
            "a footer that lies": b"PAR1" + bytes(100) + struct.pack("<I", 2**31 - 1) + b"PAR1",
            "a footer of noise": b"PAR1" + bytes(range(256)) + struct.pack("<I", 200) + b"PAR1",
            "a column of numbers": lambda: parquet("a.parquet", text=[1, 2], label=["a", "b"])(),
            "more rows than bytes": _bomb(20_000_000, 1),
            "a long text many times": _bomb(100_000, 2_000_000),
        },
    )
    add(
        "tags",
        "a.txt",
        _fit("name: conll_files, train: a.txt", "tagging"),
        {
            "a pickle": PICKLE,
            "nothing": "\n\n",
            "ragged": "a B\nb B C\n",
            "one column": "a\nb\n",
            "null bytes": b"\0" * 1000,
            "no UTF-8": b"a O\n\xff O\n",
            "a tar": tarred("../../evil", b"a O\n"),
            "a tag without a start that steers": f"a {EVIL}\tX\n",
        },
    )
    add(
        "series",
        "a.csv",
        _fit("name: csv_series, path: a.csv, time_column: time", "forecasting"),
        {
            "a pickle": PICKLE,
            "texts": "time,a\n" + "".join(f"{n},{EVIL}\n" for n in range(50)),
            "numbers without end": "time,a\n" + "".join(f"{n},1e999\n" for n in range(50)),
            "times that go back": "time,a\n2024-01-02,1\n2024-01-01,2\n",
            "times a million years apart": "time,a\n1,1\n2,1\n3,1\n1e18,1\n",
            "one row": "time,a\n1,1\n",
        },
    )
    sounds = {
        "a pickle": PICKLE,
        "nothing": b"",
        "its mark alone": b"RIFF\xff\xff\xff\xffWAVE",
        "cut short": wav()[:60],
        "a size that lies": wav()[:40] + b"\xfe\xff\xff\x7e" + bytes(100),
        "no channels": wav(channels=0),
        "no rate": wav(rate=0),
        "a rate that no recorder has": wav(rate=2**32 - 1),
        "a rate that shares no factor": wav(rate=4_194_301),
        "another rate that shares none": wav(rate=1_048_573),
        "65535 channels": wav(channels=65535),
        "no number": wav(3, bits=32, data=b"\xff" * 64),
        "infinity": wav(3, bits=64, data=struct.pack("<8d", *[float("inf")] * 8)),
        "a codec": wav(0x55),
        "MP3": b"ID3\4" + bytes(500),
        "chunks without end": b"RIFF\0\0\0\0WAVE" + b"JUNK\0\0\0\0" * 100_000,
    }
    listed = makes(
        writes("ok.wav", wav()),
        writes("list.csv", "file,label\n" + "ok.wav,a\n" * 3 + "a.wav,b\n" * 3),
        _fit("name: sound_files, train: list.csv, sample_rate: 8000", "classification"),
    )
    add("sound", "a.wav", listed, sounds)
    for name in ("/dev/zero", "../../../../../dev/zero", "~/../../dev/zero", "a\x1b[2J.wav", "https://127.0.0.1/a.wav"):
        made = makes(listed, writes("list.csv", f"file,label\n{name},a\nok.wav,b\n"))
        entries[f"a sound named {name!r}"] = Entry(made, ("fit", "mine.yaml"))
    decoder = "model: {architecture: {name: encoder_decoder, hidden_size: 4}}\n"
    steering = "text,label\n" + "".join(f"a{n},{word}\n" for n in range(20) for word in ("\x1b[2Ja", "\u202eb"))
    made = makes(_fit("name: text_files, train: a.csv"), writes("a.csv", steering))
    small = ("--trainer.max_epochs", "1", "--engine", "reference", "--run_dir", "run")
    entries["labels that steer, trained"] = Entry(made, ("fit", "mine.yaml", *small), code=0, leaves=True)
    pairs = _fit("name: pair_files, train: a, source: en, target: de", "translation", decoder)
    entries["pairs: more lines on one side"] = Entry(
        makes(pairs, writes("a.en", "a\nb\n"), writes("a.de", "a\n")), ("fit", "mine.yaml")
    )
    entries["pairs: a pipe"] = Entry(
        makes(pairs, writes("a.en", "a\n"), lambda: os.mkfifo("a.de")), ("fit", "mine.yaml")
    )
    return entries


def vectors() -> dict[str, Entry]:
    """Vectors of words and questions on them."""
    sets = makes(
        writes("v.txt", "a 1 2\nb 2 1\n"),
        writes("pairs.txt", "a\tb\t1.0\n"),
        writes("questions.txt", ": x\na b a b\n"),
    )
    asked = ("--wordsim353", "pairs.txt", "--simlex999", "pairs.txt", "--analogies", "questions.txt")
    contents: dict[str, bytes | Make] = {
        "a pickle": PICKLE,
        "nothing": b"",
        "word2vec's binary": b"2 3\na " + struct.pack("<3f", 1, 2, 3) + b"b " + struct.pack("<3f", 1, 2, 3),
        "counts that lie": b"99999999999 99999999999\na 1\n",
        "no number": b"a 1 2\nb 1 os.system\n",
        "infinity": b"a 1 inf\n",
        "a line without end": b"a " + b"1 " * 2_000_000,
        "one column": b"a\nb\n",
        "blank lines without end": b"a 1 2\n" + b"\n" * 1_000_000 + b"b 1 2\n",
        "a terabyte": sparse("v.txt"),
        "a word that steers": f"{EVIL} 1 x\n".encode(),
        "no vector that is asked for": b"z nan\n",
    }
    entries = {}
    for name, content in (contents | special("v.txt")).items():
        make = content if callable(content) else writes("v.txt", content)
        made = makes(sets, lambda: os.remove("v.txt"), make)
        entries[f"vectors: {name}"] = Entry(made, ("vectors", "evaluate", "v.txt", *asked))
    packed = {
        "blank lines": b"\n" * 2**20,
        "one line": b"1" * 2**20,
        "the same word again": b"a 1 2\n" * (2**20 // 6),
    }
    for name, piece in packed.items():
        made = makes(sets, packed_bomb("v.txt.gz", piece, 400))
        entries[f"packed vectors: {name}"] = Entry(made, ("vectors", "evaluate", "v.txt.gz", *asked))
    for name, content in {"no gzip": PICKLE, "cut short": gzip.compress(b"a 1 2\n" * 100)[:30]}.items():
        made = makes(sets, writes("v.txt.gz", content))
        entries[f"packed vectors: {name}"] = Entry(made, ("vectors", "evaluate", "v.txt.gz", *asked))
    for file in ("pairs.txt", "questions.txt"):
        for name, content in {"a pickle": PICKLE, "nothing": b"", "no UTF-8": b"\xff\n", "odd": EVIL.encode()}.items():
            made = makes(sets, writes(file, content))
            entries[f"{file}: {name}"] = Entry(made, ("vectors", "evaluate", "v.txt", *asked))
    return entries
