"""Any data set of the Hub by its id: every form of text, its splits and columns, and what is said of wrong ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnzoo import recipe as recipes
from rnnzoo import testing
from rnnzoo.data.sources import hub
from rnnzoo.data.sources.hub_data import HubData
from rnnzoo.errors import DataError, RecipeError
from rnnzoo.experiment.build import make_data
from rnnzoo.experiment.resolver import resolve

TEXTS = [f"{'fine' if row % 2 else 'poor'} food {row}" for row in range(20)]
LABELS = [row % 2 for row in range(20)]
ARCHITECTURES = {"next_word": "recurrent", "translation": "encoder_decoder"}


def table(features=None, **columns):
    """A `datasets.Dataset`: the given columns, labels and tags as numbers with names."""
    import datasets

    named = {"label": datasets.ClassLabel(names=["neg", "pos"]), "tags": [datasets.ClassLabel(names=["O", "X"])]}
    made = datasets.Dataset.from_dict(columns)
    features = made.features | {name: kind for name, kind in named.items() if name in columns} | (features or {})
    return made.cast(datasets.Features(features))


@pytest.fixture
def served(monkeypatch):
    """Serve these splits, whatever is asked for; the answer is the mapping that holds them."""
    splits = {}
    monkeypatch.setattr(hub, "load_hub", lambda *asked: splits)
    return splits


def made(task, **data):
    recipe = {"data": {"name": "hub", "id": "our/own", **data}, "task": task}
    return make_data(resolve(recipes.of(recipe | {"model": {"architecture": ARCHITECTURES.get(task, "gru")}})))


def test_labels_have_their_names_and_dev_is_held_out_of_each_where_there_is_none(served):
    served |= {"train": table(text=TEXTS, label=LABELS), "test": table(text=["fine"], label=[1])}
    data = made("sentiment", text="text", label="label")
    assert data.sizes == {"train": 18, "dev": 2, "test": 1} and data.labels == {"neg": 9, "pos": 9}
    assert data.identity["id"] == "our/own"
    assert data.source.row_name("dev", 1) == "our/own, train split, row 20"


@pytest.mark.parametrize(
    ("task", "columns", "form"),
    [
        ("sentiment", {"text": "text", "label": "label"}, "labelled_text"),
        ("tagging", {"words": "words", "tags": "tags"}, "tagged_text"),
        ("next_word", {"text": "text"}, "text_stream"),
        ("masked_word", {"text": "text"}, "masked_text"),
        ("translation", {"source": "both.en", "target": "both.de"}, "text_pairs"),
    ],
)
def test_the_task_says_which_columns_are_read(served, task, columns, form):
    both = [{"en": text, "de": text.upper()} for text in TEXTS]
    words, tags = [text.split() for text in TEXTS], [[0, 1, 0]] * 20
    served["train"] = table(text=TEXTS, label=LABELS, words=words, tags=tags, both=both)
    data = made(task, **columns)
    assert data.spec.form == form and set(data.sizes) == {"train", "dev"}
    if task == "tagging":
        assert data.spec.labels == ("O", "X")
    if task == "translation":
        assert data.parts["dev"].references == [text.upper() for text in TEXTS[18:]]


def test_two_texts_of_a_row_are_read_as_one(served):
    served["train"] = table(premise=TEXTS, claim=["so it is"] * 20, label=LABELS)
    source = HubData("our/own", text="premise", text_pair="claim", label="label")
    assert source.read()["train"]["text"][0] == "poor food 0 ||| so it is"


def test_splits_are_named_and_only_those_named_are_read(served):
    served |= {name: table(text=TEXTS, label=LABELS) for name in ("validation", "train", "test", "extra")}
    named = {"train": "extra", "dev": "test"}
    data = made("sentiment", text="text", label="label", splits=named)
    assert set(data.sizes) == {"train", "dev"} and data.source.part_name("dev") == "our/own, test split"
    assert set(made("sentiment", text="text", label="label").sizes) == {"train", "dev", "test"}
    with pytest.raises(DataError, match=r"splits.dev: our/own has no split 'validaton'.\n  Did you mean 'validation'"):
        made("sentiment", text="text", label="label", splits=named | {"dev": "validaton"}).prepare()


def test_a_test_split_without_labels_is_left_out_and_rows_without_one_are_left_out_when_asked(served, caplog):
    served |= {"train": table(text=TEXTS, label=[-1, *LABELS[1:]]), "test": table(text=["a"], label=[-1])}
    with pytest.raises(DataError, match=r"train split, row 1: 'label' is missing \(1 of 20 rows lack one\)"):
        made("sentiment", text="text", label="label").prepare()
    data = made("sentiment", text="text", label="label", drop_missing=True)
    assert sum(data.sizes.values()) == 19 and "test" not in data.sizes
    assert data.source.row_name("train", 0) == "our/own, train split, row 2"
    assert "its rows have no labels; it is not read" in caplog.text


def test_a_label_that_training_lacks_is_named_with_its_row(served):
    served |= {"train": table(text=TEXTS, grade=[str(n) for n in LABELS]), "test": table(text=["a"], grade=["9"])}
    with pytest.raises(DataError, match=r"our/own, test split, row 1: .*has no label '9'"):
        made("sentiment", text="text", label="grade").prepare()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"text": "txet", "label": "label"},
            "no column 'txet'.\n  Did you mean 'text'?\n  Found: text, label, words.",
        ),
        ({"text": "label", "label": "text"}, "column 'label' holds int64, not text"),
        ({"text": "text", "label": "words"}, "column 'words' holds lists of string, not one label a row"),
    ],
)
def test_a_wrong_column_is_told_with_those_that_exist(served, columns, message):
    served["train"] = table(text=TEXTS, label=LABELS, words=[["a"]] * 20)
    with pytest.raises(DataError) as error:
        made("sentiment", **columns).prepare()
    assert message in str(error.value)


def test_an_empty_data_set_is_refused(served):
    served |= {name: table(text=TEXTS, label=LABELS).select([]).flatten_indices() for name in ("train", "validation")}
    with pytest.raises(DataError, match="the train split of our/own is empty"):
        made("sentiment", text="text", label="label").prepare()


def test_all_mistakes_of_the_settings_are_told_at_once_and_before_anything_is_asked_of_the_hub():
    with pytest.raises(RecipeError) as error:
        made("sentiment", id="../our/own", text="text", words="words", splits={"dev": "test"})
    text = str(error.value)
    for line in ("data.id: must be owner/name", "data.label: missing", "data.words: the task does not read it"):
        assert line in text
    assert "data.splits: names no split to train on" in text


@pytest.mark.slow
def test_the_contract_of_data_sets_holds(served):
    served["train"] = table(text=TEXTS, label=LABELS)
    report = testing.check_dataset(
        {"name": "hub", "id": "our/own", "text": "text", "label": "label"}, raise_failures=False
    )
    assert {result.name for result in report.results if result.held is False} <= {"fresh_process"}  # has no stand-in


CHILD = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from standin_hub import COMMIT, Hub
hub = Hub()  # the client of the Hub reads its address when it is imported
os.environ.update(HF_ENDPOINT=hub.endpoint, HF_HOME=str(Path("home").absolute()), NO_PROXY="127.0.0.1")
from rnnzoo.cli import main
texts = [f"a {'good' if n % 2 else 'bad'} one {n}" for n in range(60)]
rows = "".join(json.dumps({"body": text, "stars": n % 2}) + "\\n" for n, text in enumerate(texts))
hub.repositories = {
    "datasets/our/own": {"train.jsonl": rows.encode(), "test.jsonl": rows.encode()},
    "datasets/our/script": {"script.py": b"open('ran', 'w')\\nraise SystemExit(9)\\n"},
}
FIT = ["fit", "quickstart", "--data", "hub", "--data.text=body", "--data.label=stars", "--trainer.max_epochs=1",
       "--tracking.mode=disabled", "--trainer.enable_progress_bar=false"]
codes = [main([*FIT, "--data.id=our/own", "--run_dir", "run"]), main(["test", "run"])]
codes += [main([*FIT, f"--data.id=our/{name}"]) for name in ("script", "onw")]
facts = json.loads(Path("run/summary.json").read_text())["data"]
print(json.dumps([codes, facts["id"], facts["revision"] == COMMIT, os.path.exists("ran")]))
"""


@pytest.mark.slow
def test_a_run_keeps_the_commit_it_read_and_no_script_is_run(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(Path(__file__).parents[2])],
        env={name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [[0, 0, 2, 2], "our/own", True, False]
    assert "Traceback" not in done.stderr and "Did you mean" not in done.stdout
