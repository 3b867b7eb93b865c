"""`rnnzoo.fit` trains on rows in memory, of any frame, and says what is wrong with them."""

import random
import subprocess
import sys

import datasets
import numpy as np
import pandas
import polars
import pyarrow
import pytest
import torch
from conftest import write_reviews

import rnnzoo
from rnnzoo import registry
from rnnzoo.data.forms import chosen
from rnnzoo.data.readers import frames
from rnnzoo.errors import DataError, RecipeError, RunError, UnknownName
from rnnzoo.experiment import reproduce as reproducing
from rnnzoo.experiment.resolver import resolve
from rnnzoo.inference.fit import read, train
from rnnzoo.inference.own_data import changed, with_data

ROWS = [(f"a {word} film {n}", label) for n in range(20) for word, label in (("good", "pos"), ("bad", "neg"))]
TEXTS, LABELS = ([row[place] for row in ROWS] for place in (0, 1))
FRAME = pandas.DataFrame(ROWS, columns=["text", "label"])
FORMS = {
    "pandas": FRAME,
    "polars": polars.DataFrame({"text": TEXTS, "label": LABELS}),
    "lazy polars": polars.LazyFrame({"text": TEXTS, "label": LABELS}),
    "arrow": pyarrow.table({"text": TEXTS, "label": LABELS}),
    "datasets": datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS}),
    "mapping": {"label": np.array(LABELS), "text": TEXTS},
    "rows": ROWS,
    "mappings": [{"text": text, "label": label} for text, label in ROWS],
    "columns": (TEXTS, pandas.Series(LABELS)),
}
SMALL = {
    "model": {"architecture": {"name": "bidirectional", "hidden_size": 4}, "inputs": {"tokens": {"size": 4}}},
    "optimizer": {"name": "adam", "lr": 0.1},
    "trainer": {"max_epochs": 1, "enable_progress_bar": False},
    "tracking": {"mode": "disabled"},
    "data.batch_size": 8,
}


def recipe_of(data, recipe=None, columns=None, **sections):
    """The data section and the task of a recipe with other data."""
    raw, _ = with_data(changed(read(recipe), (), sections), data, dict(columns or {}))
    return raw.data


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned") / "run"
    sections = SMALL | {"trainer": {"max_epochs": 4, "enable_progress_bar": False}}
    return rnnzoo.fit(data=FRAME, run_dir=folder, **sections)


@pytest.mark.parametrize("kind", FORMS)
def test_the_same_rows_are_read_of_any_object(kind):
    rows = frames.read(FORMS[kind], ("text", "label"), {}, "train")
    assert rows.columns == {"text": TEXTS, "label": LABELS} and rows.names is None


def test_rows_in_memory_train_a_model_that_knows_its_run(learned):
    assert [answer["label"] for answer in learned.predict(["a good film", "a bad film"])] == ["pos", "neg"]
    assert learned.summary["status"] == "finished" and learned.summary["metrics"]["best/accuracy"] == 1
    assert learned.summary["data"]["id"] == "given in memory" and learned.summary["recipe"] == "sentiment"
    assert learned.summary["data"]["sizes"] == {"train": 36, "dev": 4}
    again = rnnzoo.load(learned.run)
    assert again.run == learned.run and again.predict(TEXTS[:3]) == learned.predict(TEXTS[:3])


def test_the_same_rows_of_another_object_train_the_same_model_and_leave_random_numbers_alone(learned, tmp_path):
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    model = rnnzoo.fit(learned.run / "config.yaml", data=FORMS["polars"], run_dir=tmp_path / "run")
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]
    assert model.summary["digest"] == learned.summary["digest"]
    for name, weight in model.model.state_dict().items():
        assert torch.equal(weight, learned.model.state_dict()[name])


def test_reproducing_says_that_the_data_were_given_in_memory(learned):
    claim = reproducing.claim_of("run", *_record(learned.run))
    recipe = reproducing.pinned(claim)
    with pytest.raises(DataError, match="were given in memory, and are not kept"):
        list(reproducing.differences(claim, recipe))


def _record(run):
    from rnnzoo import runs

    record = runs.read(run)
    return record["config"], record["summary"]


