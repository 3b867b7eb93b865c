"""Weights of classes: rare ones count as much as frequent ones in training, and reported losses are plain."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from rnnzoo import recipe as recipes
from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.data.batching import BalancedBatches
from rnnzoo.errors import DataError, RecipeError
from rnnzoo.experiment.build import from_recipe
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.class_weights import class_weights
from rnnzoo.tasks.sentiment import Sentiment

COUNTS = (12, 3, 1)
SPEC = DataSpec("labelled_text", {}, Field("label", ("a", "b", "c"), counts=COUNTS))
LOGITS = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, -1.0], [0.5, 3.0, 0.0], [1.0, 0.0, 2.0]])
TARGET = torch.tensor([0, 1, 0, 2])


def batch(rows=slice(None)):
    return Output(LOGITS[rows]), Batch({}, torch.ones(len(LOGITS[rows]), dtype=torch.int64), TARGET[rows])


def test_balanced_weights_are_those_of_scikit_learn():
    rows = [label for label, count in zip("abc", COUNTS, strict=True) for _ in range(count)]
    wanted = compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=rows)
    assert class_weights(SPEC, "balanced").tolist() == pytest.approx(wanted.tolist())
    assert sum(c * w for c, w in zip(COUNTS, wanted, strict=True)) == pytest.approx(16)  # 1 on average


def test_given_weights_keep_their_ratios_and_are_one_on_average():
    found = class_weights(SPEC, {"c": 5, "b": 2})
    assert (found / found[0]).tolist() == pytest.approx([1, 2, 5])
    assert (found * torch.tensor(COUNTS)).sum().item() == pytest.approx(16)
    assert class_weights(SPEC, None) is None


def test_the_training_loss_is_weighted_and_the_reported_one_is_plain():
    task = Sentiment(SPEC, class_weights="balanced")
    each = F.cross_entropy(LOGITS, TARGET, reduction="none")
    weights = class_weights(SPEC, "balanced")[TARGET]
    assert task.loss(nn.Identity().train(), *batch()).item() == pytest.approx((weights * each).mean().item())
    assert task.loss(nn.Identity().eval(), *batch()).item() == pytest.approx(each.mean().item())
    halves = [task.loss(nn.Identity().train(), *batch(rows)) for rows in (slice(0, 2), slice(2, 4))]
    assert sum(halves).item() / 2 == pytest.approx((weights * each).mean().item())  # whatever batch an example is in


def test_a_label_that_the_data_lack_is_refused_with_the_nearest_one():
    with pytest.raises(ValueError, match=r"no label 'bb'\.\n  Did you mean 'b'"):
        class_weights(SPEC, {"bb": 2.0})
    with pytest.raises(ValueError, match="how often each label occurs"):
        class_weights(DataSpec("labelled_text", {}, Field("label", ("a", "b"))), "balanced")


def test_balanced_batches_draw_every_label_alike_and_are_a_function_of_the_epoch():
    labels = torch.tensor([0] * 40 + [1] * 2).numpy()
    lengths = torch.arange(1, 43).numpy()
    batches = BalancedBatches(lengths, labels, batch_size=4, seed=3)
    for epoch in range(3):
        batches.set_epoch(epoch)
        rows = [row for group in batches for row in group]
        assert len(rows) == 42 and sum(labels[rows]) == 21
        frequent = [row for row in rows if labels[row] == 0]
        assert len(set(frequent)) == len(frequent)  # none is drawn again before all are
        assert rows == [row for group in batches for row in group]
    ranks = [BalancedBatches(lengths, labels, batch_size=4, seed=3, rank=rank, world_size=2) for rank in (0, 1)]
    for part in ranks:
        part.set_epoch(2)
    both = sorted(row for part in ranks for group in part for row in group)
    assert {*both} == {*rows} and len({len(part) for part in ranks}) == 1


def resolved(*changes):
    small = ("--data.examples=48", "--trainer.max_epochs=1", "--tracking.mode=disabled")
    return resolve(recipes.read("quickstart", (*small, "--trainer.enable_progress_bar=false", *changes)))


def test_a_recipe_names_weights_and_sampler_and_its_digest_stays_where_it_names_none(tmp_path):
    plain = resolved()
    older = {**plain, "task": dict(plain["task"]), "data": dict(plain["data"])}
    del older["task"]["class_weights"], older["data"]["sampler"]
    assert recipes.digest(plain) == recipes.digest(older)
    weighted = resolved("--task.class_weights.negative=3", "--data.sampler=balanced")
    assert weighted["task"]["class_weights"] == {"negative": 3.0} and recipes.digest(weighted) != recipes.digest(plain)
    assert fit(weighted, tmp_path / "run")[0]["status"] == "finished"


def test_a_wrong_label_in_a_recipe_is_one_error_before_there_is_a_folder(tmp_path):
    with pytest.raises(RecipeError, match="no label 'negativ'"):
        fit(resolved("--task.class_weights.negativ=3"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_sampler_needs_one_label_a_row():
    with pytest.raises(DataError, match="one label a row"):
        _, data = from_recipe("toy_tags", "--data.sampler=balanced")
        data.train_dataloader()
