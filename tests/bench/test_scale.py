"""Every section measures each size or says by name why not, and nothing that memory or time does not allow begins."""

import json
import sys

import pytest

from rnnzoo.bench import SECTIONS, scale
from rnnzoo.cli import main


def test_each_section_has_sizes_that_rise():
    assert tuple(scale.POINTS) == SECTIONS
    for points in scale.POINTS.values():
        assert list(points) == sorted(set(points))


def test_what_memory_does_not_hold_is_not_begun(monkeypatch):
    monkeypatch.setattr(scale, "available_memory", lambda: 2**30)
    begun = []
    found = list(scale.rows([1, 2, 3], 100, lambda size: size * 0.4 * 2**30, lambda size, _: begun.append(size) or {}))
    assert begun == [1, 2]
    assert found[2] == {"size": 3, "skipped": "needs 1.2 GiB of memory, 1.0 are available"}


def test_what_would_take_longer_than_there_is_time_is_not_begun(monkeypatch):
    """A clock that each look moves on by a second: a point of size 1 takes one, one of 1,000 is foretold a thousand."""
    seconds = iter(range(1000))
    monkeypatch.setattr(scale.time, "perf_counter", lambda: next(seconds))
    begun = []
    found = list(scale.rows([1, 1000], 100, lambda size: 0, lambda size, _: begun.append(size) or {}))
    assert begun == [1] and "would take about" in found[1]["skipped"]


def test_a_command_that_does_not_end_in_time_is_ended_and_named(monkeypatch):
    monkeypatch.setattr(scale.sys, "executable", sys.executable)
    assert scale.examples(0.2, [10]) == [{"size": 10, "skipped": "took longer than --seconds allows"}]


def test_layers_are_measured_up_to_the_most_asked_for(capsys):
    words = ["scale", "quickstart", "--sections", "steps,hidden,vocabulary", "--most", "128", "--json"]
    assert main(["bench", *words]) == 0
    sections = json.loads(capsys.readouterr().out)["sections"]
    assert [row["size"] for row in sections["steps"]] == [100] and sections["steps"][0]["us_per_token"] > 0
    assert sections["hidden"][0]["gflops"] == pytest.approx(48 * 128**2 / (1e3 * sections["hidden"][0]["us_per_token"]))
    assert sections["vocabulary"] == []


def test_each_softmax_is_measured_at_each_vocabulary():
    (row,) = scale.vocabulary(60, [1000])
    assert set(row) == {"size", "softmax", "adaptive", "adaptive, sparse"} and min(row.values()) > 0


@pytest.mark.slow
def test_processes_and_examples_are_measured_by_commands_of_their_own(capsys):
    words = ["scale", "quickstart", "--sections", "processes,examples", "--batches", "2", "--data.examples=300"]
    assert main(["bench", *words, "--most", "1"]) == 0
    printed = capsys.readouterr().out
    assert "processes" in printed and "independent" in printed
    (row,) = scale.examples(120, [300])
    assert row["seconds_to_first_step"] > 0 and row["peak_memory_bytes"] > 2**20


def test_processes_are_compared_by_tokens_a_second_where_there_are_any(monkeypatch):
    """Two together make 170 tokens a second where one makes 100 and two that know nothing of each other 2 x 95."""

    def fits(commands, seconds):
        rate = 170.0 if "2" in commands[0] else 95.0 if len(commands) == 2 else 100.0
        speed = {"tokens_per_second": rate, "examples_per_second": 7.0}
        return [{"throughput": speed, "peak_memory_bytes": 1}] * len(commands)

    monkeypatch.setattr(scale, "_fits", fits)
    one, two = scale.processes("quickstart", [], 20, 60, [1, 2])
    assert (one["ratio"], one["ceiling"]) == (1, 1)
    assert (two["ratio"], two["ceiling"]) == (1.7, 1.9)


def test_an_unknown_section_is_refused_with_the_nearest(capsys):
    assert main(["bench", "scale", "quickstart", "--sections", "proceses"]) == 2
    assert "processes" in capsys.readouterr().err
