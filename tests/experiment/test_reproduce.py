"""A finished run made again: what is different today is said, and what comes out is judged."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import write_reviews
from wandb_operations import Run

from rnnzoo import runs
from rnnzoo.cli import main
from rnnzoo.errors import RecipeError, RunError
from rnnzoo.experiment import reproduce as reproducing
from rnnzoo.experiment.reproduce import claim_of, compared, other_seeds, within

FACTS = {
    "status": "finished",
    "recipe": "reviews",
    "seed": 1,
    "metrics": {"best/accuracy": 0.75, "test/accuracy": 0.7, "test/loss": 0.5},
    "best": {"monitor": "val/accuracy", "mode": "max", "score": 0.75, "epoch": 0},
}
RECIPE = {"seed": 1, "data": {"name": "x"}, "trainer": {"max_epochs": 1}}


def claim(**facts):
    return claim_of("runs/x", {**RECIPE, "seed": facts.get("seed", 1)}, {**FACTS, **facts})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(runs.SHARED, "")
    return tmp_path


def test_equal_scores_and_weights_are_the_same_to_the_last_bit():
    same = compared(claim(), dict(FACTS["metrics"]), True, [0.6])
    assert same.outcome == "equal" and "weights and scores" in str(same)
    assert compared(claim(), dict(FACTS["metrics"]), None, []).outcome == "equal"
    assert compared(claim(), dict(FACTS["metrics"]), False, []).outcome == "unknown"


def test_a_difference_is_judged_by_the_spread_over_seeds():
    """Two seeds at 0.7 and 0.72 have a standard deviation of 0.01 sqrt(2); Student's t of one is 12.706."""
    limit = 12.706 * math.sqrt(2) * 0.01 * math.sqrt(2)

    def outcome(score):
        return compared(claim(), {**FACTS["metrics"], "test/accuracy": score}, None, [0.72])

    assert outcome(0.7 + 0.99 * limit).outcome == "alike"
    assert outcome(0.7 - 1.01 * limit).outcome == "other"
    assert outcome(0.7 - 1.01 * limit).spread == pytest.approx(0.01 * math.sqrt(2))
    alone = compared(claim(), {**FACTS["metrics"], "test/accuracy": 0.71}, None, [])
    assert alone.outcome == "unknown" and "another seed" in str(alone)


@pytest.mark.parametrize("seeds", [2, 3, 8])
def test_a_run_of_the_same_recipe_is_found_beyond_the_spread_in_one_of_twenty_cases_at_most(seeds):
    random = np.random.default_rng(1)
    scores = random.standard_normal((20_000, seeds + 1))
    spreads = scores[:, :seeds].std(1, ddof=1)
    beyond = abs(scores[:, seeds] - scores[:, 0]) > [within(spread, seeds) for spread in spreads]
    assert 0.015 < beyond.mean() < 0.055


def test_other_seeds_are_those_of_the_same_recipe():
    other_recipe = claim(seed=4)._replace(recipe={**RECIPE, "seed": 4, "trainer": {"max_epochs": 2}})
    extended = claim(seed=5, extended_at=[60])
    unscored = claim(seed=3, metrics={"test/loss": 0.1})
    assert other_seeds(
        claim(), [claim(), claim(seed=2, metrics={"test/accuracy": 0.8}), unscored, extended, other_recipe]
    ) == [0.8]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"status": "failed"}, "its status is failed"),
        ({"status": 3}, "its status is unknown"),
        ({"metrics": {}}, "no scores"),
        ({"metrics": {"test/accuracy": "0.7"}}, "no scores"),
    ],
)
def test_a_run_without_a_result_cannot_be_reproduced(facts, message):
    with pytest.raises(RunError, match=message):
        claim(**facts)
    with pytest.raises(RunError, match=r"config\.yaml"):
        claim_of("runs/x", None, FACTS)


def test_a_plugin_that_is_not_installed_is_named_with_its_version():
    facts = {**FACTS, "versions": {"python": "3.11.0", "rnnzoo-gone": "1.2"}}
    gone = claim_of("runs/x", {**RECIPE, "data": {"name": "gone"}}, facts)
    with pytest.raises(RecipeError, match=r"pip install rnnzoo-gone==1\.2"):
        reproducing.pinned(gone)


def test_a_run_is_reproduced_to_the_last_bit_and_what_changed_is_said(here, capsys):
    recipe = [str(write_reviews(here)), "--trainer.max_epochs", "1", "--tracking.mode", "offline"]
    assert main(["fit", *recipe, "--run_dir", "runs/reviews/a"]) == 0
    summary = Path("runs/reviews/a/summary.json")
    facts = json.loads(summary.read_text())
    facts["versions"]["torch"] = "1.0"
    summary.write_text(json.dumps(facts))
    capsys.readouterr()
    assert main(["reproduce", "runs/reviews/a", "--run_dir", "again"]) == 0
    told = capsys.readouterr().out
    assert "the same to the last bit, weights and scores: test/accuracy" in told and "was 1.0" in told
    assert runs.is_run(Path("again"))
    (logged,) = Path("again").glob("wandb/offline-run-*/*.wandb")
    assert main(["reproduce", str(logged), "--check"]) == 0
    assert "Nothing is different" in capsys.readouterr().out

    with Path("train.csv").open("a") as file:
        file.write("one more good film,positive\n")
    assert main(["reproduce", "runs/reviews/a", "--check"]) == 1
    assert main(["reproduce", "runs/reviews/a", "--run_dir", "third"]) == 2
    told = capsys.readouterr()
    assert told.err.splitlines()[-2].startswith("runs/reviews/a cannot be reproduced: data: ")
    assert not os.path.exists("third")


def test_a_run_of_w_and_bs_server_is_found_by_its_path(recorder, capfd):
    recorder.runs["abc1"] = Run("team", "zoo", "abc1", exit_code=1)
    assert main(["reproduce", "team/zoo/abc2"]) == 2
    assert "team/zoo has no run 'abc2'.\n  Did you mean 'abc1'?" in capfd.readouterr().err
    assert main(["reproduce", "team/zoo/abc1"]) == 2
    assert "it failed (exit code 1)" in capfd.readouterr().err


def test_what_a_strangers_run_names_as_its_plugins_is_put_into_no_command(here):
    main(["fit", "quickstart", "--data.examples", "48", "--trainer.fast_dev_run", "true", "--run_dir", "x"])
    config = {**json.loads(json.dumps(runs.read("x")["config"])), "optimizer": {"name": "gone"}}
    versions = {"rnnzoo-gone": "1.2", "evil; rm -rf ~\n\x1b[2J": "1", "rnnzoo-evil": "1; ls"}
    with pytest.raises(RecipeError) as refusal:
        reproducing.pinned(claim_of("x", config, {**FACTS, "versions": versions}))
    assert str(refusal.value).endswith("\n  pip install rnnzoo-gone==1.2") and "\x1b" not in str(refusal.value)
