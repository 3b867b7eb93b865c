"""The table of results holds what runs of the shipped recipes gave, and nothing else."""

import csv
import io
import json
import re
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_packaging import ROOT, loaded_by

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.cli import main
from rnnzoo.errors import RunError, ZooError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.results import manifests, tables
from rnnzoo.results import rows as rows_module
from rnnzoo.results.judge import manifest
from rnnzoo.results.published import published
from rnnzoo.results.rows import rows
from rnnzoo.system import shipped as system_shipped

CONFIG = resolve(recipes.read("toy_tags"))


def facts(seed=1, score=0.9, **changes):
    """The summary of a run of toy_tags."""
    return {
        "recipe": "toy_tags",
        "status": "finished",
        "seed": seed,
        "started": "2026-01-01T00:00:00+00:00",
        "commit": "a" * 40,
        "hardware": {"cpu": "a processor", "cores": 2, "gpu": None},
        "threads": 2,
        "processes": 1,
        "precision": "32-true",
        "versions": {"rnnzoo": "0.1.0"},
        "parameters": 100,
        "data": {"id": "rnnzoo/ToyTags", "revision": None, "sizes": {"train": 10, "dev": 5, "test": 5}},
        "metrics": {"test/accuracy": score, "best/accuracy": score / 2, "test/loss": 0.1},
        "best": {"monitor": "val/accuracy", "mode": "max", "score": score / 2, "epoch": 0},
        "epochs": 3,
        "steps": 30,
        "train_seconds": 10.0 * seed,
        "cpu_seconds": 8.0,
        "peak_memory_bytes": 2**30,
        "throughput": {},
        "host": "a machine",
        "pid": 1,
        "wandb": {"path": "a/path"},
    } | changes


def run_folder(folder, config=CONFIG, **given):
    """A run's folder with these facts."""
    folder.mkdir(exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(facts(**given)))
    (folder / "config.yaml").write_text(recipes.dump(config))
    return folder


def changed(section, **values):
    return CONFIG | {section: CONFIG[section] | values}


# -- which runs count -----------------------------------------------------------------------------------------------


def test_a_run_that_counts_is_told_without_its_machine_and_paths(tmp_path):
    told = manifest(run_folder(tmp_path / "run", changed("trainer", enable_progress_bar=False)))
    assert told["recipe"] == "toy_tags" and told["digest"] == manifests.digest("toy_tags")
    assert told["config"] == {
        key: changed("trainer", enable_progress_bar=False)[key] for key in CONFIG if key not in ("name", "tracking")
    }
    assert not {"host", "pid", "wandb"} & told.keys() and str(tmp_path) not in json.dumps(told)


@pytest.mark.parametrize(
    ("config", "given", "why"),
    [
        (CONFIG, {"status": "interrupted"}, "it is interrupted"),
        (CONFIG, {"extended_at": [60]}, "it was made longer"),
        (CONFIG, {"recipe": "mine"}, "no recipe 'mine' comes with rnnzoo"),
        (CONFIG, {"metrics": {"best/accuracy": 0.9, "test/loss": 0.1}}, "it has no test/accuracy"),
        (CONFIG, {"metrics": {"best/accuracy": 0.9, "test/accuracy": None}}, "it has no test/accuracy"),
        (changed("trainer", limit_train_batches=3), {}, "trainer.limit_train_batches was 3 and is None"),
        (changed("trainer", fast_dev_run=True), {}, "trainer.fast_dev_run was True and is False"),
        (
            changed("model", head=CONFIG["model"]["head"] | {"dropout": 0.5}),
            {},
            "model.head.dropout was 0.5 and is 0.0",
        ),
        (changed("data", examples=7), {}, "data.examples was 7"),
    ],
)
def test_a_run_that_is_not_a_whole_one_of_its_recipe_is_refused(tmp_path, config, given, why):
    with pytest.raises(RunError, match=re.escape(why)):
        manifest(run_folder(tmp_path / "run", config, **given))


def test_a_file_may_lie_anywhere_if_its_digest_is_the_one_named_and_is_kept_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    monkeypatch.setattr(system_shipped, "recipe_folder", lambda: tmp_path / "recipes")
    said = {
        "data": {"name": "text_files", "train": "a.csv", "test": "https://x.org/b.csv#sha256=1"},
        "task": "sentiment",
    }
    (tmp_path / "recipes" / "mine.yaml").write_text(json.dumps(said))
    for train, revision, why in (
        ("/here/a.csv", "1", None),
        ("/here/other.csv", "1", "data.train was '/here/other.csv' and is 'a.csv'"),
        ("/here/a.csv", "2", "data.test was '/there/b.csv', of SHA-256 2, and is 'https://x.org/b.csv#sha256=1'"),
    ):
        ran = resolve(recipes.of(said | {"data": said["data"] | {"train": train, "test": "/there/b.csv"}}))
        data = facts()["data"] | {"revision": revision}
        folder = run_folder(tmp_path / "run", ran, recipe="mine", data=data)
        if why is None:
            assert manifest(folder)["config"]["data"]["train"] == "a.csv"
        else:
            with pytest.raises(RunError, match=re.escape(why)):
                manifest(folder)


