"""Tests of rnnzoo.training.callbacks.throughput, on a clock that only the test moves."""

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from rnnzoo.batch import Batch
from rnnzoo.training.callbacks import throughput
from rnnzoo.training.callbacks.throughput import Throughput


class Clock:
    """Wall and processor seconds; `spend` passes them."""

    def __init__(self):
        self.wall = self.cpu = 0.0

    def spend(self, wall: float, cpu: float) -> None:
        self.wall += wall
        self.cpu += cpu

    def perf_counter(self):
        return self.wall

    def process_time(self):
        return self.cpu


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throughput, "time", clock)
    return clock


class Data:
    """Batches of two sequences with five tokens; loading one takes a second of wall and half of processor time."""

    def __init__(self, clock, batches):
        self.clock, self.batches = clock, batches

    def __len__(self):
        return self.batches

    def __iter__(self):
        for _ in range(self.batches):
            self.clock.spend(1.0, 0.5)
            yield Batch({"tokens": torch.ones(2, 3, dtype=torch.int64)}, torch.tensor([3, 2]))


class Tiny(LightningModule):
    """A training step takes 2 s (3 s of processor time), the first two 1000 s; a validation step takes 100 s."""

    def __init__(self, clock):
        super().__init__()
        self.model, self.clock, self.steps = torch.nn.Linear(1, 1), clock, 0

    def training_step(self, batch, batch_idx):
        self.steps += 1
        self.clock.spend(*((2.0, 3.0) if self.steps > 2 else (1000.0, 1000.0)))
        return self.model(torch.ones(1)).sum()

    def validation_step(self, batch, batch_idx):
        self.clock.spend(100.0, 100.0)

    def on_train_epoch_end(self):
        self.clock.spend(50.0, 50.0)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Bar(Callback):
    """A progress bar that takes a quarter of a second a batch, and a saver that takes ten after validation."""

    def __init__(self, clock):
        self.clock = clock

    def on_train_batch_end(self, *args):
        self.clock.spend(0.25, 0.25)

    def on_validation_end(self, *args):
        self.clock.spend(10.0, 10.0)


def fit(module, callbacks, batches, epochs=1, **options):
    data = Data(module.clock, batches)
    trainer = Trainer(
        max_epochs=epochs,
        logger=False,
        callbacks=callbacks,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(module, data, Data(Clock(), 2))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("interval", [1.0, 2])
def test_rates_are_of_training_batches_with_their_loading_and_bar_only(place, interval, clock):
    speed = Throughput()
    callbacks = [Bar(clock)]
    callbacks.insert(place, speed)
    fit(Tiny(clock), callbacks, batches=6, epochs=2, val_check_interval=interval)
    batches, wall, cpu = 10, 1.0 + 2.0 + 0.25, 0.5 + 3.0 + 0.25
    told = speed.summary()
    assert told["examples_per_second"] == pytest.approx(2 / wall)
    assert told["tokens_per_second"] == pytest.approx(5 / wall)
    assert told["examples_per_cpu_second"] == pytest.approx(2 / cpu)
    assert told["tokens_per_cpu_second"] == pytest.approx(5 / cpu)
    assert (speed._examples, speed._tokens) == (2 * batches, 5 * batches)


def test_the_first_two_batches_of_the_run_are_left_out_though_an_epoch_has_one(clock):
    speed = Throughput()
    fit(Tiny(clock), [speed], batches=1, epochs=3, limit_val_batches=0)
    assert speed.summary()["examples_per_second"] == pytest.approx(2 / 3.0)


def test_a_run_too_short_to_measure_has_no_rates(clock):
    speed = Throughput()
    fit(Tiny(clock), [speed], batches=2, limit_val_batches=0)
    assert set(speed.summary().values()) == {None}


def test_batches_that_are_no_sequences_have_no_tokens(clock):
    speed, module = Throughput(), Tiny(clock)
    trainer = Trainer(
        max_epochs=1,
        logger=False,
        callbacks=[speed],
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(torch.ones(8, 1), batch_size=2))
    assert speed.summary()["examples_per_second"] == pytest.approx(2 / 2.0)
    assert speed.summary()["tokens_per_second"] is None
