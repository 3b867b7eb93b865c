"""What a test keeps of each example: the counts give the metrics, for any batches and any number of processes."""

import errno
import logging
from pathlib import Path

import numpy as np
import pytest
import ranks
from ranks import TASKS, Case
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from rnnzoo.runs import predictions
from rnnzoo.runs.statistics import STATISTICS
from rnnzoo.system import files
from rnnzoo.training.callbacks.predictions import Predictions

FEW = ("sentiment", "spans", "next_word", "translation")


def scored(folder, variant, rows=17, batch_size=4, **settings):
    """A network that is tested, its data, and the scores that the test reports."""
    module, data = ranks.build(variant, dev=rows, batch_size=batch_size)
    data.prepare()
    data.parts["test"] = data.parts["dev"]
    module.eval()
    trainer = ranks.trainer([Predictions(Path(folder) / predictions.FILE, variant, data.fingerprint, **settings)])
    trainer.test(module, data, verbose=False)
    return module, data, {name.removeprefix("test/"): float(value) for name, value in trainer.callback_metrics.items()}


def kept(variant, rows, batch_size):
    """The columns of the file that the processes of a world write together."""
    with ranks._shared_folder() as folder:
        scored(folder, variant, rows, batch_size)
        if ranks.world_size() > 1:
            ranks.torch.distributed.barrier()
        found = predictions.read(folder)
        columns = {"id": found.ids, **{name: found.counts(name) for name in found.header.metrics}}
        told = {
            name: found.texts(name) for name in predictions.TEXTS if (variant, name) != ("regression", "prediction")
        }
        return {name: values.tolist() for name, values in columns.items()}, told


@pytest.mark.parametrize("variant", TASKS)
def test_the_statistic_of_summed_counts_is_the_reported_metric(variant, tmp_path):
    _, data, scores = scored(tmp_path, variant)
    found = predictions.read(tmp_path)
    assert found.header.fingerprint == data.fingerprint and found.header.task == variant
    for name, metric in found.header.metrics.items():
        value = STATISTICS[metric.statistic](found.counts(name).sum(0))
        assert value == pytest.approx(scores[name], rel=1e-5, abs=1e-7), name
    left = scores.keys() - found.header.metrics.keys()
    assert left <= {"loss", "auroc"}  # AUROC is no function of sums


def check_alike(found, wanted):
    (columns, texts), (others, told) = found, wanted
    assert texts == told and columns.keys() == others.keys()
    for name, values in columns.items():
        np.testing.assert_allclose(values, others[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("variant", FEW)
def test_each_row_is_told_by_itself_whatever_batch_it_came_in(variant):
    check_alike(kept(variant, 17, 5), kept(variant, 17, 17))


def check_two_processes(variants):
    cases = [Case(kept, (variant, rows, 4)) for variant in variants for rows in (1, 7)]
    for (alone,), both in zip(ranks.run(1, cases), ranks.run(2, cases), strict=True):
        for one in both:
            check_alike(one, alone)


def test_two_processes_keep_what_one_does():
    check_two_processes(FEW)


@pytest.mark.slow
def test_two_processes_keep_what_one_does_of_every_task_in_any_batches():
    check_two_processes(TASKS)
    for variant in TASKS:
        check_alike(kept(variant, 17, 1), kept(variant, 17, 6))


def test_texts_are_left_out_where_they_are_not_wanted(tmp_path):
    scored(tmp_path, "sentiment", texts=False)
    found = predictions.read(tmp_path)
    assert {found.texts(name) for name in predictions.TEXTS} == {None}
    assert found.header.metrics.keys() == {"accuracy", "f1", "loss"} and found.confidence is not None


def test_a_full_disk_costs_the_file_and_a_warning_alone(tmp_path, monkeypatch, caplog):
    def full(path, content):
        raise files.unwritable(path, OSError(errno.ENOSPC, "No space left on device"))

    monkeypatch.setattr(files, "write_bytes", full)
    with caplog.at_level(logging.WARNING, "rnnzoo"):
        _, _, scores = scored(tmp_path, "sentiment")
    assert "No space left" in caplog.text and scores["accuracy"] >= 0 and not list(tmp_path.iterdir())


class Odd(MulticlassAccuracy):
    """An accuracy that counts otherwise than its class says."""

    def compute(self):
        return super().compute() ** 2


class Breaks(Metric):
    higher_is_better = True
    statistic, columns = "ratio", ("a", "b")

    def update(self, preds, target):
        pass

    def compute(self):
        return 0.0

    @property
    def rows(self):
        raise RuntimeError("out of order")


def of_a_stranger(monkeypatch, folder, **metrics):
    def made(task):
        return MetricCollection(metrics)

    monkeypatch.setattr("rnnzoo.tasks.classification.Classification.metrics", made)
    return scored(folder, "classification")[2]


def test_a_strangers_metric_is_kept_where_its_counts_give_it_and_left_out_where_they_do_not(tmp_path, monkeypatch):
    known = {"accuracy": MulticlassAccuracy(3, average="micro"), "f1": MulticlassF1Score(3, average="micro")}
    scores = of_a_stranger(monkeypatch, tmp_path, **known, odd=Odd(3, average="micro"), own=MulticlassAccuracy(3))
    found = predictions.read(tmp_path)
    assert found.header.metrics.keys() == {"accuracy", "f1", "loss"}
    assert scores.keys() >= {"odd", "own"}
    assert found.counts("f1").tolist() == found.counts("accuracy").tolist()


def test_a_metric_that_fails_costs_the_file_and_a_warning_alone(tmp_path, monkeypatch, caplog):
    with caplog.at_level(logging.WARNING, "rnnzoo"):
        scores = of_a_stranger(monkeypatch, tmp_path, accuracy=MulticlassAccuracy(3, average="micro"), broken=Breaks())
    assert "RuntimeError: out of order" in caplog.text and "accuracy" in scores and not list(tmp_path.iterdir())


def test_the_metrics_are_as_they_were_after_the_test(tmp_path):
    module, _, _ = scored(tmp_path, "sentiment")
    assert not any(module.observers.values())
    assert not any("_watched" in repr(metric.update) for metric in module.task_metrics("test").values())