def test_a_run_without_a_test_part_counts_by_its_dev_part_and_says_so(tmp_path):
    data, metrics = {"id": "x", "sizes": {"train": 10, "dev": 5}}, {"best/accuracy": 0.75}
    told = manifest(run_folder(tmp_path / "run", data=data, metrics=metrics))
    ((row,), _) = rows([told])
    assert row["metric"] == "val/accuracy" and row["mean"] == row["dev"] == 0.75


def test_a_run_of_when_the_kept_checkpoints_dev_scores_were_called_val_counts_the_same(tmp_path):
    older = {"test/accuracy": 0.9, "val/accuracy": 0.45, "test/loss": 0.1}
    assert manifest(run_folder(tmp_path / "run", metrics=older)) == manifest(run_folder(tmp_path / "other"))


def test_a_run_whose_summary_does_not_tell_enough_is_refused(tmp_path):
    folder = run_folder(tmp_path / "run")
    old = {key: value for key, value in facts().items() if key not in ("commit", "epochs")}
    (folder / "summary.json").write_text(json.dumps(old))
    with pytest.raises(RunError, match="its summary lacks commit, epochs"):
        manifest(folder)


def test_a_recipe_has_one_digest_for_all_seeds_and_another_once_it_says_otherwise(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    monkeypatch.setattr(system_shipped, "recipe_folder", lambda: tmp_path / "recipes")
    digests = []
    for text in ("seed: 1\nname: x\nmodel: {dropout: 0.1}", "seed: 2\nmodel: {dropout: 0.1}", "model: {dropout: 0.2}"):
        (tmp_path / "recipes" / "one.yaml").write_text(text)
        digests.append(manifests.digest("one"))
    assert digests[0] == digests[1] != digests[2]


def without(section, key):
    """These facts, of which one is not told."""
    return {section: {name: value for name, value in facts()[section].items() if name != key}}


DAMAGED = [
    ({"metrics": {}}, "it has no test/accuracy"),
    ({"metrics": facts()["metrics"] | {"test/accuracy": "0.9"}}, "its metrics.test/accuracy is '0.9', not a finite"),
    ({"metrics": facts()["metrics"] | {"test/accuracy": float("nan")}}, "its metrics.test/accuracy is nan, not a fin"),
    (
        {"metrics": facts()["metrics"] | {"best/accuracy": True}},
        "its metrics.best/accuracy is True, not a finite number",
    ),
    (without("metrics", "best/accuracy"), "it has no best/accuracy"),
    ({"metrics": [0.9]}, "its metrics is [0.9], not a mapping"),
    ({"best": None}, "its best.monitor is None, not text"),
    (without("best", "mode"), "its best.mode is None, not max or min"),
    ({"data": {}}, "its data.sizes is None, not a mapping"),
    (without("data", "sizes"), "its data.sizes is None, not a mapping"),
    ({"hardware": {}}, "its hardware.cpu is None, not text"),
    ({"train_seconds": None}, "its train_seconds is None, not a finite number"),
    ({"seed": None}, "its seed is None, not a whole number"),
    ({"commit": 7}, "its commit is 7, not text or null"),
]


@pytest.mark.parametrize(("changes", "why"), DAMAGED)
def test_facts_that_are_damaged_are_refused_by_their_key(tmp_path, changes, why):
    (told,) = made([0.9])
    place = tmp_path / "toy_tags-seed1.json"
    place.write_text(json.dumps(told | changes))
    folder = run_folder(tmp_path / "run")
    (folder / "summary.json").write_text(json.dumps(facts() | changes))
    for run, first in ((folder, f"{folder} does not count: "), (place, f"cannot read the manifest {place}: ")):
        with pytest.raises(RunError, match=re.escape(first + why)):
            manifest(run)


# -- the table ------------------------------------------------------------------------------------------------------


def made(scores):
    config = {key: value for key, value in CONFIG.items() if key not in ("name", "tracking")}
    return [
        facts(seed, score) | {"digest": manifests.digest("toy_tags"), "config": config}
        for seed, score in enumerate(scores, start=1)
    ]


@settings(deadline=None)  # the first call reads recipes
@given(st.lists(st.floats(0, 1000), min_size=1, max_size=5), st.randoms())
def test_a_row_has_the_mean_and_the_standard_deviation_whatever_the_order_of_runs(scores, random):
    given_runs = made(scores)
    ((row,), stale) = rows(given_runs)
    random.shuffle(given_runs)
    assert rows(given_runs) == ([row], stale) == ([row], [])
    assert row["mean"] == statistics.fmean(scores) and row["dev"] == statistics.fmean(score / 2 for score in scores)
    assert row["std"] == (statistics.stdev(scores) if len(scores) > 1 else None)
    assert row["seeds"] == len(scores) and row["direction"] == "max" and row["metric"] == "accuracy"
    assert row["train_seconds"] == 10 * statistics.fmean(range(1, len(scores) + 1))


def test_two_runs_of_one_seed_are_refused():
    with pytest.raises(ZooError, match="two runs of toy_tags have the same seed"):
        rows([*made([0.5]), *made([0.6])])


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"data": facts()["data"] | {"id": "another"}}, "data.id is 'rnnzoo/ToyTags' of seed 1, 'another' of seed 3"),
        ({"data": facts()["data"] | {"revision": "b"}}, "data.revision is None of seed 1, 'b' of seed 3"),
        ({"data": facts()["data"] | {"sizes": {"train": 9, "dev": 5, "test": 5}}}, "data.sizes is {'train': 10, "),
        ({"parameters": 101}, "parameters is 100 of seed 1, 101 of seed 3"),
    ],
)
def test_runs_on_different_data_have_no_common_row(changes, key):
    one, two, three = made([0.5, 0.6, 0.7])
    with pytest.raises(ZooError, match=re.escape(f"runs of toy_tags are not alike: {key}")) as error:
        rows([three | changes, one, two])
    assert "toy_tags-seed1.json and toy_tags-seed3.json" in str(error.value)


