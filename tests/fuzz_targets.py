"""The readers that `fuzz.py` feeds, each with files that it reads."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from conftest import write_reviews

from rnnzoo.system.console import UNSAFE

Read = Callable[[bytes, Path], object]  # of a file's content, in an empty folder


class Target(NamedTuple):
    """A reader and files that it reads. kinds: what a file's first byte chooses; words: of which a format is made."""

    read: Read
    seeds: Sequence[bytes]
    words: Sequence[bytes]
    is_json: bool = False


# -- targets --------------------------------------------------------------------------------------------------------


def _recipe() -> Target:
    from rnnzoo import recipe as recipes
    from rnnzoo.experiment.resolver import resolve
    from rnnzoo.system.shipped import recipes as shipped

    def read(content: bytes, folder: Path) -> None:
        (folder / "mine.yaml").write_bytes(content[1:])
        recipes.dump(resolve(recipes.read(folder / "mine.yaml")))

    words = [b"data", b"task", b"model", b"base", b": ", b"\n", b"  ", b"{", b"}", b"[", b"]", b", ", b"- ", b"name"]
    words += [b"!!python/name:os.system", b"&a ", b"*a", b"---", b"1e3", b"no", b"~", b"'", b'"', b"#", b"|", b">"]
    words += [b"toy_reviews", b"sentiment", b"lstm", b"<<: ", b"? ", b"\t", b"\x85", b"0o7", b".inf", b"2001-01-01"]
    return Target(read, [b"\0" + path.read_bytes() for path in shipped().values()], words)


def _checkpoint() -> Target:
    from rnnzoo.inference import predictor
    from rnnzoo.runs import pretrained_models
    from rnnzoo.runs.checkpoint import FORMAT

    model = pretrained_models.FOLDER / "quickstart"
    names = ("meta.json", "spec.json", "weights.safetensors")

    def read(content: bytes, folder: Path) -> None:
        for name in names:
            shutil.copy(model / name, folder)
        (folder / names[content[0] % 3 if content else 0]).write_bytes(content[1:])
        sealed_by_hand(folder, FORMAT)
        predictor.load(folder).predict(["good film"])

    seeds = [bytes([number]) + (model / name).read_bytes() for number, name in enumerate(names)]
    return Target(read, seeds[:2], [b'{"', b'"', b":", b"}", b"[", b"]", b"null", b"1e999", b"\\ud800"], is_json=True)


def _weights() -> Target:
    checkpoint = _checkpoint()
    from rnnzoo.runs import pretrained_models

    content = (pretrained_models.FOLDER / "quickstart" / "weights.safetensors").read_bytes()
    size = 8 + int.from_bytes(content[:8], "little")
    words = [b"F32", b"F64", b"BF16", b'"shape":', b'"data_offsets":', b"[0,0]", b"[64,64]", b"\0\0", b"\xff\xff"]

    def read(mutated: bytes, folder: Path) -> object:
        return checkpoint.read(b"\x02" + mutated[1:] + content[size:], folder)

    return Target(read, [b"\x02" + content[:size]], words)


def _state() -> Target:
    return _training(whole=False)


def _resume() -> Target:
    return _training(whole=True)


def _training(whole: bool) -> Target:
    """A training state, of the run that is resumed with it: read alone, or until the run is at its end."""
    from rnnzoo.cli import main
    from rnnzoo.experiment.resume import prepare
    from rnnzoo.runs.snapshot import FORMAT

    made = Path(tempfile.mkdtemp(prefix="rnnzoo-fuzz-"))
    write_reviews(made)
    before = os.getcwd()
    os.chdir(made)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main(["fit", "reviews.yaml", "--run_dir", "run", "--trainer.max_epochs", "1"]) == 0
    os.chdir(before)
    (state,) = sorted((made / "run" / "resume").glob("step-*"))[-1:]

    def read(content: bytes, folder: Path) -> None:
        for name in ("train.csv", "dev.csv"):
            shutil.copy(made / name, folder)
        shutil.copytree(made / "run", folder / "run")
        mutated = folder / "run" / "resume" / state.name
        (mutated / "state.json").write_bytes(content[1:])
        sealed_by_hand(mutated, FORMAT)
        if whole:
            command("fit", "--resume", "run", "--trainer.max_epochs", "2")
        else:
            prepare(folder / "run", ["--trainer.max_epochs", "2"])

    words = [b'{"$tensor": "1"}', b'{"$pairs": []}', b'{"$tuple": [1]}', b"null", b"true", b"-1", b"[]", b"{}", b'"x"']
    return Target(read, [b"\0" + (state / "state.json").read_bytes()], words, is_json=True)


