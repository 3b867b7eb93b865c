"""The file for `wandb sweep`: what its agent types is a command of rnnzoo."""

import itertools
import os
from random import Random

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from rnnzoo import recipe as recipes
from rnnzoo.cli import main
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.sweep import options
from rnnzoo.sweep.plan import Planner, planned
from rnnzoo.sweep.wandb_file import sweep_file

KEYS = [
    *("--sweep.keys.model.architecture.cell", "[lstm, {name: zoneout, rate: 0.2, cell: gru}]"),
    *("--sweep.keys.data.max_length", "[null, 30]"),
    *("--sweep.keys.model.head.tie_weights", "[true, false]"),
]


def typed(file: dict, values: dict) -> list[str]:
    """The words that an agent of W&B starts, after `/usr/bin/env`."""
    arguments = create_sweep_command_args({"args": {key: {"value": value} for key, value in values.items()}})
    arguments["env"] = ["/usr/bin/env"]
    command = create_sweep_command(file["command"])
    words = [w for c in command for w in (arguments[c[2:-1]] if c.startswith("${") else [c])]
    assert words[:2] == ["/usr/bin/env", "rnnzoo"]
    return words[2:]


def test_an_agent_of_a_grid_trains_the_runs_of_our_own_sweep(capsys):
    sweep = options.read(recipes.read("quickstart", [*KEYS, "--sweep.seeds", "[3, 4]", "--trainer.max_epochs", "2"]))
    file = yaml.safe_load(sweep_file(sweep, "quickstart", [*KEYS, "--trainer.max_epochs", "2"]))
    values = {key: parameter["values"] for key, parameter in file["parameters"].items()}
    found = []
    for combination in itertools.product(*values.values()):
        assert main([*typed(file, dict(zip(values, combination, strict=True))), "--print_config"]) == 0
        found.append(recipes.digest(yaml.safe_load(capsys.readouterr().out)))
    assert sorted(found) == sorted(run.digest for run in planned(Planner(sweep).configurations(), [3, 4]))


def test_what_an_agent_draws_from_a_range_is_accepted():
    keys = {
        "optimizer.lr": "{low: 1e-4, high: 1e-2, scale: log}",
        "model.head.dropout": "{low: 0, high: 0.9}",
        "model.architecture.hidden_size": "{low: 8, high: 64}",
        "trainer.max_epochs": "{low: 1, high: 100, scale: log}",
    }
    words = [word for key, value in keys.items() for word in (f"--sweep.keys.{key}", value)]
    words += ["--sweep.method", "random", "--sweep.draws", "5", "--sweep.seeds", "[1, 2]"]
    sweep = options.read(recipes.read("quickstart", words))
    file = yaml.safe_load(sweep_file(sweep, "quickstart"))
    parameters, random = file["parameters"], Random(0)
    kinds = {key: parameters[key].get("distribution") for key in keys}
    assert list(kinds.values()) == ["log_uniform_values", "uniform", "int_uniform", None]
    values = {key: random.uniform(parameters[key]["min"], parameters[key]["max"]) for key in list(keys)[:2]}
    values |= {"model.architecture.hidden_size": random.randint(8, 64), "trainer.max_epochs": 100}
    fit, recipe, *rest = typed(file, values)
    assert fit == "fit"
    resolved = resolve(recipes.read(recipe, rest))
    assert {key: options.at(resolved, key) for key in keys} == values
    assert file["run_cap"] == 10 and file["metric"] == {"name": "val/accuracy", "goal": "maximize"}
    assert 100 in parameters["trainer.max_epochs"]["values"] and 1 in parameters["trainer.max_epochs"]["values"]


def test_a_size_solved_for_each_combination_is_none_of_w_and_bs():
    sweep = options.read(recipes.read("quickstart", [*KEYS, "--sweep.match.parameters", "20k"]))
    with pytest.raises(RecipeError, match="W&B draws each key by itself"):
        sweep_file(sweep, "quickstart")


def test_the_verb_prints_the_file_and_starts_nothing(here, capsys):
    assert main(["sweep", "sweep_cells", "--wandb"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["parameters"]["seed"] == {"values": [1, 2]}
    assert os.listdir(here) == []
