"""An answer as `rnnzoo predict` prints it: the task says how, and a stranger's task needs no change elsewhere."""

import json

import pytest

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.cli import main
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.tasks.base import Task
from rnnzoo.tasks.sentiment import Sentiment


class Mood(Sentiment):
    """A stranger's task: other keys, and the description that a task has by itself."""

    describe = Task.describe

    def predictions(self, model, batch):
        return [{"mood": "calm", "share": 1 / 3, "of": {"dog": 0.25, "cat": 2}, "moods": ["calm", "glad"], "rest": []}]


class Weather(Mood):
    def describe(self, answer):
        return [f"{answer['mood']},", f"with {len(answer['moods'])} moods\x1b"]


@pytest.fixture
def run(request, tmp_path):
    """A run of a stranger's task, hardly trained."""
    registry.register("tasks", "mood", request.param)
    changes = ["--task.name=mood", "--data.examples=24", "--trainer.max_epochs=1", "--tracking.mode=disabled"]
    fit(resolve(recipes.read("quickstart", [*changes, "--trainer.enable_progress_bar=false"])), tmp_path / "run")
    yield str(tmp_path / "run")
    registry.unregister("tasks", "mood")


@pytest.mark.parametrize("run", [Mood], indirect=True)
def test_a_task_that_does_not_say_has_each_value_printed_by_its_name(run, capsys):
    assert main(["predict", run, "--text", "good"]) == 0
    printed = capsys.readouterr().out
    assert printed == "mood calm  share 0.333333  of {dog: 0.25, cat: 2}  moods calm, glad  rest none\n"


@pytest.mark.parametrize("run", [Weather], indirect=True)
def test_what_a_task_describes_is_printed_line_by_line_and_its_json_is_as_before(run, capsys):
    assert main(["predict", run, "--text", "good"]) == 0
    assert capsys.readouterr().out == "calm,\nwith 2 moods\\x1b\n"
    assert main(["predict", run, "--text", "good", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["input"] == "good" and answer["mood"] == "calm" and answer["unknown_share"] in (0, 1)
