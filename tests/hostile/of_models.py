"""Checkpoints, and the files that a sound one is asked about."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from making import (
    DEEP,
    EVIL,
    HUGE_INT,
    NESTED,
    PICKLE,
    QUICKSTART,
    Entry,
    Make,
    inside,
    makes,
    run_with,
    sealed,
    sparse,
    special,
    tarred,
    writes,
)


def _meta(**sections: Mapping[str, Any]) -> str:
    """The shipped model's meta.json with keys of its recipe's sections set otherwise."""
    meta = json.loads((QUICKSTART / "meta.json").read_text())
    for name, values in sections.items():
        meta["recipe"][name] = meta["recipe"][name] | values
    return json.dumps(meta)


def _architecture(**values: Any) -> str:
    return _meta(model={"architecture": {"name": "recurrent", "cell": "lstm", "hidden_size": 64} | values})


def _cells(levels: int) -> Any:
    cell: Any = "lstm"
    for _ in range(levels):
        cell = {"name": "residual", "cell": cell}
    return cell


def _tensors(header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(64)


def _tensor(dtype: str = "F32", shape: Sequence[int] = (2, 2), offsets: Sequence[int] = (0, 16)) -> object:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


WEIGHTS: dict[str, bytes | Make] = {
    "a pickle": PICKLE,
    "a zip of torch's": b"PK\x03\x04" + bytes(500),
    "nothing": b"",
    "cut short": (QUICKSTART / "weights.safetensors").read_bytes()[:1000],
    "a header of four exabytes": (2**62).to_bytes(8, "little") + b"{}",
    "a header of no JSON": _tensors(b"{{{{"),
    "a deep header": _tensors(DEEP),
    "an unknown type": _tensors({"a": _tensor("PICKLE")}),
    "a tensor that is not there": _tensors({"a": _tensor(shape=(2**40,), offsets=(0, 2**42))}),
    "a shape that overflows": _tensors({"a": _tensor(shape=(2**32, 2**32), offsets=(0, 0))}),
    "a shape below zero": _tensors({"a": _tensor(shape=(-1, 4))}),
    "tensors over each other": _tensors({"a": _tensor(), "b": _tensor(offsets=(8, 24))}),
    "a hole": _tensors({"a": _tensor(), "b": _tensor(offsets=(32, 48))}),
    "a name that steers": _tensors({EVIL: _tensor(), "b": _tensor(offsets=(16, 32)), "c": _tensor(offsets=(32, 64))}),
    "a name twice": _tensors(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},' * 2 + b'"z":{}}'),
    "a tar": tarred("../../evil", b"x"),
    "a terabyte": sparse("weights.safetensors"),
}
METAS: dict[str, bytes | str | Make] = {
    "deep": DEEP,
    "nested": NESTED,
    "a list": "[]",
    "a mapping of nothing": "{}",
    "a pickle": PICKLE,
    "no UTF-8": b'{"a": "\xff"}',
    "not a number": '{"a": NaN}',
    "a number of many digits": b'{"a": ' + HUGE_INT + b"}",
    "half of a character": '{"recipe": "\\ud800"}',
    "an import path as a cell": _architecture(cell="evil:Cell"),
    "a class path": _architecture(class_path="os.system"),
    "a hidden size of a million": _architecture(hidden_size=10**6),
    "a hidden size of 2^62": _architecture(hidden_size=2**62),
    "a million layers": _architecture(name="stacked", num_layers=10**6),
    "forty cells in each other": _architecture(cell=_cells(40)),
    "four hundred cells in each other": _architecture(cell=_cells(400)),
    "no name": json.dumps(
        {key: value for key, value in json.loads(_meta()).items() if key != "recipe"} | {"recipe": {}}
    ),
    "a name that steers": _meta().replace('"quickstart"', json.dumps({EVIL: EVIL})),
    "a recipe that is a text": json.dumps({"recipe": EVIL, "parts": []}),
    "a part of no package": json.dumps(
        json.loads(_meta())
        | {"parts": [{"kind": "cells", "name": EVIL, "distribution": "x; touch executed", "version": ""}]}
    ),
    "a part of no kind": json.dumps(
        json.loads(_meta()) | {"parts": [{"kind": EVIL, "name": "x", "distribution": "x", "version": "1"}]}
    ),
    "tied to nothing": json.dumps(json.loads(_meta()) | {"tied": {"a": "b"}}),
    "tied by a list": json.dumps(json.loads(_meta()) | {"tied": [[]]}),
    "a newer format": _meta().replace('"seed": ', '"format": 99, "seed": ', 1),
    "a terabyte": sparse("meta.json"),
}
SPECS: dict[str, bytes | str] = {
    "deep": DEEP,
    "a mapping of nothing": "{}",
    "a form that is an import path": json.dumps({"form": "os.system", "fields": {}}),
    "half of a character": '{"form": "\\ud800"}',
    "labels that are numbers": (QUICKSTART / "spec.json").read_text().replace('"negative"', "1e308"),
}


def checkpoint(**changed: bytes | str | Make) -> Make:
    """The shipped model in `run` with files made anew, by name with __ for a dot, and a manifest that agrees."""

    def make() -> None:
        for name, content in changed.items():
            file = name.replace("__", ".")
            Path(file).unlink(missing_ok=True)
            (content if callable(content) else writes(file, content))()
        sealed(("weights.safetensors", "meta.json", "spec.json"))

    return run_with(make)


def folders() -> dict[str, Make]:
    """Checkpoints that mean harm or are broken, in `run`."""
    made: dict[str, Make] = {}
    for file, contents in {"weights.safetensors": WEIGHTS, "meta.json": METAS, "spec.json": SPECS}.items():
        for name, content in (contents | special(file)).items():
            made[f"{file}: {name}"] = checkpoint(**{file.replace(".", "__"): content})
    for name, manifest in {
        "deep": DEEP,
        "a list": b"[]",
        "a format that is a text": b'{"format_version": "x", "files": {}}',
        "a newer format": b'{"format_version": 99, "files": {}}',
        "files that are a list": b'{"format_version": 1, "files": []}',
        "files elsewhere": b'{"format_version": 1, "files": {"../../etc/passwd": {"size": 1, "sha256": "x"}}}',
        "a pickle": PICKLE,
    }.items():
        made[f"MANIFEST.json: {name}"] = run_with(writes("MANIFEST.json", manifest))
    for name, pointer in {
        "that leaves the folder": "../../elsewhere",
        "that is absolute": "/etc",
        "that steers": EVIL,
        "that is long": "a" * 4000,
        "that is a pickle": PICKLE,
    }.items():
        made[f"a pointer {name}"] = makes(lambda: os.mkdir("run"), writes("run/checkpoints/best", pointer))
    made |= {
        f"a pointer that is {name}": makes(lambda: os.makedirs("run/checkpoints"), inside("run/checkpoints", make))
        for name, make in special("best").items()
        if name != "a folder"
    }
    return made


def starts() -> dict[str, Entry]:
    """Checkpoints that a training is to start from; where its weights fit, what else is in one does not matter."""
    fit = ("fit", "quickstart", "--init_from", "run", "--run_dir", "new", "--data.examples", "64")
    small = ("--trainer.max_epochs", "1", "--engine", "reference", "--tracking.mode", "disabled")
    entries = {name: Entry(make, (*fit, *small), code=None, leaves=True) for name, make in folders().items()}
    for name in ("http://127.0.0.1/a", "/dev/zero", "../../etc", EVIL, "evil.module", "a" * 5000):
        entries[f"from {name!r:.30}"] = Entry(lambda: None, ("fit", "quickstart", "--init_from", name))
    return entries


def models() -> dict[str, Entry]:
    """Checkpoints, of `predict` and `test`; and the files that a sound one is asked about."""
    entries = {}
    for name, make in folders().items():
        entries[f"predict, {name}"] = Entry(make, ("predict", "run", "--text", "good"))
        entries[f"test, {name}"] = Entry(make, ("test", "run"))
    asked: dict[str, tuple[str, bytes | str | Make]] = {
        "a pickle as a table": ("a.csv", PICKLE),
        "a table without the column": ("a.csv", f"{EVIL}\nx\n"),
        "a Parquet of noise": ("a.parquet", b"PAR1" + bytes(100)),
        "deep JSON lines": ("a.jsonl", DEEP),
        "JSON lines of lists": ("a.jsonl", "[1]\n"),
        "texts that are no UTF-8": ("a.txt", b"\xff\n"),
        "texts of a terabyte": ("a.txt", sparse("a.txt")),
    }
    for name, (file, content) in asked.items():
        make = content if callable(content) else writes(file, content)
        entries[f"predict --file, {name}"] = Entry(make, ("predict", "quickstart", "--file", file))
    for name, make in special("a.txt").items():
        entries[f"predict --file, {name}"] = Entry(make, ("predict", "quickstart", "--file", "a.txt"))
    steering = writes("a.txt", f"{EVIL} good\n")
    entries["predict --file, texts that steer"] = Entry(steering, ("predict", "quickstart", "--file", "a.txt"), code=0)
    json_too = ("predict", "quickstart", "--file", "a.txt", "--json")
    entries["predict --file, texts that steer, as JSON"] = Entry(steering, json_too, code=0)
    labels = (QUICKSTART / "spec.json").read_text().replace('"negative"', json.dumps(EVIL))
    labels = labels.replace('"positive"', json.dumps(EVIL[::-1]))
    for words in (("--text", "good"), ("--text", "good", "--json")):
        command = ("predict", "run", *words)
        entries[f"labels that steer, {len(words)}"] = Entry(checkpoint(spec__json=labels), command, code=0)
    return entries
