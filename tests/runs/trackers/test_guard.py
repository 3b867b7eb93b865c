"""Tests of rnnzoo.runs.trackers.guard: a tracker cannot harm its run."""

import random
import threading

import numpy as np
import pytest
import torch

from rnnzoo.runs import tracking
from rnnzoo.runs.trackers.base import Tracker
from rnnzoo.runs.trackers.guard import Guarded


class Keeps(Tracker):
    """Keeps the names of its calls, and raises as it is asked to."""

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.error = error

    def __getattribute__(self, name: str):
        if name in CALLS or name == "place":
            object.__getattribute__(self, "calls").append(name)
            if error := object.__getattribute__(self, "error"):
                raise error
        return object.__getattribute__(self, name)

    def log_metrics(self, metrics, step=None) -> None:
        """Nothing."""


CALLS = {
    "log_metrics": lambda t: t.log_metrics({"a": 1.0}, 0),
    "log_hyperparams": lambda t: t.log_hyperparams({}),
    "log_graph": lambda t: t.log_graph(torch.nn.Linear(1, 1)),
    "log_picture": lambda t: tracking.draw([t], "a", "<svg/>", 0),
    "log_table": lambda t: tracking.log_table([t], "a", ["b"], [[1]], 0),
    "log_checkpoint": lambda t: tracking.log_checkpoint([t], None, ["best"], {}),
    "use_data": lambda t: tracking.use_data([t], {}),
    "summarise": lambda t: tracking.summarise([t], {}),
    "save": lambda t: t.save(),
    "after_save_checkpoint": lambda t: t.after_save_checkpoint(None),
    "finalize": lambda t: t.finalize("success"),
    "close": lambda t: tracking.finish([t], timeout=10),
}


@pytest.mark.parametrize("first", CALLS)
@pytest.mark.parametrize("error", [RuntimeError("no\nspace"), SystemExit(3), MemoryError(), RecursionError()])
def test_whatever_raises_first_is_one_warning_and_the_last_call_but_to_close(first, error, caplog):
    broken = Keeps(error)
    guarded = Guarded(broken, "tracker 'keeps'")
    CALLS[first](guarded)
    for call in CALLS.values():
        call(guarded)
    assert tracking.where([guarded]) == {"mode": "disabled"}
    assert broken.calls == [first, "close"] and len(caplog.records) == 1
    assert "\n" not in caplog.messages[0] and "tracker 'keeps'" in caplog.messages[0]


def test_every_call_of_a_run_and_of_lightning_reaches_a_tracker_that_works(caplog):
    keeps = Keeps()
    for call in CALLS.values():
        call(Guarded(keeps, "a"))
    assert set(keeps.calls) == set(CALLS) and not caplog.records  # Lightning's own `finalize` saves, too


def test_ctrl_c_in_a_trackers_code_stops_the_run():
    with pytest.raises(KeyboardInterrupt):
        Guarded(Keeps(KeyboardInterrupt()), "a").log_metrics({}, 0)


def test_only_the_first_process_tracks(monkeypatch):
    monkeypatch.setattr("lightning.pytorch.utilities.rank_zero.rank_zero_only.rank", 1)
    keeps = Keeps()
    for call in CALLS.values():
        call(Guarded(keeps, "a"))
    assert keeps.calls == []


def test_a_tracker_draws_no_random_number_of_the_trainings():
    class Draws(Tracker):
        def log_metrics(self, metrics, step=None) -> None:
            random.random(), np.random.rand(), torch.rand(1)

    def next_numbers() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(1))]

    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    wanted = next_numbers()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    Guarded(Draws(), "draws").log_metrics({}, 0)
    assert next_numbers() == wanted


def test_a_tracker_changes_none_of_what_others_are_given():
    class Clears(Tracker):
        def log_metrics(self, metrics, step=None) -> None:
            metrics.clear()

        def log_table(self, name, columns, rows, step) -> None:
            rows[0].clear()

    metrics, rows = {"a": 1.0}, [[1, 2]]
    guarded = Guarded(Clears(), "clears")
    guarded.log_metrics(metrics, 0)
    guarded.log_table("a", ["b", "c"], rows, 0)
    assert (metrics, rows) == ({"a": 1.0}, [[1, 2]])


def test_closing_one_that_hangs_ends_in_time(caplog):
    released = threading.Event()

    class Hangs(Tracker):
        def log_metrics(self, metrics, step=None) -> None:
            """Nothing."""

        def close(self, ok, timeout) -> None:
            released.wait(30)

    tracking.finish([Guarded(Hangs(), "hangs")], timeout=0.05)
    released.set()
    assert len(caplog.records) == 1 and "not finished within 0.05 s" in caplog.text


def test_a_warning_of_a_failure_holds_no_secret(caplog):
    secret = "canary0123456789abcdef0123456789abcdef01"
    Guarded(Keeps(ValueError(f"https://me:{secret}@host is refused")), "keeps").log_metrics({}, 0)
    assert "is refused" in caplog.text and secret not in caplog.text
