"""Which runs are one group, which settings differ, and which runs are looked at."""

import os
import shutil

import pytest
from compared_runs import make_run, six_runs

from rnnzoo.compare import compare
from rnnzoo.compare.settings import short_keys
from rnnzoo.errors import RunError, ZooError


def names(comparison):
    return [group.name for group in comparison.groups]


def test_what_changes_no_result_makes_no_group(tmp_path):
    make_run(tmp_path / "a", seed=1)
    make_run(tmp_path / "b", seed=2, trainer__enable_progress_bar=False, data__num_workers=2, name="other")
    make_run(tmp_path / "c", seed=3, tracking__tags=["x", "y"])
    (group,) = compare([tmp_path]).groups
    assert group.seeds == [1, 2, 3]


def test_a_plugins_version_and_the_datas_fingerprint_are_settings(tmp_path):
    versions = {"rnnzoo": "0.1.0", "rnnzoo-mingru": "0.1"}
    data = {"id": "lhoestq/imdb", "sizes": {"test": 1000}}
    for name, facts in {
        "a": {"versions": versions, "data": data | {"fingerprint": "1" * 64}},
        "b": {"versions": versions | {"rnnzoo-mingru": "0.2"}, "data": data | {"fingerprint": "1" * 64}},
        "c": {"versions": versions, "data": data | {"fingerprint": "2" * 64}},
    }.items():
        make_run(tmp_path / name, facts=facts)
    comparison = compare([tmp_path])
    assert set(comparison.keys) == {"versions.rnnzoo-mingru", "found.fingerprint"}
    assert len(comparison.groups) == 3


def test_a_setting_that_only_one_of_two_parts_has_is_hidden_unless_it_differs_among_its_own(tmp_path):
    lstm = {"name": "lstm", "init": "uniform"}
    make_run(tmp_path / "a", model__architecture__cell=lstm | {"forget_bias": 1.0})
    make_run(tmp_path / "b", "gru")
    assert set(compare([tmp_path]).keys) == {"model.architecture.cell.name"}
    make_run(tmp_path / "c", model__architecture__cell=lstm | {"forget_bias": 2.0})
    assert set(compare([tmp_path]).keys) == {"model.architecture.cell.name", "model.architecture.cell.forget_bias"}