def _show() -> Target:
    """A run's own files, as the terminal shows them."""
    from rnnzoo.runs import pretrained_models

    model = pretrained_models.FOLDER / "quickstart"
    names = ("summary.json", "config.yaml", "metrics.jsonl")
    summary = (model / "summary.json").read_bytes()
    config = json.dumps(json.loads(summary)["config"]).encode()
    metrics = b'{"step": 1, "epoch": 0, "time": 0.5, "train/loss": 0.25}'

    def read(content: bytes, folder: Path) -> None:
        for name, valid in zip(names, (summary, config, metrics), strict=True):
            (folder / name).write_bytes(valid)
        (folder / names[content[0] % 3 if content else 0]).write_bytes(content[1:])
        for words in (("show", "."), ("show", ".", "--json"), ("results", ".")):
            command(*words)

    seeds = [bytes([number]) + text for number, text in enumerate((summary, config, metrics))]
    return Target(read, seeds, [b'"', b"\\u001b", b"null", b"NaN", b"1e400", b"[", b"{", b"}"], is_json=True)


def _tag() -> Target:
    from rnnzoo.data.sources.conll_files import ConllFiles

    def read(content: bytes, folder: Path) -> None:
        name = ("train.txt", "train.conllu")[content[0] % 2 if content else 0]
        (folder / name).write_bytes(content[1:])
        _encoded(ConllFiles(str(folder / name)), "tagging")

    seeds = [b"\0EU B-ORG\nrejects O\n\nPeter B-PER\nBlackburn I-PER\n\n" * 3]
    seeds += [b"\x01# text = a b\n1\tThe\tthe\tDET\tDT\t_\n2-3\tab\t_\t_\t_\t_\n2\tdog\tdog\tNOUN\tNN\t_\n\n" * 3]
    seeds += [b"\0a\tB-X\nb\tE-X\nc\tS-Y\n\nd\tI-X\n-DOCSTART-\tO\n\n"]
    words = [b"\n", b"\n\n", b" ", b"\t", b"B-", b"I-", b"E-", b"S-", b"O", b"# ", b"-DOCSTART-", b"\r", b"\xa0", b"\0"]
    return Target(read, seeds, [*words, b"1\t", b"1-2\t", "\u2028".encode(), "é".encode(), b"\xff", b"\xef\xbb\xbf"])


def _vector() -> Target:
    from rnnzoo.vectors.files import read_vectors

    def read(content: bytes, folder: Path) -> None:
        packed = content[:1] == b"\x01"
        path = folder / ("a.txt.gz" if packed else "a.txt")
        path.write_bytes(content[1:])
        read_vectors(path).find(["the", "THE", ""])

    plain = b"the 0.1 -2e-3 3\nof 1 2 3\n. 0 0 0\n"
    seeds = [b"\0" + plain, b"\x003 3\n" + plain, b"\0  1 2 3\n", b"\x01" + gzip.compress(plain)]
    words = [b" ", b"\n", b"1", b"nan", b"inf", b"1e39", b"1_0", b"0x1", b"\t", b"\xff", "é".encode(), b"3 3\n", b"\0"]
    return Target(read, seeds, words)


def _table() -> Target:
    from rnnzoo.data.readers import tables

    endings = list(tables.READERS)

    def read(content: bytes, folder: Path) -> None:
        path = folder / f"a{endings[(content[0] if content else 0) % len(endings)]}"
        path.write_bytes(content[1:])
        tables.read(path)
        tables.read_columns(path, ["text", "label"])

    rows = [{"text": "good, film", "label": 1}, {"text": 'a "b"', "label": None}]
    parquet = io.BytesIO()
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), parquet)
    lines = "\n".join(map(json.dumps, rows)).encode()
    contents = [
        b'text,label\n"good, film",1\n"a ""b""",2\n',
        b"text\tlabel\ngood\t1\n",
        lines,
        lines,
        parquet.getvalue(),
    ]
    seeds = [bytes([number]) + content for number, content in enumerate(contents)]
    words = [
        b",",
        b";",
        b"\t",
        b"|",
        b"\n",
        b"\r\n",
        b'"',
        b'""',
        b"text",
        b"label",
        b"sep=;\n",
        b"\0",
        b"\xff",
        b"{",
        b"}",
    ]
    return Target(read, seeds, [*words, b'{"text": "a", "label": 1}', b":", b"[", b"]", b"\xff\xfe", b"\xef\xbb\xbf"])