def test_a_recipes_own_data_give_way_and_leave_what_they_say_of_the_form(here):
    path = write_reviews(here)
    path.write_text(path.read_text().replace("max_length: null", "max_length: 7, text_column: review"))
    frame = FRAME.rename(columns={"text": "review"})
    raw, rows = with_data(read(path), frame, {})
    assert rows["train"].columns == {"text": TEXTS, "label": LABELS}
    data = resolve(raw)["data"]
    assert (data["name"], data["max_length"], data["batch_size"]) == ("in_memory", 7, 8)
    assert len(data["rows"]) == 64 and not data.keys() & {"train", "dev", "test", "text_column"}


@pytest.mark.parametrize(
    ("data", "task", "form"),
    [
        ({"words": [["a"]], "tags": [["A"]]}, "tagging", "tagged_text"),
        ({"values": [[1.0]], "label": ["x"]}, "classification", "labelled_series"),
        ({"values": [[1.0]], "target": [1.0]}, "regression", "measured_series"),
        ({"source": ["a"], "target": ["b"]}, "translation", "text_pairs"),
        ({"text": ["a"], "label": ["x"], "more": [0]}, "sentiment", "labelled_text"),
        ([("a", "x")], "sentiment", "labelled_text"),
        ({"text": ["a"]}, "next_word", "text_stream"),
    ],
)
def test_the_columns_say_the_task_where_none_is_named(data, task, form):
    found = recipe_of(data)
    assert found["task"] == task and found["data"]["name"] == "in_memory"
    assert chosen(registry.load("datasets", "in_memory"), registry.load("tasks", task)) == form


def test_paths_are_read_by_the_data_set_for_such_files(here):
    path = write_reviews(here)
    assert recipe_of("train.csv")["data"] == {"name": "text_files", "train": "train.csv"}
    found = recipe_of({"train": here / "train.csv", "validation": "dev.csv"}, path, columns={"text": "review"})
    assert found["data"]["dev"] == "dev.csv" and found["data"]["text_column"] == "review"
    assert "test" not in found["data"] and found["data"]["max_length"] is None
    assert recipe_of("words.conll", task="tagging")["data"] == {"name": "conll_files", "train": "words.conll"}
    section = {"name": "series_files", "train": "series.csv"}
    assert recipe_of(section, task="classification")["data"] == section
    with pytest.raises(DataError, match=r"Data sets that read it: .*series_files.*sound_files"):
        recipe_of("series.csv", task="classification")


def test_names_of_labels_are_those_of_the_data_set():
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    rows = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features)
    assert frames.read(rows, ("text", "label"), {}, "train").columns["label"] == ["yes", "no", None]
    tags = datasets.Features({"tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B"]))})
    rows = datasets.Dataset.from_dict({"tags": [[1, 0]]}, features=tags)
    assert frames.read(rows, ("tags",), {}, "train").columns["tags"] == [["B", "O"]]


def broken(column, row, value, index=None):
    frame = FRAME.astype(object)
    frame.loc[row, column] = value
    return frame if index is None else frame.set_axis([f"{index}{n}" for n in range(len(frame))])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (broken("text", 3, np.nan), "the train data, row 4: column 'text': expected text, got nan"),
        (broken("text", 5, 7, "id"), r"row 6 \(index 'id5'\): column 'text': expected text, got 7"),
        (broken("label", 3, None), "the train data, row 4: 'label' is .*not a label"),
        (broken("label", 3, [1]), r"the train data, row 4: 'label' is \[1\], not a label"),
        (FRAME[:0], "the train data have no rows"),
        (FRAME.rename(columns={"text": "texts"}), r"no column 'text'.\n  Did you mean 'texts'.\n  Found: texts, label"),
        (pandas.concat([FRAME, FRAME["text"]], axis=1), "more than one column is named 'text'"),
        ({"text": TEXTS, "label": LABELS[1:]}, "unequal length: text 40, label 39"),
        ({"text": "abc", "label": LABELS}, "text: expected rows, got str 'abc'"),
        ([*ROWS, ("a",)], r"row 41: expected \(text, label\), got \('a',\)"),
        ([{"text": "a", "label": "x"}, {"text": "b"}], "data, row 2: there is no 'label'"),
        (5, "data: expected rows, got 5"),
        ({"train": FRAME, "tset": FRAME}, "no split is named 'tset'"),
        ({"test": FRAME, "dev": FRAME}, "there is no train split"),
        ({"train": FRAME, "dev": FRAME, "val": FRAME}, "there are two dev splits"),
        ({"train": FRAME, "test": "test.csv"}, "test is a path, and others are in memory"),
        ({"train": FRAME, "dev": [("a", "odd")]}, "the dev data, row 1: column 'label': .* no label 'odd'"),
        (FRAME[FRAME["label"] == "pos"], "one label only, 'pos'"),
        (ROWS[:2], "no two rows of one label, so none can be held out"),
    ],
)
def test_what_is_wrong_with_rows_is_told_with_row_and_column(data, message, here):
    with pytest.raises(DataError, match=message):
        rnnzoo.fit(task="sentiment", data=data, **SMALL)
    assert not (here / "runs").exists()