def test_a_recipe_that_was_changed_or_is_gone_has_no_row():
    one, two = made([0.5, 0.6])
    found, stale = rows([one | {"digest": "0" * 64}, two | {"recipe": "gone"}])
    assert found == [] and [line.partition(":")[0] for line in stale] == ["gone", "toy_tags"]
    assert "no such recipe" in stale[0] and "recipe changed since" in stale[1]


def test_the_csv_holds_every_column_of_every_row_unrounded():
    found, _ = rows(made([0.1, 0.3]))
    (row,) = csv.DictReader(io.StringIO(tables.as_csv(found)))
    assert list(row) == list(tables.COLUMNS)
    assert float(row["mean"]) == found[0]["mean"] and float(row["std"]) == found[0]["std"]
    assert row["command"] == "rnnzoo fit toy_tags --seed 1" and row["commit"] == "a" * 40


def test_a_page_tells_scores_to_the_digits_that_matter():
    found, _ = rows(made([0.89453, 0.89656]))
    assert "| `toy_tags` | accuracy ↑ | 0.8955 ± 0.0014 | 2 |" in tables.markdown(found)
    assert tables.score(110.4347, 0.5) == "110.43 ± 0.50" and tables.score(0.5, None) == "0.5000"


def test_a_marked_page_gets_the_rows_that_it_asks_for_and_keeps_the_rest():
    found, _ = rows(made([0.5]))
    page = "before\n<!-- results {} -->\nold\n<!-- /results -->\nafter\n"
    for pattern, has in (("toy_*", True), ("imdb_*", False)):
        written = tables.updated(page.format(pattern), found)
        assert written.startswith(f"before\n<!-- results {pattern} -->\n| Recipe") and "old" not in written
        assert written.endswith("<!-- /results -->\nafter\n") and ("toy_tags" in written) == has
        assert tables.updated(written, found) == written
    with pytest.raises(ZooError, match="no place for the table"):
        tables.updated("nothing", found)


# -- what is kept ---------------------------------------------------------------------------------------------------


def test_the_committed_tables_are_what_the_command_makes_of_the_manifests():
    found, stale = rows(manifests.kept())
    assert stale == []
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / "recipes" / "RESULTS.md").read_text(encoding="utf-8") == tables.PAGE + tables.markdown(found)
    assert (ROOT / "recipes" / "RESULTS.csv").read_text(encoding="utf-8") == tables.as_csv(found)
    assert tables.updated(readme, found) == readme


def test_every_kept_run_is_one_of_its_recipe_as_it_resolves_now():
    for path in sorted(manifests.folder().glob("*.json")):
        told = manifest(path)
        kept = json.loads(path.read_text(encoding="utf-8"))
        assert kept | {"metrics": runs.scores(kept["metrics"])} == told
        assert path.stem == f"{runs.slug(told['recipe'])}-seed{told['seed']}"


