"""Tests of rnnzoo.training.callbacks.costs, on a clock that only the test moves."""

import json

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from rnnzoo.batch import Batch
from rnnzoo.runs.trackers.metrics_file import MetricsFile
from rnnzoo.training.callbacks import costs
from rnnzoo.training.callbacks.costs import Costs


class Clock:
    """Seconds; a processor second takes two."""

    def __init__(self):
        self.seconds = 0.0

    def perf_counter(self):
        return self.seconds

    def process_time(self):
        return self.seconds / 2


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(costs, "time", clock)
    return clock


class Tiny(LightningModule):
    """A training step takes ten seconds, a validation step three."""

    def __init__(self, clock):
        super().__init__()
        self.model, self.clock = torch.nn.Linear(1, 1), clock

    def training_step(self, batch, batch_idx):
        self.clock.seconds += 10
        loss = self.model(torch.ones(1)).sum()
        self.log("train/loss", loss, batch_size=1, on_step=True, on_epoch=False)
        return loss

    def validation_step(self, batch, batch_idx):
        self.clock.seconds += 3
        self.log("val/loss", 0.0, batch_size=1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def sentences(lengths):
    """One sentence a batch."""
    batches = [Batch({"tokens": torch.ones(1, n, dtype=torch.int64)}, torch.tensor([n])) for n in lengths]
    return DataLoader(batches, batch_size=None)


def fit(module, cost, folder, batches, epochs=1, resume=None):
    """The lines of the run's metrics so far, and the trainer."""
    trainer = Trainer(
        max_epochs=epochs,
        logger=MetricsFile(folder / "metrics.jsonl"),
        callbacks=[cost],
        log_every_n_steps=2,
        num_sanity_val_steps=0,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, batches, sentences([7]), ckpt_path=resume)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()], trainer


def test_each_line_has_what_training_had_cost_by_then(clock, tmp_path):
    lines, _ = fit(Tiny(clock), Costs(), tmp_path, sentences([1, 2, 4, 8]), epochs=2)
    seen = {
        name: [(line["tokens_seen"], line["train_seconds"], line["cpu_seconds"]) for line in lines if name in line]
        for name in ("train/loss", "val/loss")
    }
    assert seen["train/loss"] == [(3, 20, 10), (15, 40, 20), (18, 63, 31.5), (30, 83, 41.5)]
    assert seen["val/loss"] == [(15, 43, 21.5), (30, 86, 43)]


def test_a_resumed_training_counts_on_from_where_it_was(clock, tmp_path):
    _, trainer = fit(Tiny(clock), Costs(), tmp_path, sentences([1, 2, 4, 8]))
    trainer.save_checkpoint(tmp_path / "state.ckpt")
    clock.seconds += 1000  # nobody trains
    cost = Costs()
    lines, _ = fit(Tiny(clock), cost, tmp_path, sentences([1, 2, 4, 8]), epochs=2, resume=tmp_path / "state.ckpt")
    assert [line["tokens_seen"] for line in lines if "val/loss" in line] == [15, 30]
    assert [line["train_seconds"] for line in lines if "val/loss" in line] == [43, 86]
    assert (cost.tokens, cost.seconds, cost.cpu_seconds) == (30, 86, 43)


def test_what_follows_training_costs_nothing(clock, tmp_path):
    cost = Costs()
    fit(Tiny(clock), cost, tmp_path, sentences([1, 2]))
    clock.seconds += 1000
    assert cost.axes() == {"tokens_seen": 3, "train_seconds": 23, "cpu_seconds": 11.5}


def test_data_without_tokens_have_no_such_axis(clock, tmp_path):
    lines, _ = fit(Tiny(clock), Costs(), tmp_path, DataLoader(torch.ones(2, 1)))
    assert all("tokens_seen" not in line and "cpu_seconds" in line for line in lines)
