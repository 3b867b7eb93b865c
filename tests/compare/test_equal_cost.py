"""Dev scores at equal cost are the best so far; runs that did not get there are said."""

import json

import pytest
from compared_runs import make_run, records, six_runs

from rnnzoo.compare import At, compare, parse_at
from rnnzoo.compare.curves import read_curves
from rnnzoo.errors import ZooError


def curve(values, seconds=10.0):
    """Lines of a metrics file whose dev accuracies are given, one every so many CPU-seconds."""
    return [
        {"step": 63 * n - 1, "epoch": n - 1, "cpu_seconds": seconds * n, "tokens_seen": 1000 * n, "val/accuracy": value}
        for n, value in enumerate(values, 1)
    ]


@pytest.mark.parametrize(
    ("at", "score"),
    [
        (At("cpu_seconds", 30.0), 0.7),
        (At("cpu_seconds", 29.9), 0.7),
        (At("cpu_seconds", 19.9), 0.5),
        (At("epoch", 4), 0.9),
        (At("step", 63), 0.5),
        (At("tokens_seen", 3999), 0.7),
    ],
)
def test_the_best_dev_score_so_far_counts(tmp_path, at, score):
    make_run(tmp_path / "a", lines=curve([0.5, 0.7, 0.6, 0.9]))
    (group,) = compare([tmp_path], at=at).groups
    assert group.scores["val/accuracy"].values == (score,)


def test_scores_beside_the_main_one_are_of_the_same_checkpoint(tmp_path):
    lines = [line | {"val/loss": loss} for line, loss in zip(curve([0.5, 0.7, 0.6]), [0.3, 0.9, 0.1], strict=True)]
    make_run(tmp_path / "a", lines=lines)
    (group,) = compare([tmp_path], at=At("epoch", 3)).groups
    assert group.scores["val/loss"].values == (0.9,)
    assert group.costs["cpu_seconds"].values == (30.0,) and group.costs["tokens"].values == (3000.0,)


def test_runs_that_ended_before_are_left_out_by_the_cost_of_their_whole_training(tmp_path):
    make_run(tmp_path / "long", lines=curve([0.5, 0.6, 0.7]), facts={"cpu_seconds": 38.0})
    make_run(tmp_path / "short", "gru", lines=curve([0.9]), facts={"cpu_seconds": 12.0})
    comparison = compare([tmp_path], at=At("cpu_seconds", 35))
    assert [group.name for group in comparison.groups] == ["reviews"]
    assert [(run.path.name, run.why) for run in comparison.left_out] == [
        ("short", "it ended before cpu_seconds 35, at 12")
    ]


def test_a_dev_score_that_is_no_number_is_never_the_best(tmp_path):
    lines = curve([0.5, 0.7])
    lines[1] |= {"val/accuracy": None, "not_finite": {"val/accuracy": "nan"}}
    make_run(tmp_path / "a", lines=lines)
    (group,) = compare([tmp_path], at=At("epoch", 2)).groups
    assert group.scores["val/accuracy"].values == (0.5,)


def test_a_half_written_last_line_is_left_out_and_said(tmp_path):
    run = make_run(tmp_path / "a", lines=curve([0.5, 0.7]))
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99, "val/acc')
    comparison = compare([tmp_path], at=At("epoch", 2))
    assert comparison.groups[0].scores["val/accuracy"].values == (0.7,)
    assert comparison.notes == ["a: 1 line of its metrics.jsonl cannot be read."]


def test_an_older_metrics_file_without_the_axis_is_said(tmp_path):
    lines = [{"step": 62, "epoch": 0, "time": 1.0, "val/accuracy": 0.5}]
    make_run(tmp_path / "old", lines=lines)
    make_run(tmp_path / "new", "gru", lines=curve([0.5]))
    comparison = compare([tmp_path], at=At("cpu_seconds", 10))
    assert [run.path.name for run in comparison.left_out] == ["old"]
    assert "does not say cpu_seconds" in comparison.left_out[0].why


def test_curves_have_what_the_lines_say_with_steps_and_epochs_counted_from_1(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = records(0.8, epochs=2)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '[1]\n{"step": true, "val/x": "y"}\n')
    curves = read_curves(path)
    assert curves.along("epoch", "val/accuracy") == [(1.0, 0.4), (2.0, 0.8)]
    assert curves.along("cpu_seconds", "train/loss") == [(9.5, 0.9), (19.0, 0.45)]
    assert curves.unreadable == 1 and curves.records[-1] == {}


def test_lines_that_are_no_metrics_are_counted_and_the_others_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [b'{"epoch": 0, "val/a": 1.5}', b'{"a": 1}, {"b": 2}', b"[" * 9, b'{"x": "' + b"y" * 2**16 + b'"}', b"\xff"]
    path.write_bytes(b"\n".join(lines))
    curves = read_curves(path)
    assert curves.records == [{"epoch": 1.0, "val/a": 1.5}] and curves.unreadable == 4


@pytest.mark.parametrize("text", ["cpu_seconds", "cpu_seconds=", "cpu_seconds=nan", "epoch=0", "tokens=-1", "hours=3"])
def test_a_cost_that_is_none_is_refused(text):
    with pytest.raises(ZooError, match="--at: "):
        parse_at(text)


def test_people_may_write_tokens_for_tokens_seen():
    assert parse_at("tokens=2e6") == At("tokens_seen", 2e6) == parse_at("tokens_seen=2_000_000")


def test_where_no_run_got_there_nothing_is_compared(tmp_path):
    with pytest.raises(ZooError, match="no finished run to compare"):
        compare([six_runs(tmp_path)], at=At("epoch", 99))
