"""What a sweep is to run, known and checked before anything starts."""

import pytest

from rnnzoo import recipe as recipes
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.sweep import options
from rnnzoo.sweep.plan import Planner, planned, short_names
from rnnzoo.sweep.sweeper import new_seeds


def sweep_of(*overrides):
    return options.read(recipes.read("quickstart", overrides))


def plan(*overrides):
    return Planner(sweep_of(*overrides)).configurations()


def mistakes(*overrides):
    with pytest.raises(RecipeError) as caught:
        plan(*overrides)
    return caught.value.messages


CELLS = ("--sweep.keys.model.architecture.cell", "[lstm, gru]")


def test_a_grid_has_every_combination_with_every_seed_once():
    configurations = plan(*CELLS, "--sweep.keys.optimizer.lr", "[0.1, 0.01, 0.001]", "--sweep.seeds", "[1, 2]")
    runs = planned(configurations, [1, 2])
    made = {(r.recipe["model"]["architecture"]["cell"]["name"], r.recipe["optimizer"]["lr"], r.seed) for r in runs}
    assert made == {(cell, lr, seed) for cell in ("lstm", "gru") for lr in (0.1, 0.01, 0.001) for seed in (1, 2)}
    assert len(runs) == len({run.name for run in runs}) == len({run.digest for run in runs}) == 12


def test_a_run_is_what_fit_makes_of_the_same_keys():
    (run,) = planned(plan("--sweep.keys.model.architecture.cell", "[{name: zoneout, cell: gru}]"), [7])
    words = ["--model.architecture.cell", "{name: zoneout, cell: gru}", "--seed", "7"]
    assert run.recipe == resolve(recipes.read("quickstart", words))


def test_the_section_is_no_part_of_the_recipe_that_fit_runs():
    with_sweep, without = recipes.read("quickstart", CELLS), recipes.read("quickstart")
    assert resolve(with_sweep) == resolve(without)


def test_keys_may_be_dotted_or_nested_and_the_command_line_goes_before_the_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: quickstart\nsweep:\n  keys: {optimizer.lr: [0.1, 0.2], model: {pooling: [last, mean]}}\n")
    sweep = options.read(recipes.read(path, ["--sweep.keys.optimizer.lr", "[0.3]"]))
    found = {(c.settings["optimizer.lr"], c.settings["model.pooling"]) for c in Planner(sweep).configurations()}
    assert found == {(0.3, "last"), (0.3, "mean")}


RANGE = ("--sweep.method", "random", "--sweep.keys.optimizer.lr", "{low: 1e-4, high: 1e-2, scale: log}")


def test_more_draws_begin_with_the_same_and_all_are_in_the_range():
    few, many = (plan(*RANGE, "--sweep.draws", str(count)) for count in (4, 9))
    assert [c.digest for c in many][:4] == [c.digest for c in few]
    rates = [c.recipe["optimizer"]["lr"] for c in many]
    assert len(set(rates)) == 9 and all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert [c.digest for c in plan(*RANGE, "--sweep.draws", "4", "--sweep.draw_seed", "2")] != [c.digest for c in few]


def test_a_range_is_of_whole_numbers_where_the_recipe_has_one():
    words = ("--sweep.method", "random", "--sweep.draws", "6")
    sizes = plan(*words, "--sweep.keys.model.architecture.hidden_size", "{low: 8, high: 512, scale: log}")
    assert all(isinstance(c.recipe["model"]["architecture"]["hidden_size"], int) for c in sizes)
    rates = plan(*words, "--sweep.keys.model.head.dropout", "{low: 0, high: 1}")
    assert len({c.recipe["model"]["head"]["dropout"] for c in rates} - {0, 1}) == 6


def test_draws_end_where_there_are_no_other_combinations():
    assert len(plan(*CELLS, "--sweep.method", "random", "--sweep.draws", "50")) == 2


def test_all_mistakes_are_said_at_once_with_their_lines(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "base: quickstart\nsweep:\n  keys:\n    model.architecture.cel: [lstm]\n    model.head.dropout: [0.5, 1.5]\n"
    )
    with pytest.raises(RecipeError) as caught:
        Planner(options.read(recipes.read(path))).configurations()
    text = "\n".join(caught.value.messages)
    assert f"{path}:4: model.architecture.cel: unknown key.\n  Did you mean 'cell'?" in text
    assert f"{path}:5: model.head.dropout: must be a number in [0, 1), got 1.5." in text
    assert len(caught.value.messages) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sweep.keys.optimizer.lr", "[]"), "sweep.keys.optimizer.lr: has no values."),
        (("--sweep.keys.optimizer.lr", "{low: 2, high: 1}"), "is empty: low is 2, and high is 1."),
        (("--sweep.keys.optimizer.lr", "{low: 0, high: 1, scale: log}"), "it must be more than 0."),
        (("--sweep.keys.optimizer.lr", "{low: 0, hgih: 1}"), "Did you mean 'high'?"),
        (("--sweep.keys.optimizer.lr", "{low: no, high: 1}"), "YAML 1.1 reads no as false"),
        (("--sweep.keys.optimizer.lr", "0.1"), "must be a list of values, or a range, got 0.1."),
        (("--sweep.keys.optimizer.lr", "{low: 0.1, high: 1}"), "a grid needs a list of values"),
        (("--sweep.keys.seed", "[1, 2]"), "seeds are a list of their own: sweep.seeds"),
        (("--sweep.keys.tracking.tags", "[[a], [b]]"), "it changes nothing that is computed"),
        ((*RANGE[:2], *CELLS), "sweep.draws: missing"),
        ((*CELLS, "--sweep.draws", "3"), "a grid runs all combinations"),
        ((*CELLS, "--sweep.seeds", "[1, 1]"), "sweep.seeds: must be different"),
        ((*CELLS, "--sweep.metod", "grid"), "Did you mean 'method'?"),
        ((*CELLS, "--sweep.method", "gird"), "Did you mean 'grid'?"),
        ((*CELLS, "--sweep.metric", "test/accuracy"), "The test part is for the comparison at the end"),
        ((*CELLS, "--sweep.metric", "val/f1"), "needs sweep.mode, max or min"),
        ((*CELLS, "--sweep.match.parameters", "many"), "must be a number such as 1M or 250k, got 'many'"),
        ((*CELLS, "--sweep.confirm.sedes", "3"), "Did you mean 'seeds'?"),
        ((*CELLS, "--model.pooling", "lst"), "Did you mean 'last'?"),
        ((), "sweep: missing; it says what is varied."),
    ],
)
def test_a_mistake_is_said_before_anything_starts(words, message):
    assert any(message in mistake for mistake in mistakes(*words))


def test_a_grid_of_a_million_runs_is_counted_before_it_is_made():
    values = str(list(range(1, 101)))
    keys = ("model.architecture.hidden_size", "model.architecture.num_layers", "trainer.max_epochs")
    (message,) = mistakes(*(word for key in keys for word in (f"--sweep.keys.{key}", values)))
    assert "1,000,000 runs, and at most 1,000 are begun." in message and "--sweep.at_most 1000000" in message


def test_keys_are_shown_by_their_last_words_that_tell_them_apart():
    keys = ["model.architecture.dropout", "model.head.dropout", "optimizer.lr"]
    assert list(short_names(keys).values()) == ["architecture.dropout", "head.dropout", "lr"]


def test_new_seeds_are_none_that_were_used():
    assert new_seeds([1, 2], 3) == [3, 4, 5]
    assert new_seeds([2**32 - 1, 0], 2) == [1, 2]
