"""Models from repositories of the Hub: their files alone, of one commit, checked; and every failure in words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from standin_hub import COMMIT

from rnnzoo.errors import RunError
from rnnzoo.runs import hub_models

CHILD = """
import contextlib, io, json, os, sys, time
sys.path.insert(0, sys.argv[1])
from standin_hub import COMMIT, Hub
hub = Hub()  # the client of the Hub reads its address when it is imported
os.environ.update(HF_ENDPOINT=hub.endpoint, HF_HOME="hf", RNNZOO_CACHE="cache")
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
from pathlib import Path
from rnnzoo.cli import main
from rnnzoo.runs import hub_models, pretrained_models
from rnnzoo.runs.checkpoint import WEIGHTS
good = {path.name: path.read_bytes() for path in pretrained_models.find("sentiment").iterdir() if path.is_file()}
good["code.py"] = b"raise SystemExit(7)"
PREDICT = ["predict", "hf://me/film", "--text", "a wonderful film"]

def case(name, words=PREDICT, files=good, fault=None, only=""):
    hub.repositories, hub.fault, hub.only, hub.asked = {"models/me/film": files}, fault, only, []
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    print(json.dumps([name, code, out.getvalue(), err.getvalue(), len(hub.asked)]))

case("absent", ["predict", "hf://me/other", "--text", "x"])
case("not ours", files={"README.md": b"x", "model.bin": b"x"})
case("truncated", files=good | {WEIGHTS: good[WEIGHTS][:100]})
case("another's weights", files=good | {WEIGHTS: b"x" * len(good[WEIGHTS])})
case("gated", fault=401)
case("no revision", fault=410)
case("broken", fault=500)
case("busy", fault=429)
case("rubbish", fault="html")
hub_models.LIMITS["meta.json"] = 10
case("large", )
hub_models.LIMITS["meta.json"] = 2**20
hub_models.PATIENCE = 0.5
case("silent", fault="stall")
hub_models.PATIENCE = 60.0
litter = [str(path) for path in Path("cache").rglob("*") if path.is_file()]
case("good")
case("again, with the Hub broken", fault=500)
case("by commit", ["predict", f"hf://me/film@{COMMIT}", "--text", "a dull film"])
Path("own.csv").write_text("text,label\\n" + "a fine film,good\\na dull film,bad\\n" * 8)
case("fit", ["fit", "quickstart", "--data={name: text_files, train: own.csv, batch_size: 4}", "--trainer.max_epochs=1",
             "--model.inputs.tokens.size=128", "--tracking.mode=disabled", "--run_dir=run", "--init_from=hf://me/film"])
hub.shutdown(), hub.server_close()
case("no network")
import rnnzoo
print(json.dumps(["load", 0, rnnzoo.load("hf://me/film").predict(["a wonderful film"])[0]["label"], "", 0]))
print(json.dumps(["litter", len(litter), "".join(litter), "", 0]))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Exit code, standard output and error, and questions to the Hub, by the name of a case."""
    folder = tmp_path_factory.mktemp("hub")
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parents[1])]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}
    return found | {"facts": json.loads((folder / "run" / "summary.json").read_text())["init_from"]}


REFUSED = {
    "absent": "there is none, or it is private",
    "not ours": "it is not a model of rnnzoo, as it has no MANIFEST.json",
    "truncated": "what came is damaged: weights.safetensors is truncated",
    "another's weights": "what came is damaged: weights.safetensors is corrupt",
    "gated": "its owner asks to accept conditions",
    "no revision": "there is no such revision",
    "broken": "500",
    "busy": "429",
    "rubbish": "JSONDecodeError",
    "large": "its meta.json has ",
    "silent": "it was not done within",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_fetched_is_told_in_a_few_lines(name, outcomes):
    code, out, err, _ = outcomes[name]
    assert (code, out) == (2, "") and REFUSED[name] in err
    assert "cannot fetch the model 'me/" in err and "Traceback" not in err and len(err.split("\n")) <= 7
    assert outcomes["litter"][0] == 0


@pytest.mark.slow
def test_a_model_of_the_hub_predicts_trains_on_and_is_kept_for_times_without_network(outcomes):
    assert outcomes["good"][:2] == [0, outcomes["no network"][1]] and outcomes["good"][1].startswith("pos")
    assert outcomes["load"][1] == "pos"
    code, out, err, _ = outcomes["again, with the Hub broken"]
    assert code == 0 and out.startswith("pos") and f"What was fetched before is taken, commit {COMMIT}" in err
    code, out, _, asked = outcomes["by commit"]
    assert code == 0 and out.startswith("neg") and asked == 0
    assert outcomes["fit"][0] == 0, outcomes["fit"]
    assert outcomes["facts"]["source"] == "hf://me/film" and outcomes["facts"]["commit"] == COMMIT


@pytest.mark.parametrize(
    "address", ["hf://", "hf://name", "hf://a/b/c", "hf://a/b@", "hf://../x/y", "hf://a b/c", "hf:///a"]
)
def test_what_is_no_address_is_refused_before_anything_is_asked(address):
    with pytest.raises(RunError, match="no address of a model on the Hub"):
        hub_models.fetch(address)


def test_without_a_network_a_model_that_was_never_fetched_is_refused(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setenv("RNNZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for address in ("hf://me/film", "hf://me/film@v1", f"hf://../..@{'../' * 9}", f"hf://me/film@{COMMIT}"):
        with pytest.raises(RunError, match="HF_HUB_OFFLINE is set"):
            hub_models.fetch(address)
    assert not list(tmp_path.iterdir())