def test_published_figures_are_of_recipes_that_there_are_and_name_their_source():
    for name, shown in published().items():
        assert name in recipes.shipped() and shown
        for row in shown:
            assert row.keys() <= {"metric", "parts", "unit", "figures"}
            for figure in row.get("figures", []):
                assert isinstance(figure["value"], float) and figure["by"]
                assert figure.keys() <= {"value", "by", "differs", "checked"}


def test_a_published_figure_of_a_forecast_reads_as_many_steps_as_the_recipe_or_is_marked():
    for name, shown in published().items():
        lookback = resolve(recipes.read(name))["data"].get("lookback")
        for figure in (figure for row in shown for figure in row.get("figures", []) if lookback):
            assert f"{lookback} steps of history" in figure["by"] or "differs" in figure


def test_a_row_without_a_published_figure_says_that_it_was_made_here_and_one_unlike_is_marked(monkeypatch):
    row = "".join(tables.markdown(rows(made([0.5]))[0]).splitlines()[2:])
    assert f"| {tables.MADE_HERE} |" in row
    figures = [{"value": 0.6, "by": "A (B)", "differs": "C", "checked": "D"}, {"value": 0.7, "by": "E"}]
    monkeypatch.setattr(rows_module, "published", lambda: {"toy_tags": [{"figures": figures}]})
    row = "".join(tables.markdown(rows(made([0.5]))[0]).splitlines()[2:])
    assert "| † 0.6 A (B); differs: C<br>0.7 E (not checked at its source) |" in row


def test_a_score_over_two_parts_is_weighed_by_their_sizes_and_shown_in_bits_too(monkeypatch):
    shown = {"metric": "loss", "parts": ["val", "test"], "unit": "nats a tag"}
    monkeypatch.setattr(rows_module, "published", lambda: {"toy_tags": [{}, shown]})
    (run,) = made([0.5])
    run["metrics"] |= {"best/loss": 1.0, "test/loss": 2.0}
    run["data"]["sizes"] |= {"dev": 30, "test": 10}
    plain, both = rows([run])[0]
    assert plain["mean"] == 0.5 and both["mean"] == (30 * 1.0 + 10 * 2.0) / 40
    assert "val+test/loss (nats a tag) ↓" not in tables.markdown([plain])
    page = tables.markdown([both])
    assert "| val+test/loss (nats a tag)" in page and "1.2500 (1.803 bits)" in page


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder for manifests, empty."""
    monkeypatch.setattr(manifests, "folder", lambda: tmp_path / "manifests")
    return tmp_path / "manifests"


def test_the_command_keeps_runs_and_writes_the_tables_of_all_that_are_kept(tmp_path, shelf, capsys):
    folders = [str(run_folder(tmp_path / str(seed), seed=seed, score=score)) for seed, score in ((2, 0.5), (1, 0.7))]
    page, table = tmp_path / "RESULTS.md", tmp_path / "RESULTS.csv"
    assert main(["results", *folders, "--keep", "--markdown", str(page), "--csv", str(table)]) == 0
    assert {path.name for path in shelf.iterdir()} == {"toy_tags-seed1.json", "toy_tags-seed2.json"}
    assert "0.6000 ± 0.1414" in capsys.readouterr().out
    assert "0.6000 ± 0.1414" in page.read_text() and table.read_text().count("\n") == 2
    assert main(["results", str(shelf / "toy_tags-seed1.json")]) == 0  # a kept manifest is judged as its run was
    assert "0.7000" in capsys.readouterr().out


def test_the_command_tells_what_it_lacks(tmp_path, shelf, capsys):
    assert main(["results"]) == 2 and "no run counts" in capsys.readouterr().err
    assert main(["results", "--keep"]) == 2 and "--keep and --ship need runs" in capsys.readouterr().err
    shelf.mkdir()
    (shelf / "toy_tags-seed1.json").write_text(json.dumps(made([0.5])[0]))
    assert main(["results", "--update", str(tmp_path / "no.md")]) == 2 and "cannot read" in capsys.readouterr().err
    assert main(["results", "nowhere"]) == 2 and "no run at nowhere" in capsys.readouterr().err
    (tmp_path / "odd.json").write_text("[]")
    assert main(["results", str(tmp_path / "odd.json")]) == 2 and "cannot read the manifest" in capsys.readouterr().err
    assert main(["results", str(run_folder(tmp_path / "run")), "--ship"]) == 2
    assert "weights of 'toy_tags' are not shipped" in capsys.readouterr().err


def test_the_table_of_what_is_kept_needs_no_torch():
    assert not loaded_by("from rnnzoo.cli import main\nmain(['results'])") & {"torch", "lightning", "numpy"}
