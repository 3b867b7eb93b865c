"""What README.md prints is true: its scripts run, its commands and recipes resolve, its plugin works."""

import csv
import re
import shlex
from pathlib import Path

import pytest
import torch
from conftest import no_compiler
from test_registry import distribution

from rnnzoo import create_model, registry, runs
from rnnzoo import recipe as recipes
from rnnzoo.data.forms import fits, forms_of
from rnnzoo.data.sources.text_files import TextFiles
from rnnzoo.data.sources.toy_reviews import ToyReviews
from rnnzoo.experiment import build
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TINY = ("--data.examples=48", "--trainer.max_epochs=1", "--trainer.enable_progress_bar=false")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_first_screen_has_a_newcomers_two_commands():
    """One runs the main job, one the tests; `.ci/run` types the same words."""
    first_screen = blocks("console")[0]
    for words in ("pip install -e . && rnnzoo fit quickstart", "pip install -e '.[test]' && pytest"):
        assert words in first_screen


@pytest.mark.slow
def test_the_script_with_a_plain_trainer_runs(capsys):
    exec(compile(blocks("python")[0], "README.md", "exec"), {})
    assert "'label': 'positive'" in capsys.readouterr().out


def test_the_script_that_asks_a_trained_model_runs(trained, capsys):
    exec(compile(blocks("python")[1].replace("RUN", str(trained)), "README.md", "exec"), {})
    label, shapes = capsys.readouterr().out.splitlines()
    assert label in ("positive", "negative") and shapes == "torch.Size([8, 100, 128]) torch.Size([8, 128])"


def test_the_plugin_is_found_and_trains_and_computes_its_equations(tmp_path, monkeypatch):
    project = blocks("toml")[0]
    group, name, value = re.search(r'entry-points."(.+)"\]\n(\w+) = "(.+)"', project).groups()
    distribution_name, version = re.search(r'name = "(.+)"\nversion = "(.+)"', project).groups()
    distribution(tmp_path / "site", distribution_name, group, f"{name} = {value}", blocks("python")[2], version)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    recipe = resolve(recipes.read("quickstart", [*TINY, "--model.architecture.cell", name]))
    summary, _ = fit(recipe)
    assert summary["status"] == "finished" and summary["versions"][distribution_name] == version
    assert {(layer["cell"], layer["path"]) for layer in summary["engine"]} == {
        ("MGUCell", "reference" if no_compiler() else "native")
    }

    network = create_model("recurrent", 3, cell=name, hidden_size=4)
    cell, x, h = network.layers[0].cell, torch.randn(1, 5, 3), torch.zeros(1, 4)
    for t in range(5):
        (wf, wn), (uf, un) = cell.weight_ih.chunk(2), cell.weight_hh.chunk(2)
        (bf, bn), (cf, cn) = cell.bias_ih.chunk(2), cell.bias_hh.chunk(2)
        f = torch.sigmoid(x[:, t] @ wf.T + bf + h @ uf.T + cf)
        n = torch.tanh(x[:, t] @ wn.T + bn + f * (h @ un.T + cn))
        h = (1 - f) * h + f * n
    torch.testing.assert_close(network(x).last, h)


def commands() -> list[str]:
    """Those that name a recipe; one that resumes names a run (`tests/cli/test_resume.py`)."""
    shown = [line.partition("#")[0].removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    found = [shown_part.strip() for line in shown for shown_part in line.split("&&") if "rnnzoo fit" in shown_part]
    found += re.findall(r"`(rnnzoo fit [^`]+)`", README)
    return [command for command in found if "--resume" not in command]


@pytest.mark.parametrize("command", sorted({*commands()} - {"rnnzoo fit quickstart --model.architecture.cell mgu"}))
def test_a_command_names_a_recipe_and_keys_that_there_are(command):
    _, _, name, *overrides = shlex.split(command)
    flags = [word for word in overrides if word != "--print_config"]
    assert resolve(recipes.read(name, flags))["task"]["name"] == "sentiment"


def test_the_recipe_for_ones_own_data_reads_it(tmp_path):
    recipe = blocks("yaml")[0]
    (tmp_path / "mine.yaml").write_text(recipe)
    for name, part in {"reviews.csv": "train", "test.csv": "test"}.items():
        with open(name, "w", newline="") as file:
            rows = ToyReviews(16).read()[part]
            csv.writer(file).writerows([("text", "label"), *zip(rows["text"], rows["label"], strict=True)])
    found = resolve(recipes.read(Path("mine.yaml")))
    data = build.make_data(found)
    assert isinstance(data.source, TextFiles) and data.sizes["test"] == 4 and sum(data.sizes.values()) == 20


def table(header: str) -> list[list[str]]:
    """The rows of the table whose header begins so, as cells."""
    lines = README.partition(f"| {header} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [line.strip("|").split(" | ") for line in lines]


def names(*cells: str) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def ours(kind: str) -> set[str]:
    return {entry.name for entry in registry.entries(kind) if entry.distribution == registry.OWN_DISTRIBUTION}


def test_every_part_of_rnnzoo_is_in_a_table_and_no_other():
    cells, architectures = zip(*table("Cells"), strict=True)
    tasks, _, datasets, own = zip(*table("Task"), strict=True)
    assert names(*cells) == ours("cells") and names(*architectures) == ours("architectures")
    assert names(*tasks) == ours("tasks") and names(*datasets, *own) == ours("datasets")


@pytest.mark.parametrize("row", table("Task"), ids=lambda row: row[0].strip())
def test_a_task_takes_the_data_sets_beside_it(row):
    (task,) = names(row[0])
    for dataset in names(*row[2:]):
        wanted = registry.load("tasks", task).form
        assert any(fits(form, wanted) for form in forms_of(registry.load("datasets", dataset)))


def test_every_linked_page_is_there():
    pages = [*README.split("]("), *(ROOT / "CONTRIBUTING.md").read_text().split("](")]
    links = {link for page in pages if not (link := page.partition(")")[0]).startswith("http") and "\n" not in link}
    assert {"CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE"} <= links
    assert all((ROOT / link.partition("#")[0]).exists() for link in links if re.fullmatch(r"[\w./#-]+", link))


def test_the_printed_run_is_of_the_shipped_quickstart():
    """Its shape, not its speed: the parameters are those of the recipe, and the metrics those that a run reports."""
    printed = README.partition("```\nquickstart, seed 1\n")[2].partition("```")[0]
    told = dict(re.findall(r"^  (\S+) +(.+)$", printed, re.MULTILINE))
    recipe = resolve(recipes.read("quickstart"))
    data = build.make_data(recipe)
    parameters = sum(p.numel() for p in build.make_module(recipe, data.spec).model.parameters())
    assert told["parameters"] == f"{parameters:,}" and told["engine"] in ("LSTMCell: fused", "LSTMCell: native")
    assert {"test/accuracy", "best/accuracy", "W&B", "run"} <= told.keys() and told["run"].startswith(f"{runs.ROOT}/")