def test_a_mistake_of_the_recipe_is_told_as_on_the_command_line(here):
    with pytest.raises(RecipeError, match=r"fit: trainer.max_epoch: unknown key.\n  Did you mean 'max_epochs'"):
        rnnzoo.fit("quickstart", data=FRAME, trainer={"max_epoch": 1})
    with pytest.raises(RecipeError, match="command line: seed: must be a whole number"):
        rnnzoo.fit("quickstart", "--seed=x", data=FRAME)
    with pytest.raises(RecipeError, match="no recipe is named 'quikstart'"):
        rnnzoo.fit("quikstart", data=FRAME)
    with pytest.raises(RecipeError, match="a recipe is a path, a shipped name or a mapping of sections, got int"):
        rnnzoo.fit(3, data=FRAME)
    with pytest.raises(DataError, match="labelled_text has no column 'txt'"):
        rnnzoo.fit("quickstart", data=FRAME, columns={"txt": "text"})
    with pytest.raises(DataError, match="they do not say which task it is"):
        rnnzoo.fit(data=FRAME.rename(columns={"text": "review"}))
    with pytest.raises(UnknownName, match="no task is named 'sentimnt'"):
        rnnzoo.fit(task="sentimnt", data=FRAME)
    with pytest.raises(DataError, match="windowed_series cannot be given in memory"):
        rnnzoo.fit(task="forecasting", data=FRAME)


def test_a_run_that_fails_for_a_plugins_reason_raises_a_zoo_error(here, monkeypatch):
    from rnnzoo.tasks.classification import Classification

    def fail(*arguments):
        raise IndexError("a plugin's mistake")

    monkeypatch.setattr(Classification, "loss", fail)
    with pytest.raises(RunError, match="sentiment: training failed: IndexError: a plugin's mistake") as caught:
        rnnzoo.fit(data=FRAME, run_dir="run", **SMALL)
    assert isinstance(caught.value.__cause__, IndexError)


def test_an_interrupted_training_leaves_what_was_saved(here):
    class Interrupts:
        def __call__(self, module, arguments, output):
            if module.training and next(self.calls) == 12:
                raise KeyboardInterrupt

        calls = iter(range(100))

    from rnnzoo.model import SequenceModel

    interrupts = Interrupts()
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda module, *rest: interrupts(module, *rest) if isinstance(module, torch.nn.Linear) else None
    )
    try:
        with pytest.raises(KeyboardInterrupt, match="Kept: the best checkpoint so far"):
            sections = SMALL | {"trainer": {"max_epochs": 9, "enable_progress_bar": False}}
            rnnzoo.fit(data=FRAME, run_dir="run", **sections)
    finally:
        handle.remove()
    model = rnnzoo.load("run")
    assert model.summary["status"] == "interrupted" and model.predict(["a film"]) and SequenceModel


def test_series_are_arrays_with_labels_or_numbers(here):
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(n % 5 + 2, 2)) for n in range(24)]
    sections = SMALL | {"model": {"architecture": {"name": "gru", "hidden_size": 4}}}
    summary, _ = train({"task": "classification"}, data=(series, [n % 2 for n in range(24)]), sections=sections)
    assert summary["data"]["labels"] == {"0": 11, "1": 11} and summary["recipe"] == "classification"
    model = rnnzoo.fit(data={"values": series, "target": np.arange(24.0)}, **sections)
    assert [len(answer["values"]) for answer in model.predict(series[:2])] == [1, 1]
    with pytest.raises(DataError, match="the train data, row 3: column 'values': a number is missing"):
        rnnzoo.fit(
            data={"values": [*series[:2], series[2] * np.nan, *series[3:]], "target": np.arange(24.0)}, **sections
        )


def test_importing_rnnzoo_and_naming_fit_loads_nothing_heavy():
    code = "import sys, rnnzoo; assert 'fit' in dir(rnnzoo); print({'torch', 'numpy', 'yaml'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
