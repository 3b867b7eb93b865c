"""Folders of strangers neither steer the terminal nor ask for machines; see also tests/hostile."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from rnnzoo import cli
from rnnzoo.runs import pretrained_models
from rnnzoo.system.console import UNSAFE

QUICKSTART = pretrained_models.FOLDER / "quickstart"


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


def refused(capsys, *command):
    code = cli.main(list(map(str, command)))
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and err and "Traceback" not in err
    assert not UNSAFE.search(err)
    return err


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


def test_a_run_whose_address_lost_its_secret_asks_for_it_again(tmp_path, capsys):
    signed = {"name": "text_files", "train": "https://h/a.csv?sig=[redacted]", "text_column": "a", "label_column": "b"}
    run = folder(tmp_path, meta__json=changed(data=signed))
    said = refused(capsys, "test", run)
    assert "data.train: a secret was taken out" in said and "--data.train VALUE" in said


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_file_of_texts_is_a_file(tmp_path, capsys, make):
    make(tmp_path / "texts")
    assert "- for standard input" in refused(capsys, "predict", QUICKSTART, "--file", tmp_path / "texts")
