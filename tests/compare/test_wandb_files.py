"""A `.wandb` file is read as W&B's own reader has it, up to where it is whole; it compares as the run's folder does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from compared_runs import recipe
from conftest import records

from rnnzoo.cli import main
from rnnzoo.compare import compare
from rnnzoo.compare.alike import check_alike, directions, monitor
from rnnzoo.compare.collect import read_run
from rnnzoo.compare.wandb_files import join, read_wandb_file, wandb_files
from rnnzoo.compare.wandb_format import fields
from rnnzoo.compare.wandb_runs import WandbRun, compared
from rnnzoo.errors import RunError

SCRIPT = """
import json, sys, wandb
for spec in json.load(sys.stdin):
    run = wandb.init(project="zoo", entity="team", mode="offline", reinit="create_new", **spec["init"])
    for row in spec["rows"]:
        run.log(row)
    run.summary.update(spec["summary"])
    run.finish(exit_code=spec["exit"])
"""


def logged(folder: Path, *specs: dict) -> list[Path]:
    """Offline runs as W&B itself writes them, in the order of the specs."""
    command = [sys.executable, "-c", SCRIPT]
    folder.mkdir(exist_ok=True)
    subprocess.run(command, input=json.dumps(specs), text=True, cwd=folder, check=True, capture_output=True)
    paths = {read_wandb_file(path).name: path for path in folder.glob("wandb/offline-run-*/*.wandb")}
    return [paths[spec["init"]["name"]] for spec in specs]


def spec(cell: str, seed: int, accuracy: float, exit: int = 0) -> dict:
    config = recipe(cell, seed)
    data = {"id": "imdb", "fingerprint": "5f" * 32, "scored_rows": "ab" * 32, "sizes": {"test": 1000}}
    best = {"monitor": "val/accuracy", "mode": "max"}
    facts = {"parameters": 1000, "data": data, "directions": {"accuracy": "max"}, "best": best}
    rows = [
        {"trainer/global_step": n, "epoch": n, "val/accuracy": accuracy / (2 - n), "cpu_seconds": 9.5} for n in (0, 1)
    ]
    return {
        "init": {"name": f"{cell}-{seed}", "config": {**config, "facts": facts}},
        "rows": [*rows, {"trainer/global_step": 2, "test/accuracy": accuracy}],
        "summary": {"best/accuracy": accuracy, "tokens": 5000, "cpu_seconds": 10.0, "engine/0": "native"},
        "exit": exit,
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    scores = {("lstm", 1): 0.82, ("lstm", 2): 0.84, ("gru", 1): 0.80, ("gru", 2): 0.81}
    specs = [spec(*who, accuracy) for who, accuracy in scores.items()]
    return logged(tmp_path_factory.mktemp("logged"), *specs, spec("vanilla", 1, 0.7, exit=1))


def test_a_file_holds_what_wandbs_own_reader_finds_in_it(files):
    for path in files:
        found, known = read_wandb_file(path), records(path)
        rows = [
            {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for record in known
            if record.WhichOneof("record_type") == "history"
        ]
        (run,) = [record.run for record in known if record.WhichOneof("record_type") == "run"]
        assert found.history == rows and len(rows) == 3
        assert (found.id, found.name, found.project, found.entity) == (run.run_id, run.display_name, "zoo", "team")
        assert found.exit_code == (1 if "vanilla" in run.display_name else 0) and not found.notes
    read = subprocess.run(["wandb", "leet", "inspect", "--summary", "--json", path], capture_output=True, check=True)
    known = {name: value for name, value in json.loads(read.stdout)["summary"].items() if name[0] != "_"}
    assert {name: value for name, value in found.summary.items() if name[0] != "_"} == known


def test_files_are_compared_by_recipe_and_seed_and_a_failed_run_is_left_out(files):
    comparison = compare(files)
    assert [group.name for group in comparison.groups] == ["lstm", "gru"]
    assert [group.seeds for group in comparison.groups] == [[1, 2], [1, 2]]
    lstm = comparison.groups[0]
    assert lstm.scores["test/accuracy"].mean == pytest.approx(0.83) and lstm.engine == "native"
    assert {name: spread.mean for name, spread in lstm.costs.items() if spread.n} == {
        "parameters": 1000,
        "tokens": 5000,
        "cpu_seconds": 10,
    }
    assert [left.why for left in comparison.left_out] == ["it failed (exit code 1)"]
    curves = lstm.runs[0].read_curves("val")
    assert curves.along("step", "val/accuracy") == [(1, 0.41), (2, 0.82)]
    assert curves.along("cpu_seconds", "val/accuracy") == [(9.5, 0.41), (9.5, 0.82)]


def test_the_folder_of_wandb_stands_for_the_files_in_it(files):
    assert wandb_files(files[0].parent) == [files[0]]
    assert wandb_files(files[0].parent.parent) == sorted(files)
    assert [group.name for group in compare([files[0].parent.parent]).groups] == ["lstm", "gru"]


def test_a_run_of_rnnzoo_compares_from_its_file_as_from_its_folder(here, wandb):
    small = ["--data.examples", "80", "--trainer.max_epochs", "2", "--engine", "reference"]
    assert main(["fit", "quickstart", "--run_dir", "run", *small, "--trainer.enable_progress_bar", "false"]) == 0
    wandb.teardown()
    (file,) = Path("run").glob("wandb/offline-run-*/*.wandb")
    folder, run = read_run(Path("run")), compared(read_wandb_file(file))
    assert isinstance(run, WandbRun) and not isinstance(folder, str)
    assert (run.digest, run.seed, run.recipe) == (folder.digest, folder.seed, folder.recipe)
    assert run.settings == folder.settings
    assert run.scores == folder.scores
    assert (monitor(run), directions(run)) == (monitor(folder), directions(folder))
    check_alike([run, folder])
    for name in ("scoring", "versions", "parameters", "tokens"):
        assert run.facts[name] == folder.facts[name]
    for metric in ("val/loss", "train/loss", "test/accuracy"):
        assert run.curves.along("step", metric) == folder.curves.along("step", metric) != []


@pytest.mark.parametrize("step", [61])
def test_a_file_that_is_cut_short_gives_what_is_whole_and_says_so(step, files, tmp_path):
    data, whole = files[0].read_bytes(), read_wandb_file(files[0])
    path = tmp_path / "run-cut.wandb"
    counts = []
    for size in range(7, len(data), step):
        path.write_bytes(data[:size])
        part = read_wandb_file(path)
        counts.append(len(part.history))
        assert part.history == whole.history[: counts[-1]]
        assert part.exit_code is None or part.history == whole.history
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == 3
    path.write_bytes(data[: len(data) // 2])
    assert read_wandb_file(path).notes == ["it is cut short: what comes after is not seen"]
    (left,) = compare([path, files[1]]).left_out
    assert left.why == "it has not ended, or was killed; it is cut short: what comes after is not seen"


def test_a_changed_byte_loses_what_comes_after_it_and_no_more(files, tmp_path):
    data, whole = files[0].read_bytes(), read_wandb_file(files[0])
    path = tmp_path / "run-bad.wandb"
    for position in range(7, len(data), 41):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x5A]) + data[position + 1 :])
        part = read_wandb_file(path)
        assert part.history == whole.history[: len(part.history)] and part.notes


@pytest.mark.parametrize("data", [b"", b":W&", b"PK\x03\x04" + 100 * b"\0"])
def test_another_file_is_refused_by_name(data, tmp_path, capfd):
    path = tmp_path / "run-x.wandb"
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"run-x.wandb: it is no .wandb file"):
        read_wandb_file(path)
    assert main(["compare", str(path)]) == 2
    assert "it is no .wandb file" in capfd.readouterr().err


@pytest.mark.parametrize("message", [b"\x08", b"\x0a\x7f", b"\x0b", b"\xff" * 12, b"\x0a" + b"\xff" * 9 + b"\x01"])
def test_bytes_that_are_no_message_are_refused(message):
    with pytest.raises(ValueError):
        fields(message)


def test_a_config_that_is_nested_too_deeply_leaves_its_run_out(files, monkeypatch):
    nested: dict = {}
    for _ in range(5000):
        nested = {"a": nested}

    def read(path):
        found = read_wandb_file(path)
        if path == files[0]:
            found.config["model"] = nested
        return found

    monkeypatch.setattr("rnnzoo.compare.sources.read_wandb_file", read)
    assert [left.why for left in compare(files[:2]).left_out] == ["its config is nested too deeply"]


def test_parts_of_a_resumed_run_are_one_run(files):
    first, second = read_wandb_file(files[0]), read_wandb_file(files[1])
    second.id, second.started = first.id, "2099"
    (run,) = join([second, first, read_wandb_file(files[0])])
    assert len(run.history) == 6 and run.summary["best/accuracy"] == 0.84


def test_reading_a_file_imports_neither_wandb_nor_torch(files):
    script = "import sys; from rnnzoo.cli import main; main(['compare', *sys.argv[1:]]); "
    script += "print({'torch', 'lightning', 'wandb', 'pandas', 'google'} & {*sys.modules}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script, *map(str, files)], capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1] == "set()" and "lstm" in done.stdout