def test_a_callback_that_one_group_has_is_a_difference(tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", callbacks={"ema": {"decay": 0.99}})
    comparison = compare([tmp_path])
    assert sorted(names(comparison)) == ["decay 0.99", "reviews"]


def test_keys_are_as_short_as_they_may_be():
    keys = ["model.architecture.cell.name", "model.inputs.tokens.dropout", "model.head.dropout", "optimizer.name", "lr"]
    assert list(short_keys(keys).values()) == ["cell", "tokens.dropout", "head.dropout", "optimizer", "lr"]


def test_the_newest_run_of_a_seed_counts_and_a_copy_is_none(tmp_path):
    make_run(tmp_path / "a", accuracy=0.5, facts={"started": "2026-01-01T00:00:00+00:00"})
    newer = make_run(tmp_path / "b", accuracy=0.7, facts={"started": "2026-01-02T00:00:00+00:00"})
    shutil.copytree(newer, tmp_path / "c")
    comparison = compare([tmp_path])
    (group,) = comparison.groups
    assert group.scores["test/accuracy"].values == (0.7,)
    assert [(run.path.name, run.why) for run in comparison.left_out] == [
        ("a", "b has its recipe and seed, and is newer"),
        ("b", "c is a copy of it"),
    ]


def test_of_a_run_and_what_wandb_has_of_it_the_one_that_kept_each_example_counts(tmp_path):
    same = {"wandb": {"id": "abcd1234"}}
    folder = make_run(tmp_path / "a", facts={"started": "2026-01-01T00:00:00+00:00"} | same)
    (folder / "predictions.parquet").touch()
    make_run(tmp_path / "b", facts={"started": "2026-01-01T00:00:02+00:00"} | same)
    comparison = compare([tmp_path])
    assert [run.path.name for run in comparison.runs] == ["a"]
    assert [(run.path.name, run.why) for run in comparison.left_out] == [("b", "a is a copy of it")]


def test_a_run_that_is_named_twice_is_one_run(tmp_path):
    run = make_run(tmp_path / "a")
    (tmp_path / "link").symlink_to(run)
    comparison = compare([run, tmp_path, os.path.relpath(run), tmp_path / "link"])
    assert len(comparison.runs) == 1 and not comparison.left_out


def test_runs_are_found_in_folders_of_folders_and_links_in_them_are_not_followed(tmp_path):
    six_runs(tmp_path / "deep" / "sweeps")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    assert len(compare([tmp_path]).runs) == 6


def test_what_is_no_run_is_left_out_where_it_is_there_and_refused_where_it_is_not(tmp_path):
    run = make_run(tmp_path / "runs" / "a")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    comparison = compare([run, tmp_path / "notes.txt", tmp_path / "empty"])
    assert [(run.path.name, run.why) for run in comparison.left_out] == [
        ("notes.txt", "it is a file, not a run's folder"),
        ("empty", "no run is in it"),
    ]
    with pytest.raises(RunError, match="no run at"):
        compare([tmp_path / "runs" / "b"])
    with pytest.raises(RunError, match=r"no finished run to compare(.|\n)*no run is in it"):
        compare([tmp_path / "empty"])


def test_where_keeps_the_runs_of_a_setting(tmp_path):
    runs = six_runs(tmp_path)
    for key in ("cell", "cell.name", "model.architecture.cell", "model.architecture.cell.name"):
        assert names(compare([runs], where={key: "gru"})) == ["reviews"]
    with pytest.raises(ZooError, match="Did you mean 'gru'"):
        compare([runs], where={"cell": "gruu"})
    with pytest.raises(ZooError, match="no run has the setting 'hiden_size'"):
        compare([runs], where={"hiden_size": "1"})


def test_the_metric_that_counts_may_be_named(tmp_path):
    make_run(tmp_path / "a", facts={"metrics": {"test/accuracy": 0.9, "test/loss": 0.9}})
    make_run(tmp_path / "b", "gru", facts={"metrics": {"test/accuracy": 0.8, "test/loss": 0.1}})
    assert names(compare([tmp_path])) == ["lstm", "gru"]
    assert (
        names(compare([tmp_path], metric="loss")) == names(compare([tmp_path], metric="test/loss")) == ["gru", "lstm"]
    )
    with pytest.raises(ZooError, match="no run has the metric 'acuracy'"):
        compare([tmp_path], metric="acuracy")


def test_the_rows_that_are_scored_and_not_their_encoding_make_a_test_set(tmp_path):
    data = {"id": "a", "revision": "1", "sizes": {"test": 1000}, "scored_rows": "0" * 64}
    make_run(tmp_path / "a", facts={"data": data | {"fingerprint": "1" * 64}})
    make_run(tmp_path / "b", data__vocab_size=9, facts={"data": data | {"fingerprint": "2" * 64, "revision": "2"}})
    comparison = compare([tmp_path])
    assert len(comparison.groups) == 2 and any("encode the data differently" in note for note in comparison.notes)
    make_run(tmp_path / "c", "gru", facts={"data": data | {"scored_rows": "1" * 64}})
    with pytest.raises(RunError, match=r"test set(.|\n)*rnnzoo compare"):
        compare([tmp_path])


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"hardware": {"cpu": "Apple M3", "cores": 8, "gpu": None}}, "different machines"),
        ({"threads": 4}, "different numbers of threads: 1, 4"),
        ({"precision": "bf16-mixed"}, "different precisions"),
        ({"versions": {"torch": "2.14.0"}}, "different versions"),
    ],
)
def test_what_makes_a_comparison_unfair_is_said(tmp_path, facts, said):
    same = {"hardware": {"cpu": "AMD EPYC", "cores": 2, "gpu": None}, "threads": 1, "precision": "32-true"}
    make_run(tmp_path / "a", facts=same)
    make_run(tmp_path / "b", "gru", facts=same)
    (no_verdict,) = compare([tmp_path]).notes
    make_run(tmp_path / "c", "vanilla", facts=same | facts)
    note, other = compare([tmp_path]).notes
    assert said in note and other == no_verdict


def test_a_run_that_was_made_longer_is_no_seed_of_the_recipe_that_it_now_has(tmp_path):
    make_run(tmp_path / "whole", seed=1)
    make_run(tmp_path / "longer", seed=2, facts={"extended_at": [126]})
    comparison = compare([tmp_path])
    assert [len(group.runs) for group in comparison.groups] == [1, 1] and [*comparison.keys.values()] == ["extended_at"]
