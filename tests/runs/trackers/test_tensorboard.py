"""Tests of rnnzoo.runs.trackers.tensorboard, read back by TensorBoard's own reader."""

from dataclasses import replace

import pytest

from rnnzoo.runs.trackers.tensorboard import TensorBoard


@pytest.fixture
def read(tracked):
    """The run as TensorBoard reads it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def reload() -> EventAccumulator:
        return EventAccumulator(str(tracked.folder), {"scalars": 0, "tensors": 0}).Reload()

    return reload


def scalars(events, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_metrics_are_scalars_by_step(tracked, read):
    board = TensorBoard(tracked)
    for step in range(3):
        board.log_metrics({"train/loss": 0.5 ** (step + 1)}, step)
    board.close(True, 10)
    assert scalars(read(), "train/loss") == [(0, 0.5), (1, 0.25), (2, 0.125)]


def test_a_resumed_run_replaces_the_steps_that_come_again(tracked, read):
    first = TensorBoard(tracked)
    for step in range(5):
        first.log_metrics({"loss": step}, step)
    first.writer.close()  # as at a kill: never closed as a run
    second = TensorBoard(replace(tracked, step=3))
    for step in range(3, 6):
        second.log_metrics({"loss": 10 + step}, step)
    second.close(True, 10)
    assert scalars(read(), "loss") == [(0, 0), (1, 1), (2, 2), (3, 13), (4, 14), (5, 15)]


def test_hparams_hold_the_flat_config_and_the_facts_that_are_numbers(tracked, read):
    from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG, parse_session_start_info_plugin_data

    board = TensorBoard(tracked)
    board.log_metrics({"loss": 1}, 4)
    board.summarise({"best/accuracy": 0.25, "test/accuracy": None})
    board.summarise({"best/accuracy": 0.5, "hardware": {"cores": 2, "cpu": "x"}})
    board.close(True, 10)
    events = read()
    content = events.SummaryMetadata(SESSION_START_INFO_TAG).plugin_data.content
    found = {name: value for name, value in parse_session_start_info_plugin_data(content).hparams.items()}
    assert found["seed"].number_value == 7 and found["model.dropout"].number_value == 0.5
    assert found["model.sizes"].string_value == "[1, 2]" and found["data.name"].string_value == "made up"
    assert scalars(events, "best/accuracy") == [(4, 0.5)] and scalars(events, "hardware.cores") == [(4, 2)]
    assert "test/accuracy" not in events.Tags()["scalars"]


def test_a_table_is_text_in_which_nothing_is_markup(tracked, read):
    board = TensorBoard(tracked)
    board.log_table("val/table", ["input", "n"], [["<b>|\nx", 1], [None, 0.5]], 3)
    board.close(True, 10)
    (event,) = read().Tensors("val/table/text_summary")
    text = event.tensor_proto.string_val[0].decode()
    assert (event.step, text) == (3, "| input | n |\n| --- | --- |\n| &lt;b>\\| x | 1 |\n|  | 0.5 |")
