"""A run that is pushed to the Hub, loaded from there, and every failure in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rnnzoo.cli import main
from rnnzoo.inference import predictor
from rnnzoo.publishing.card import card, front_matter
from rnnzoo.publishing.package import package, public
from rnnzoo.publishing.push import check_name

CHILD = """
import contextlib, io, json, os, sys
sys.path[:0] = sys.argv[2:4]
from writable_hub import TOKEN, WritableHub
hub = WritableHub()  # the client of the Hub reads its address when it is imported
os.environ.update(HF_ENDPOINT=hub.endpoint, HF_HOME="hf", RNNZOO_CACHE="cache", HF_HUB_DISABLE_XET="1")
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
from rnnzoo.cli import main
RUN = sys.argv[1]

def case(name, *words, token=TOKEN, fault=None, only=""):
    hub.fault, hub.only = fault, only
    os.environ.pop("HF_TOKEN", None)
    os.environ.update({"HF_TOKEN": token} if token else {})
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(words))
    print(json.dumps([name, code, out.getvalue(), err.getvalue()]))

case("dry", "push", RUN, "me/film", "--dry_run")
print(json.dumps(["dry asked", len(hub.asked), "", ""]))
case("no token", "push", RUN, "me/film", token=None)
case("wrong token", "push", RUN, "me/film", token="hf_other")
case("no right", "push", RUN, "others/film")
case("full", "push", RUN, "me/full", fault=507, only="/commit/")
case("pushed", "push", RUN, "me/film", "--private", "--license", "mit", "--data_license", "Given to tests.")
case("again", "push", RUN, "me/film", "--revision", "v2")
case("loaded", "predict", "hf://me/film", "--text", "a good film", "--json")
facts = {"made": hub.made, "branches": hub.branches, "unknown": hub.unknown}
facts["files"] = sorted(hub.repositories["models/me/film"])
facts["card"] = hub.repositories["models/me/film"]["README.md"].decode()
print(json.dumps(["facts", 0, json.dumps(facts), ""]))
hub.shutdown(), hub.server_close()
case("no network", "push", RUN, "me/film")
"""


@pytest.fixture(scope="module")
def cases(trained, tmp_path_factory) -> dict[str, tuple[int, str, str]]:
    """The exit code, standard output and error of each case."""
    here = Path(__file__).parent
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(trained), str(here), str(here.parent)],
        cwd=tmp_path_factory.mktemp("pushing"),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: (code, out, error) for name, code, out, error in lines}


def test_a_pushed_run_answers_as_it_did(cases, trained):
    code, out, error = cases["loaded"]
    assert code == 0, error
    answer = json.loads(out)
    (offline,) = predictor.load(trained).predict(["a good film"])
    assert {key: answer[key] for key in offline} == offline


def test_a_push_makes_the_repository_and_sends_the_model_its_facts_and_a_card_alone(cases):
    assert cases["pushed"][0] == 0, cases["pushed"][2]
    facts = json.loads(cases["facts"][1])
    assert facts["unknown"] == []
    made = facts["made"][-1]
    assert made["name"] == "film" and "private" in (made.get("visibility"), *[key for key in made if made[key] is True])
    assert facts["branches"] == ["main", "v2"]
    model = ["MANIFEST.json", "README.md", "config.yaml", "meta.json", "metrics.jsonl", "spec.json", "summary.json"]
    assert facts["files"] == [*model, "weights.safetensors"]


FAILURES = {
    "no token": "there is no token",
    "wrong token": "does not take the token",
    "no right": "your token may not write there",
    "full": "HfHubHTTPError",
    "no network": "does not answer",
}


@pytest.mark.parametrize("name, part", FAILURES.items(), ids=FAILURES)
def test_what_hinders_a_push_is_one_message(cases, name, part):
    code, _, error = cases[name]
    message = error.partition("cannot push")[2]
    assert code == 2 and part in message.splitlines()[0]
    assert "Traceback" not in error and "hf_" not in error


def test_a_dry_run_shows_the_files_and_the_card_and_asks_nobody(cases):
    code, out, _ = cases["dry"]
    assert code == 0 and cases["dry asked"][0] == 0
    assert "weights.safetensors" in out and "library_name: rnnzoo" in out


NO_NAMES = ["film", "me/film/more", "me/fi lm", "../film", "me/..", "me/a--b", "me/film.git", "me/-film", ""]
NO_NAMES += ["me/" + "x" * 97]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_of_a_repository_is_refused_before_anything_is_read(name, capsys):
    assert main(["push", "no run at all", name, "--dry_run"]) == 2
    assert "is no name of a repository" in capsys.readouterr().err


def test_names_that_the_hub_takes_are_taken():
    from huggingface_hub.utils import validate_repo_id

    for name in ("me/film", "my-team/reviews_lstm.v2", "a/b"):
        check_name(name, "v1.0")
        validate_repo_id(name)


def test_the_card_says_scores_use_terms_and_the_data(trained, tmp_path):
    packed = package(trained, tmp_path / "package")
    text = card(packed, "me/film", "mit", "Given to tests.")
    front = yaml.safe_load(text.split("---\n")[1])
    assert front == front_matter(packed, "me/film", "mit")
    assert front["library_name"] == "rnnzoo" and front["license"] == "mit"
    assert front["pipeline_tag"] == "text-classification" and "bidirectional" in front["tags"]
    (result,) = front["model-index"][0]["results"]
    scores = {metric["type"]: metric["value"] for metric in result["metrics"]}
    kept = json.loads((trained / "summary.json").read_text())["metrics"]
    assert scores == {name: kept[f"test/{name}"] for name in front["metrics"]}
    assert 'rnnzoo.load("hf://me/film")' in text and "Given to tests." in text
    assert "Look it up" in card(packed, "me/film", None, None)


def test_the_front_matter_is_what_the_hubs_own_reader_takes(trained, tmp_path):
    from huggingface_hub import ModelCard

    read = ModelCard(card(package(trained, tmp_path / "package"), "me/film", None, None))
    assert read.data.library_name == "rnnzoo"
    assert {result.metric_type for result in read.data.eval_results} == set(read.data.metrics)


def test_a_foreign_name_in_a_card_opens_no_tag_and_no_link(trained, tmp_path):
    packed = package(trained, tmp_path / "package")
    packed.summary["data"]["id"] = "<script>alert(1)</script>[x](http://evil)"
    packed.recipe["name"] = "x\n# <img src=x>"
    body = card(packed, "me/film", None, None).split("---\n", 2)[2]
    assert "<" not in body and "[x]" not in body and "\n# img" not in body


def test_no_secret_no_account_and_no_folder_of_this_machine_is_sent(trained, tmp_path):
    packed = package(trained, tmp_path / "package")
    recipe = packed.recipe | {
        "tracking": packed.recipe["tracking"] | {"entity": "my-account", "project": "secret-project"},
        "data": packed.recipe["data"] | {"train": "/home/alice/clients/acme.csv", "dev": "~/x.csv", "api_key": "k123"},
    }
    sent = json.dumps(public(recipe))
    assert not [word for word in ("my-account", "secret-project", "alice", "acme/", "~", "k123") if word in sent]
    assert public(recipe)["data"]["train"] == "acme.csv"
    sent = "".join(path.read_text(errors="replace") for path in packed.folder.glob("*.[jy]*"))
    assert str(Path.home()) not in sent and os.uname().nodename not in sent and str(trained.parent) not in sent
