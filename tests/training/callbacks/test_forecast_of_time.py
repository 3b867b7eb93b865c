"""The time that a run will take, said once after its first steps."""

from types import SimpleNamespace

import pytest

from rnnzoo.training.callbacks import progress
from rnnzoo.training.callbacks.progress import Progress


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


def lines(monkeypatch, capsys, total, first_step=0, batches_a_step=1):
    """What is printed while 40 steps are made: the first five of ten seconds, the others of half a second each."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    trainer = SimpleNamespace(
        global_step=first_step, estimated_stepping_batches=total, is_global_zero=True, callback_metrics={}
    )
    bar = Progress()
    bar.on_train_start(trainer, None)
    for step in range(40):
        for batch in range(batches_a_step):
            bar.on_train_batch_start(trainer, None, None, 0)
            clock.now += (10 if step < 5 else 0.5) / batches_a_step
            trainer.global_step += batch == batches_a_step - 1
            bar.on_train_batch_end(trainer, None, None, SimpleNamespace(tokens=1), 0)
        clock.now += 1000  # a validation, which is not counted
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("batches", [1, 4])
def test_it_is_said_once_and_leaves_the_slow_first_steps_out(batches, monkeypatch, capsys):
    (line,) = lines(monkeypatch, capsys, 20 + 1200, batches_a_step=batches)
    assert line == "2.0 steps/s: about 10 min for the 1,200 steps to come, validation not counted"


def test_a_run_that_goes_on_counts_from_where_it_stands(monkeypatch, capsys):
    (line,) = lines(monkeypatch, capsys, 5000 + 20 + 1200, first_step=5000)
    assert "the 1,200 steps to come" in line


@pytest.mark.parametrize("total", [60, float("inf")])
def test_nothing_is_said_of_a_run_that_is_soon_over_or_never(total, monkeypatch, capsys):
    assert lines(monkeypatch, capsys, total) == []
