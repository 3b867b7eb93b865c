"""Tests of rnnzoo.training.callbacks.step_numbers: what is logged of a step is what the step was made with."""

import json

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from rnnzoo.runs.trackers.metrics_file import MetricsFile
from rnnzoo.training.callbacks.finite import Finite
from rnnzoo.training.callbacks.step_numbers import StepNumbers


class Steep(LightningModule):
    """Its gradient is the batch, two numbers, whatever its weights are."""

    def __init__(self, groups=1):
        super().__init__()
        self.weights = torch.nn.ParameterList(torch.zeros(2 // groups) for _ in range(groups))

    def training_step(self, batch, batch_idx):
        return (torch.cat(tuple(self.weights)) * batch[0]).sum()

    def configure_optimizers(self):
        groups = [{"params": [weight], "lr": 0.5**i} for i, weight in enumerate(self.weights)]
        return torch.optim.SGD(groups, lr=1.0)


def lines(folder, gradients, module=None, **options):
    """What a training with these gradients has logged of its steps."""
    finite = Finite()
    trainer = Trainer(
        max_epochs=1,
        logger=MetricsFile(folder / "metrics.jsonl"),
        callbacks=[finite, StepNumbers(finite)],
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(module or Steep(), DataLoader(torch.tensor(gradients), batch_size=1))
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in found if "train/grad_norm" in line]


GRADIENTS = [[3.0, 4.0], [0.3, 0.4], [6.0, 8.0], [0.6, 0.8]]  # norms 5, 0.5, 10, 1


def test_the_norm_is_that_before_clipping_and_the_share_that_of_the_steps_since_the_last_line(tmp_path):
    found = lines(tmp_path, GRADIENTS, log_every_n_steps=2, gradient_clip_val=2.0)
    assert [line["step"] for line in found] == [1, 3]
    assert [line["train/grad_norm"] for line in found] == [pytest.approx(0.5), pytest.approx(1.0)]
    assert [line["train/clipped_share"] for line in found] == [0.5, 0.5]


def test_a_gradient_is_clipped_by_value_where_one_of_its_numbers_is_larger(tmp_path):
    """Of [6, 8] with norm 10, no number is above 8."""
    found = lines(tmp_path, GRADIENTS, log_every_n_steps=1, gradient_clip_val=8.0, gradient_clip_algorithm="value")
    assert [line["train/clipped_share"] for line in found] == [0, 0, 0, 0]
    (tmp_path / "metrics.jsonl").unlink()
    found = lines(tmp_path, GRADIENTS, log_every_n_steps=1, gradient_clip_val=3.5, gradient_clip_algorithm="value")
    assert [line["train/clipped_share"] for line in found] == [1, 0, 1, 0]


def test_without_clipping_no_share_is_logged(tmp_path):
    found = lines(tmp_path, GRADIENTS, log_every_n_steps=1)
    assert [line["train/grad_norm"] for line in found] == pytest.approx([5, 0.5, 10, 1])
    assert all("train/clipped_share" not in line for line in found)


def test_each_group_of_parameters_has_its_own_learning_rate(tmp_path):
    (one,) = lines(tmp_path, GRADIENTS[:1], log_every_n_steps=1)
    assert one["train/lr"] == 1.0
    (tmp_path / "metrics.jsonl").unlink()
    (two,) = lines(tmp_path, GRADIENTS[:1], Steep(groups=2), log_every_n_steps=1)
    assert (two["train/lr/0"], two["train/lr/1"]) == (1.0, 0.5) and "train/lr" not in two
