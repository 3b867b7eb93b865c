"""A Hub that fails, in whatever way, ends a run in words and in time, or is done without where its data were kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import contextlib, io, json, os, sys, time, types
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from standin_hub import Hub
hub = Hub()  # the client of the Hub reads its address when it is imported
os.environ.update(HF_ENDPOINT=hub.endpoint, HF_HUB_ETAG_TIMEOUT="1", HF_HUB_DOWNLOAD_TIMEOUT="1")
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
import datasets, huggingface_hub.utils._http as client, pyarrow as pa, pyarrow.parquet as pq
from huggingface_hub import constants
from rnnzoo.cli import main

at_once = {"sleep": lambda seconds: None}  # the client waits longer before each retry
client.time = types.SimpleNamespace(**vars(time) | at_once)

def parquet(rows):
    names = {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    texts = [f"a {'good' if row % 2 else 'bad'} film {row}" for row in range(rows)]
    table = pa.table({"text": texts, "label": pa.array([row % 2 for row in range(rows)], pa.int64())})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": names}})}), "made")
    return Path("made").read_bytes()

TRAIN = "train-00000-of-00001.parquet"
good = {"README.md": b"---\\nlicense: other\\n---\\n", TRAIN: parquet(400), "test-00000-of-00001.parquet": parquet(100)}
FIT = ["fit", "imdb_bilstm", "--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--tracking.mode=disabled",
       "--model.architecture.hidden_size=4", "--model.inputs.tokens.size=4", "--trainer.enable_progress_bar=false"]

def case(name, fault=None, only="", files=good, cache=None):
    folder = Path(cache or name).absolute()
    datasets.config.HF_DATASETS_CACHE, constants.HF_HUB_CACHE = folder / "datasets", str(folder / "hub")
    hub.repositories, hub.fault, hub.only = {"datasets/stanfordnlp/imdb": files} if files else {}, fault, only
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*FIT, "--run_dir", f"run of {name}"])
    print(json.dumps([name, code, err.getvalue(), Path(f"run of {name}").exists()]), flush=True)

case("500", fault=500)
case("429", fault=429)
case("403", fault=403)
case("404", fault=404)
case("absent", files=None)
case("html", fault="html")
case("stall", fault="stall")
case("rubbish file", files=good | {TRAIN: b"rubbish" * 99})
case("cut file", fault="cut", only="resolve.*parquet")
case("500 for a file", fault=500, only="resolve.*parquet")
case("good", cache="cache")
case("cached", fault=500, cache="cache")
case("cached, absent", files=None, cache="cache")
"""
REFUSED = {
    "500": "500",
    "429": "429",
    "403": "403",
    "404": "has none, or it is private",
    "absent": "has none, or it is private",
    "html": "JSONDecodeError",
    "stall": "does not answer in time",
    "rubbish file": "not a parquet file",
    "cut file": "closed connection",
    "500 for a file": "locate the file on the Hub",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Exit code, what was said, and whether a run's folder was made, by the name of a case."""
    folder = tmp_path_factory.mktemp("hub")
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parents[2])]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_a_hub_that_fails_ends_a_run_in_words_before_it_begins(name, outcomes):
    code, err, begun = outcomes[name]
    assert code == 2 and not begun and "Traceback" not in err
    message = err[err.index("cannot read the data set 'stanfordnlp/imdb, revision main' from the Hub: ") :]
    assert REFUSED[name] in message and len(message.strip().split("\n")) <= 5
    assert "HF_HUB_OFFLINE=1 reads them without asking the Hub" in message and "text_files" in message


@pytest.mark.slow
def test_data_that_were_fetched_before_are_read_while_the_hub_fails(outcomes):
    assert outcomes["good"][0] == 0
    for name, why in {"cached": "500", "cached, absent": "has none, or it is private"}.items():
        code, err, _ = outcomes[name]
        assert code == 0 and why in err and "An earlier download is read" in err