def _series() -> Target:
    from rnnzoo.data.sources.csv_series import CsvSeries

    def read(content: bytes, folder: Path) -> None:
        (folder / "a.csv").write_bytes(content[1:])
        timed = content[:1] == b"\x01"
        CsvSeries(str(folder / "a.csv"), time_column="time" if timed else None, missing="forward").read()

    days = b"".join(b"2024-01-%02d,%d,%d.5\n" % (day, day, day * day) for day in range(1, 29))
    hours = b"".join(b"2024-01-01 %02d:00Z,%d,nan\n" % (hour, hour) for hour in range(24))
    numbers = b"".join(b"%d;%d,5;x\n" % (row, row) for row in range(20))
    seeds = [b"\x01time,a,b\n" + days, b"\x01time,a,b\n" + hours, b"\0time;a;b\n" + numbers]
    words = [b",", b";", b"\n", b"2024-02-30", b"2024-W05-1", b"2024-Q1", b"9999-12-31", b"1e308", b"-", b"nan", b"inf"]
    return Target(
        read, seeds, [*words, b"0", b"1,000", b"%", b"true", b"time", b"T24:00", b"+23:59", "٣".encode(), b'"']
    )


def _wav() -> Target:
    from rnnzoo.data.readers.audio import LogMel, read_wav, resampled

    def read(content: bytes, folder: Path) -> None:
        samples, rate = read_wav(content)
        LogMel(8000)(resampled(samples, rate, 8000))

    def wav(codec: int, channels: int, rate: int, bits: int, data: bytes, extra: bytes = b"") -> bytes:
        block = channels * bits // 8
        header = struct.pack("<HHIIHH", codec, channels, rate, rate * block, block, bits) + extra
        body = b"WAVEfmt " + struct.pack("<I", len(header)) + header + b"LIST\3\0\0\0abc\0"
        body += b"data" + struct.pack("<I", len(data)) + data
        return b"RIFF" + struct.pack("<I", len(body)) + body

    ramp = bytes(range(240))
    seeds = [wav(1, 1, 8000, 16, ramp), wav(1, 2, 44100, 24, ramp), wav(1, 1, 11025, 8, ramp)]
    seeds += [wav(3, 1, 16000, 32, struct.pack("<30f", *range(30))), wav(3, 1, 8000, 64, struct.pack("<9d", *range(9)))]
    guid = struct.pack("<HHIH14x", 22, 16, 4, 1)
    seeds += [wav(0xFFFE, 1, 22050, 16, ramp, guid)]
    words = [b"RIFF", b"WAVE", b"fmt ", b"data", b"LIST", b"\xff" * 4, b"\0" * 4, b"\x10\0\0\0", b"\x80\xbb\0\0", b"\0"]
    return Target(read, seeds, words)


TARGETS = {
    "recipe": _recipe,
    "checkpoint": _checkpoint,
    "weights": _weights,
    "state": _state,
    "resume": _resume,
    "show": _show,
    "tag": _tag,
    "vector": _vector,
    "table": _table,
    "series": _series,
    "wav": _wav,
}


def sealed_by_hand(folder: Path, form: Any) -> None:
    """Write a manifest that agrees with what is in the folder."""
    listed = {}
    for name in form.files:
        content = (folder / name).read_bytes()
        listed[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "MANIFEST.json").write_text(json.dumps({"format_version": form.version, "files": listed}))


def command(*words: str) -> None:
    """Run a command in this process. Its exit code must be 0 or 2, and nothing that it prints may steer a terminal."""
    from rnnzoo.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    said = out.getvalue() + err.getvalue()
    assert code in (0, 2) and not UNSAFE.search(said) and "Traceback" not in said, (code, said[-2000:])


def _encoded(source: Any, task: str) -> None:
    """Read a data set to its end, as a run does."""
    from rnnzoo.data.datamodule import ZooData
    from rnnzoo.data.forms import FORMS

    ZooData(source, FORMS[source.form]()).prepare()
