"""Folders of strangers are read within bounds: whatever is in them, the answer is a message, soon."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnzoo import cli
from rnnzoo.runs import shipped as pretrained
from rnnzoo.system.console import UNSAFE

QUICKSTART = pretrained.FOLDER / "quickstart"


def folder(tmp_path, **files):
    """A run: the shipped model with some of its files changed or made anew, and a manifest that agrees with them."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("weights.safetensors", "meta.json", "spec.json", "summary.json"):
        shutil.copy(QUICKSTART / name, run)
    for name, content in files.items():
        path = run / name.replace("__", ".")
        path.unlink(missing_ok=True)
        content(path) if callable(content) else path.write_bytes(content)
    seal(run)
    return run


def seal(run):
    listed = {}
    for name in ("weights.safetensors", "meta.json", "spec.json"):
        path = run / name
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        listed[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (run / "MANIFEST.json").write_text(json.dumps({"format_version": 1, "files": listed}))


def changed(**sections):
    """The model's meta.json with keys of its recipe's sections set otherwise."""
    meta = json.loads((QUICKSTART / "meta.json").read_text())
    for name, values in sections.items():
        meta["recipe"][name] = meta["recipe"][name] | values
    return json.dumps(meta).encode()


def architecture(**values):
    return changed(model={"architecture": {"name": "recurrent", "cell": "lstm", "hidden_size": 64} | values})


def nested(levels):
    cell = "lstm"
    for _ in range(levels):
        cell = {"name": "residual", "cell": cell}
    return architecture(cell=cell)


def header(size, text=b"{}"):
    return size.to_bytes(8, "little") + text


HUGE = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
DEEP = b"[" * 100_000
BOMB = b"a: &a [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (name, name, b", ".join([b"*%c" % below] * 10))
    for below, name in zip(b"abcdefgh", b"bcdefghi", strict=True)
)
HOSTILE = {
    "a pickle as weights": {"weights__safetensors": b"\x80\x04cos\nsystem\n(S'touch executed'\ntR."},
    "a zip as weights": {"weights__safetensors": b"PK\x03\x04" + bytes(100)},
    "empty weights": {"weights__safetensors": b""},
    "weights cut short": {"weights__safetensors": (QUICKSTART / "weights.safetensors").read_bytes()[:1000]},
    "a huge header": {"weights__safetensors": header(2**62)},
    "a header of no JSON": {"weights__safetensors": header(4, b"{{{{")},
    "tensors that are not there": {"weights__safetensors": header(len(HUGE), HUGE)},
    "weights in a pipe": {"weights__safetensors": os.mkfifo},
    "weights that are a device": {"weights__safetensors": lambda path: path.symlink_to("/dev/zero")},
    "weights that are a folder": {"weights__safetensors": Path.mkdir},
    "a meta that is deep": {"meta__json": DEEP},
    "a meta that is a list": {"meta__json": b"[]"},
    "a meta without a recipe": {"meta__json": b"{}"},
    "a meta of no UTF-8": {"meta__json": b'{"a": "\xff"}'},
    "a meta with NaN": {"meta__json": b'{"a": NaN}'},
    "a meta with numbers beyond a float": {"meta__json": b'{"a": 1' + b"0" * 5000 + b"}"},
    "a meta in a pipe": {"meta__json": os.mkfifo},
    "a meta that is a link to itself": {"meta__json": lambda path: path.symlink_to(path)},
    "a hidden size of a million": {"meta__json": architecture(hidden_size=10**6)},
    "a hidden size of 2^62": {"meta__json": architecture(hidden_size=2**62)},
    "a million layers": {"meta__json": architecture(name="stacked", num_layers=10**6)},
    "forty cells in each other": {"meta__json": nested(40)},
    "four hundred cells in each other": {"meta__json": nested(400)},
    "a spec that is deep": {"spec__json": DEEP},
    "a spec that is empty": {"spec__json": b"{}"},
    "a spec of half a character": {"spec__json": b'{"form": "\\ud800"}'},
}
SHOWN = {
    "a config that is a bomb": {"config__yaml": BOMB},
    "a config that is deep": {"config__yaml": DEEP},
    "a config that names code": {"config__yaml": b"!!python/object/apply:os.system ['touch executed']"},
    "a config that is large": {"config__yaml": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**40)},
    "a config that is a number": {"config__yaml": b"-1"},
    "a summary that is deep": {"summary__json": DEEP},
    "a summary of no UTF-8": {"summary__json": b"\xff"},
    "a summary that is a text": {"summary__json": b'"\\u001b[2J"'},
    "a summary that is large": {
        "summary__json": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**40)
    },
}


