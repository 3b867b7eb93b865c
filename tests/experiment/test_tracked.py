"""Tests of what a run gives its trackers: read back from W&B's own offline file, and compared with the run's folder."""

import hashlib
import json
import subprocess
import sys
from collections import Counter

import pytest
import torch
from conftest import records
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_precision

from rnnzoo import recipe as recipes
from rnnzoo.experiment import tracked
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs import checkpoint, predictions
from rnnzoo.runs.record import AXES, last_records

SMALL = ["--data.examples=60", "--data.batch_size=10", "--model.architecture.hidden_size=4", "--trainer.max_epochs=3"]
SMALL += ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=2"]


class Tracked:
    """A run, and what W&B has of it."""

    def __init__(self, name, folder, *overrides):
        import wandb

        summary, run = fit(resolve(recipes.read(name, [*SMALL, *overrides])), folder)
        wandb.teardown()
        (path,) = run.path.glob("wandb/offline-run-*/*.wandb")
        self.folder, self.files, self.records, self.summary = run.path, path.parent / "files", records(path), summary
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", path]
        self.inspected = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    def of(self, kind):
        return [getattr(record, kind) for record in self.records if record.WhichOneof("record_type") == kind]

    def history(self):
        return [
            {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.item}
            for record in self.of("history")
        ]

    def media(self, name):
        """The content of a table, or of a picture, that was logged."""
        (row,) = [row for row in self.history() if f"{name}/path" in row]
        text = (self.files / row[f"{name}/path"]).read_text()
        return json.loads(text) if row[f"{name}/_type"] == "table-file" else text

    def checkpoints(self):
        return [artifact for artifact in self.of("artifact") if artifact.type == "model"]


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    return Tracked("quickstart", tmp_path_factory.mktemp("reviews") / "run", "--tracking.notes=why it was run")


def test_the_config_is_the_recipe_and_what_it_was_run_with(reviews):
    config = reviews.inspected["config"]
    facts = config.pop("facts")
    recipe = recipes.parse((reviews.folder / "config.yaml").read_text(), "config")
    assert {section: value for section, value in recipe.items() if value != {}} == config  # W&B leaves out {}
    assert facts["digest"] == reviews.summary["digest"] and facts["versions"] == reviews.summary["versions"]
    assert facts["data"]["fingerprint"] == reviews.summary["data"]["fingerprint"]
    (opened,) = reviews.of("run")
    assert (opened.job_type, opened.notes, opened.run_group) == ("fit", "why it was run", "toy")


def test_the_summary_has_scores_costs_and_what_ran(reviews):
    told, run = reviews.inspected["summary"], reviews.summary
    assert {name: told[name] for name in run["metrics"]} == pytest.approx(run["metrics"])
    for name in ("parameters", "steps", "epochs", "tokens", "train_seconds", "cpu_seconds"):
        assert told[name] == pytest.approx(run[name]), name
    assert told["tokens_per_second"] > 0 and told["peak_memory_bytes"] > 10**7
    layers = {f"engine/{layer['layer']}": layer["path"] for layer in run["engine"]}
    assert {name: value for name, value in told.items() if name.startswith("engine/")} == layers


def test_each_line_has_all_axes_as_in_the_runs_own_file(reviews):
    lines = last_records(reviews.folder / "metrics.jsonl", 1000)
    wanted = [{name: line[name] for name in AXES if name not in ("time", "step")} for line in lines]
    rows = [row for row in reviews.history() if "tokens_seen" in row and not any("test/c" in name for name in row)]
    rows = [row for row in rows if any(isinstance(row[name], float) and "/" in name for name in row)]
    assert [{name: row[name] for name in wanted[0]} for row in rows] == wanted
    assert {"train/lr", "train/grad_norm", "train/clipped_share"} <= rows[0].keys()


def test_the_table_of_predictions_is_that_of_the_folder_with_the_worst_first(reviews):
    table = reviews.media("test/predictions")
    kept = predictions.read(reviews.folder)
    assert table["columns"] == ["id", "input", "truth", "prediction", "confidence", "score"]
    truths, answers, texts = (kept.texts(name) for name in ("truth", "prediction", "input"))
    where = {number: place for place, number in enumerate(kept.ids.tolist())}
    for number, text, truth, answer, confidence, _ in table["data"]:
        place = where[number]
        assert (text, truth, answer) == (texts[place], truths[place], answers[place])
        assert confidence == pytest.approx(float(kept.confidence[place]))
    wrong = [truth != answer for _, _, truth, answer, *_ in table["data"]]
    assert wrong == sorted(wrong, reverse=True) and len(table["data"]) <= 200
    assert sum(wrong) == min(200, sum(truth != answer for truth, answer in zip(truths, answers, strict=True)))


def test_the_best_and_the_latest_checkpoint_are_artifacts_that_name_the_runs_files(reviews):
    found = {alias: artifact for artifact in reviews.checkpoints() for alias in artifact.aliases}
    assert found.keys() == {"best", "latest"}
    for alias, pointer in (("best", "best"), ("latest", "last")):
        folder, metadata = (
            checkpoint.follow(reviews.folder / "checkpoints" / pointer),
            json.loads(found[alias].metadata),
        )
        meta = json.loads((folder / "meta.json").read_text())
        assert metadata["digest"] == hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
        assert (metadata["step"], metadata["epoch"]) == (meta["step"], meta["epoch"])
        assert metadata["score"] == meta["metrics"]["val/accuracy"]
        entries = {entry.path: entry.local_path for entry in found[alias].manifest.contents}
        assert entries == {path.name: str(path) for path in folder.iterdir()}


def test_a_sweeps_and_a_taggers_runs_have_the_same_kinds_of_keys(tmp_path):
    run = Tracked("toy_tags", tmp_path / "run", "--tracking.job_type=sweep", "--tracking.checkpoints=none")
    assert run.of("run")[0].job_type == "sweep" and run.checkpoints() == []
    names = {name for row in run.history() for name in row if name.count("/") == 1}
    train, dev, test = ({name.removeprefix(s) for name in names if name.startswith(s)} for s in STAGES)
    assert dev == test == {"loss", "accuracy"} and "loss" in train
    counts = Counter(name for row in run.media("test/classes")["data"] for name in row[:1])
    assert set(counts.values()) == {1} and "<svg" in run.media("test/confusion")


STAGES = ("train/", "val/", "test/")


def test_scores_of_a_class_are_those_of_torchmetrics():
    truth, given = torch.randint(3, (2, 50), generator=torch.Generator().manual_seed(0))
    pairs = [(str(a), str(b)) for a, b in zip(truth.tolist(), given.tolist(), strict=True)]
    rows = tracked.classes(pairs)
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert [row[1] for row in rows] == pytest.approx(multiclass_precision(given, truth, 3, average=None).tolist())
    assert [row[2] for row in rows] == pytest.approx(multiclass_precision(truth, given, 3, average=None).tolist())
    assert [row[3] for row in rows] == pytest.approx(multiclass_f1_score(given, truth, 3, average=None).tolist())


def test_a_class_that_was_never_given_has_no_precision():
    assert tracked.classes([("a", "b")]) == [["a", None, 0.0, 0.0, 1], ["b", 0.0, None, 0.0, 0]]