def refused(capsys, *command):
    code = cli.main(list(map(str, command)))
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and err and "Traceback" not in err
    assert not UNSAFE.search(err)
    assert not Path("executed").exists()
    return err


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_checkpoint_is_refused(tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    run = folder(tmp_path, **HOSTILE[name])
    for verb in (("predict", run, "--text", "good"), ("test", run)):
        refused(capsys, *verb)


@pytest.mark.parametrize("name", SHOWN)
def test_a_hostile_run_is_refused_by_show_and_results(tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    run = folder(tmp_path, **SHOWN[name])
    for verb in (("show", run), ("results", run)):
        refused(capsys, *verb)


def test_a_run_does_not_say_on_how_many_devices_it_is_tested(tmp_path, capsys):
    run = folder(tmp_path, meta__json=changed(trainer={"devices": 10_000, "num_nodes": 1_000, "strategy": "ddp"}))
    assert cli.main(["test", str(run), "--json"]) == 0


@pytest.mark.parametrize(
    ("owner", "version"),
    [("evil --index-url http://h", "1"), ("a\n  pip install evil", "1"), ("a", "1; curl h"), ("", "")],
)
def test_an_install_hint_names_what_is_a_distribution_alone(tmp_path, capsys, owner, version):
    meta = json.loads((QUICKSTART / "meta.json").read_text())
    meta["parts"] = [{"kind": "cells", "name": "absent", "distribution": owner, "version": version}]
    run = folder(tmp_path, meta__json=json.dumps(meta).encode())
    said = refused(capsys, "predict", run, "--text", "good")
    assert "pip install" not in said.split("Needed:")[1] and "which is not here" in said


def test_nothing_of_a_strangers_folder_steers_the_terminal(tmp_path, capsys):
    evil = "\x1b[2J\x9b31m\u202eevil\r"
    summary = json.loads((QUICKSTART / "summary.json").read_text())
    summary |= {"recipe": evil, "status": evil, "started": evil, evil: evil, "versions": {evil: evil}}
    summary["metrics"] = summary["metrics"] | {f"test/{evil}": 0.5}
    run = folder(tmp_path, summary__json=json.dumps(summary).encode())
    for command in (
        ["show", str(run)],
        ["show", str(run), "--json"],
        ["results", str(run)],
        ["show", evil],
        [evil],
        ["fit", evil],
        ["list", evil],
        ["predict", evil, "--text", "x"],
        ["show", "cell", evil],
        ["fit", "quickstart", f"--{evil}", "1"],
        ["fit", "quickstart", "--model.architecture.cell", evil],
        ["test", str(run), f"--data.{evil}", "1"],
        ["check", evil],
        ["gradients", evil],
    ):
        cli.main(command)
        out, err = capsys.readouterr()
        assert not UNSAFE.search(out + err), command


def test_the_worst_of_them_end_in_seconds_in_a_process_of_their_own(tmp_path):
    run = folder(tmp_path, config__yaml=BOMB, metrics__jsonl=os.mkfifo, weights__safetensors=os.mkfifo)
    command = [sys.executable, "-m", "rnnzoo", "show", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_a_run_whose_address_lost_its_secret_asks_for_it_again(tmp_path, capsys):
    signed = {"name": "text_files", "train": "https://h/a.csv?sig=[redacted]", "text_column": "a", "label_column": "b"}
    run = folder(tmp_path, meta__json=changed(data=signed))
    said = refused(capsys, "test", run)
    assert "data.train: a secret was taken out" in said and "--data.train VALUE" in said


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_file_of_texts_is_a_file(tmp_path, capsys, make):
    make(tmp_path / "texts")
    assert "- for standard input" in refused(capsys, "predict", QUICKSTART, "--file", tmp_path / "texts")
