"""The registry of parts, with real distributions: folders of a module and its metadata, made on the fly."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnnzoo import create_model, recipe, registry
from rnnzoo.batch import Batch, DataSpec
from rnnzoo.cells.base import Cell
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.errors import PluginError, RecipeError, UnknownName
from rnnzoo.experiment import build, facts
from rnnzoo.experiment.evaluate import evaluate
from rnnzoo.experiment.fit import fit, make_callbacks
from rnnzoo.experiment.resolver import resolve
from rnnzoo.inference import predictor
from rnnzoo.model import build_model
from rnnzoo.training.trainer import make_trainer

LEAKY = '''
"""A leaky integrator."""
from typing import Annotated, Literal

import torch
from torch import nn

from rnnzoo import Cell, StateSpec
from rnnzoo.limits import Limit


class LeakyCell(Cell):
    """h' = (1 - rate) * h + rate * f(W x + b + u * h); the second state counts the steps."""

    gates = ("h",)

    def __init__(
        self, input_size: int, hidden_size: int, rate: Annotated[float, Limit(0, 1)] = 0.5,
        squash: Literal["tanh", "relu"] = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.states = ("h", StateSpec("steps", (1,)))
        self.rate, self.squash = rate, getattr(torch, squash)
        self.u = nn.Parameter(torch.full((hidden_size,), 0.5))

    def step(self, gx, state):
        h, steps = state
        return (1 - self.rate) * h + self.rate * self.squash(gx + self.u * h), steps + 1
'''


@pytest.fixture(autouse=True)
def clean():
    """No plugin of another test is left."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("stranger"):
            del sys.modules[name]


def distribution(place: Path, name: str, group: str, line: str, source: str, version: str = "1.2") -> None:
    """Install a distribution of one module into a folder: a group's entry-point line, and the module's source."""
    info = place / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{line}\n")
    module = line.partition("=")[2].partition(":")[0].strip()
    (place / f"{module}.py").write_text(source)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """`install("rnnzoo-lru", "rnnzoo.cells", "lru = stranger:LRU", "...")`: a distribution where Python looks."""

    def run(name: str, group: str, line: str, source: str, folder: str = "") -> None:
        distribution(tmp_path / (folder or name), name, group, line, source)
        monkeypatch.syspath_prepend(str(tmp_path / (folder or name)))

    return run


def names(kind: str) -> dict[str, str]:
    return {entry.name: entry.distribution for entry in registry.entries(kind)}


# Strangers' parts


def test_a_strangers_cell_is_listed_known_and_loaded_with_its_distribution_and_version(install):
    install("rnnzoo-leaky", "rnnzoo.cells", "leaky = stranger_leaky:LeakyCell", LEAKY)
    (entry,) = [entry for entry in registry.entries("cells") if entry.name == "leaky"]
    assert entry == ("cells", "leaky", "rnnzoo-leaky", "1.2", "stranger_leaky:LeakyCell")
    assert registry.find("cell", "leaky") == entry
    assert "; leaky (rnnzoo-leaky)" in registry.known("cells")
    loaded = registry.load("cells", "leaky")
    assert loaded is sys.modules["stranger_leaky"].LeakyCell and issubclass(loaded, Cell)


def test_every_kind_of_part_may_come_from_a_stranger(install):
    for kind in registry.KINDS.values():
        install(f"x-{kind.plural}", kind.group, f"thing = stranger_{kind.plural}:Thing", "class Thing: ...\n")
    for kind in registry.KINDS:
        assert registry.load(kind, "thing").__module__ == f"stranger_{kind}"


def test_listing_imports_nothing(install):
    install("rnnzoo-bomb", "rnnzoo.cells", "bomb = stranger_bomb:Cell", "raise RuntimeError('imported')\n")
    assert names("cells")["bomb"] == "rnnzoo-bomb" and "bomb (rnnzoo-bomb)" in registry.known("cells")
    assert registry.find("cells", "bomb").value == "stranger_bomb:Cell" and "stranger_bomb" not in sys.modules


def test_the_registry_loads_no_torch():
    code = "import sys, rnnzoo.registry as r; [r.entries(k) for k in r.KINDS]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "rnnzoo.registry" in loaded and not {"torch", "lightning", "yaml", "numpy"} & set(loaded)


def test_rnnzoos_own_parts_are_entry_points_like_any_others():
    assert {"vanilla", "lstm", "gru"} <= names("cells").keys()
    assert {"recurrent", "bidirectional", "stacked", "encoder_decoder"} <= names("architectures").keys()
    assert {"sentiment", "next_word", "tagging", "translation"} <= names("tasks").keys()
    assert {"imdb", "text_files", "toy_reviews", "toy_tags", "toy_text", "toy_pairs"} <= names("datasets").keys()
    for kind in registry.KINDS:
        for entry in registry.entries(kind):
            if entry.distribution == registry.OWN_DISTRIBUTION:
                assert callable(registry.load(kind, entry.name))


def test_an_optimizer_may_be_a_function_and_a_cell_may_not(install):
    source = "def make(params, *, lr=0.1): ...\n"
    for kind in ("optimizers", "schedules", "callbacks"):
        install(f"x-{kind}", f"rnnzoo.{kind}", f"made = stranger_{kind}:make", source)
        assert registry.load(kind, "made").__name__ == "make"
    install("x-cells", "rnnzoo.cells", "made = stranger_cells:make", source)
    with pytest.raises(PluginError, match="not a class"):
        registry.load("cells", "made")


def test_what_is_offered_is_given_only_where_it_is_asked_for(install):
    source = "def asks(mode, *, size=1): return mode, size\ndef asks_nothing(*, size=1): return size\n"
    install(
        "x-asks", "rnnzoo.callbacks", "asks = stranger_asks:asks\nasks_nothing = stranger_asks:asks_nothing", source
    )
    offered = {"monitor": "val/loss", "mode": "min"}
    assert registry.build("callbacks", {"name": "asks", "size": 2}, **offered) == ("min", 2)
    assert registry.build("callbacks", {"name": "asks_nothing", "size": 3}, **offered) == 3


def test_what_is_installed_while_the_program_runs_is_seen_at_once(install):
    assert "late" not in names("cells")
    install("rnnzoo-late", "rnnzoo.cells", "late = stranger_late:Cell", "class Cell: ...\n")
    assert names("cells")["late"] == "rnnzoo-late"


# One name, two owners


def test_within_a_block_the_installed_parts_are_looked_up_once_and_those_of_the_program_each_time(install, monkeypatch):
    scans = []
    real = registry._installed
    monkeypatch.setattr(registry, "_installed", lambda: scans.append(1) or real())
    before = registry.entries("cells")
    with registry.scanned_once(), registry.scanned_once():
        assert registry.entries("cells") == before and len(scans) == 2
        registry.register("cell", "of_this_program", registry.load("cells", "lstm"))
        try:
            assert registry.find("cells", "of_this_program").distribution == registry.IN_PROCESS
        finally:
            registry.unregister("cell", "of_this_program")
    registry.entries("cells")
    assert len(scans) == 3


def test_a_name_with_two_owners_is_refused_with_both_and_told_apart_by_the_owner(install):
    for name in ("rnnzoo-one", "rnnzoo-two"):
        install(name, "rnnzoo.cells", f"twin = stranger_{name[-3:]}:Cell", "class Cell: ...\n")
    with pytest.raises(UnknownName, match="the cell name 'twin' is claimed by rnnzoo-one and rnnzoo-two") as error:
        registry.load("cells", "twin")
    assert "'rnnzoo-one:twin' or 'rnnzoo-two:twin'" in str(error.value)
    assert registry.load("cells", "rnnzoo-two:twin").__module__ == "stranger_two"
    assert registry.load("cells", "RNNzoo_One:twin").__module__ == "stranger_one"  # as package indexes compare names


def test_nobody_takes_the_place_of_a_part_of_ours_in_silence(install):
    install("rnnzoo-thief", "rnnzoo.cells", "lstm = stranger_thief:Cell", "class Cell: ...\n")
    with pytest.raises(UnknownName, match="claimed by rnnzoo and rnnzoo-thief"):
        registry.load("cells", "lstm")
    assert registry.load("cells", "rnnzoo:lstm").__module__ == "rnnzoo.cells.lstm"


def test_a_run_keeps_the_parts_that_it_was_trained_with_when_others_claim_their_names_later(install, tmp_path):
    small = ("--data.examples=20", "--trainer.max_epochs=1", "--tracking.mode=disabled", "--trainer.accelerator=cpu")
    found = resolve(recipe.read("toy_tags", (*small, "--model.architecture.cell=lstm")))
    summary, run = fit(found, tmp_path / "run")
    install("rnnzoo-thief", "rnnzoo.cells", "lstm = stranger_thief:Cell", "class Cell: ...\n")
    install("rnnzoo-other", "rnnzoo.tasks", "tagging = stranger_other:Task", "class Task: ...\n")
    again = evaluate(run.path, "test")
    assert again["test/accuracy"] == summary["metrics"]["test/accuracy"]
    assert predictor.load(run.path).predict(["the dog runs"])[0]["tags"]
    with pytest.raises(UnknownName, match="claimed by"):  # outside of a run, nobody has said which
        registry.load("cells", "lstm")


def test_another_distributions_part_of_the_same_name_is_named_where_a_run_is_read(install, caplog):
    install("rnnzoo-new", "rnnzoo.cells", "leaky = stranger_leaky:LeakyCell", LEAKY)
    old = {"kind": "cells", "name": "leaky", "distribution": "rnnzoo-old", "version": "1.0"}
    with registry.of_run([old]):
        assert registry.find("cells", "leaky").distribution == "rnnzoo-new"
    assert "cell 'leaky' of rnnzoo-old" in caplog.text and "rnnzoo-new" in caplog.text


def test_a_distribution_that_is_found_twice_is_listed_once(install, monkeypatch):
    for folder in ("first", "second"):
        install("rnnzoo-leaky", "rnnzoo.cells", "leaky = stranger_leaky:LeakyCell", LEAKY, folder=folder)
    assert [entry.name for entry in registry.entries("cells")].count("leaky") == 1
    monkeypatch.setattr(sys, "path", sys.path * 2)  # as some editable installs have it
    assert [entry.name for entry in registry.entries("cells")].count("leaky") == 1


# Broken ones


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import no_such_module_here\n", "ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("raise SystemExit('goodbye')\n", "SystemExit: goodbye"),
        ("raise ValueError('two\\nlines')\n", "ValueError: two\n"),
        ("def broken(:\n", "SyntaxError: invalid syntax"),
        ("class Other: ...\n", "AttributeError: module 'stranger_broken' has no attribute 'Cell'"),
    ],
)
def test_a_part_that_cannot_be_imported_is_named_with_its_owner_and_the_cause_and_stops_no_other(
    install, source, cause
):
    install("rnnzoo-broken", "rnnzoo.cells", "broken = stranger_broken:Cell", source)
    install("rnnzoo-leaky", "rnnzoo.cells", "leaky = stranger_leaky:LeakyCell", LEAKY)
    with pytest.raises(PluginError) as error:
        registry.load("cells", "broken")
    told = str(error.value)
    assert told.startswith("cannot import cell 'broken' of rnnzoo-broken 1.2 (stranger_broken:Cell): ")
    assert cause in told and "pip uninstall rnnzoo-broken" in told and len(told.splitlines()) <= 5
    assert error.value.__cause__ is not None
    assert registry.load("cells", "leaky").__name__ == "LeakyCell" and registry.load("cells", "lstm")


@pytest.mark.parametrize(
    ("described", "points"),
    [
        (b"Metadata-Version: 2.1\n", b"[rnnzoo.cells]\nbad = x:Y\n"),
        (b"Metadata-Version: 2.1\nName: x-bad\n", b"[rnnzoo.cells]\nbad = x:Y\n"),
        (None, b"[rnnzoo.cells]\nbad = x:Y\n"),
        (b"Name: x-bad\nVersion: 1\n", b"[rnnzoo.cells\nbad\xff = \n"),
    ],
    ids=["no name", "no version", "no metadata", "no text"],
)
def test_broken_metadata_of_one_distribution_are_named_once_and_stop_no_other(
    described, points, install, tmp_path, monkeypatch, caplog
):
    install("rnnzoo-leaky", "rnnzoo.cells", "leaky = stranger_leaky:LeakyCell", LEAKY)
    info = tmp_path / "site" / "x_bad-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_bytes(points)
    if described is not None:
        (info / "METADATA").write_bytes(described)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for _ in range(2):
        assert {"leaky", "lstm"} <= names("cells").keys() and "bad" not in names("cells")
    assert caplog.text.count("x_bad-1.0.dist-info is left out") == 1


def test_ctrl_c_during_an_import_is_still_ctrl_c(install):
    install("rnnzoo-slow", "rnnzoo.cells", "slow = stranger_slow:Cell", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        registry.load("cells", "slow")


def test_an_entry_point_that_names_an_instance_is_refused(install):
    install("rnnzoo-made", "rnnzoo.cells", "made = stranger_made:cell", "cell = object()\n")
    with pytest.raises(PluginError, match=r"cell 'made' of rnnzoo-made 1\.2 .* not a class"):
        registry.load("cells", "made")


# Which are seen


def test_plugins_can_be_left_out_all_or_but_for_some(install, monkeypatch):
    install("rnnzoo-leaky", "rnnzoo.cells", "leaky = stranger_leaky:LeakyCell", LEAKY)
    install("Other.Cells", "rnnzoo.cells", "other = stranger_other:Cell", "class Cell: ...\n")
    assert {"leaky", "other", "lstm"} <= names("cells").keys() and names("cells")["other"] == "other-cells"
    for wanted, seen in [("none", set()), ("", set()), ("rnnzoo-leaky", {"leaky"}), ("a, other_cells", {"other"})]:
        monkeypatch.setenv("RNNZOO_PLUGINS", wanted)
        assert names("cells").keys() & {"leaky", "other", "lstm"} == seen | {"lstm"}
    monkeypatch.setenv("RNNZOO_PLUGINS", "none")
    with pytest.raises(UnknownName, match="no cell is named 'leaky'"):
        registry.load("cells", "leaky")


def test_an_unknown_name_is_told_with_the_nearest_and_all_known_and_whose_they_are(install):
    install("rnnzoo-leaky", "rnnzoo.cells", "leaky = stranger_leaky:LeakyCell", LEAKY)
    with pytest.raises(UnknownName) as error:
        registry.load("cells", "lsmt")
    first, nearest, known, remedy = str(error.value).split("\n")
    assert first == "no cell is named 'lsmt'." and nearest == "  Did you mean 'lstm'?"
    assert (
        known.startswith("  Known cells: gru, ") and "lstm, lstm_projected" in known and "leaky (rnnzoo-leaky)" in known
    )
    assert remedy.endswith("appears in `rnnzoo list cells` once that package is installed.")
    with pytest.raises(UnknownName, match="no cell is named 'nobody:lstm'"):
        registry.load("cells", "nobody:lstm")
    with pytest.raises(UnknownName, match="no kind of part is named 'sells'"):
        registry.entries("sells")


# In this process


def test_a_class_can_be_named_for_this_process_and_named_again():
    class First: ...

    class Second: ...

    try:
        assert registry.register("cell", "mine", First) is First
        registry.register("cells", "mine", Second)
        assert registry.load("cells", "mine") is Second and names("cells")["mine"] == registry.IN_PROCESS
    finally:
        registry.unregister("cells", "mine")
    assert "mine" not in names("cells")


def test_an_instance_and_a_name_that_is_taken_are_refused():
    with pytest.raises(PluginError, match="Register the class, not an instance"):
        registry.register("cells", "mine", torch.nn.Identity())
    with pytest.raises(PluginError, match="cell 'lstm' is rnnzoo's already"):
        registry.register("cells", "lstm", torch.nn.Identity)


# A stranger's optimizer, schedule and callback in a recipe

TRAINING = """
from lightning.pytorch import Callback
from torch.optim import SGD
from torch.optim.lr_scheduler import ExponentialLR

class Slow(SGD):
    def __init__(self, params, lr: float = 0.01, rate: float = 2.0):
        super().__init__(params, lr=lr / rate)

class Counts(Callback):
    def __init__(self, monitor: str, start: int = 0):
        self.monitor, self.count = monitor, start

    def on_train_epoch_end(self, trainer, pl_module):
        self.count += 1
"""


def test_a_strangers_optimizer_schedule_and_callback_train_and_are_named_with_their_package(install, tmp_path):
    install("rnnzoo-slow", "rnnzoo.optimizers", "slow = stranger_slow:Slow", TRAINING)
    install("rnnzoo-fade", "rnnzoo.schedules", "fade = torch.optim.lr_scheduler:ExponentialLR", "")
    install("rnnzoo-counts", "rnnzoo.callbacks", "counts = stranger_slow:Counts", TRAINING)
    path = tmp_path / "mine.yaml"
    path.write_text(
        "base: quickstart\ndata: {examples: 20}\noptimizer: {name: slow, lr: 0.5}\nschedule: {name: fade, gamma: 0.5}\n"
        "callbacks: {counts: {start: 5}}\ntrainer: {max_epochs: 1, accelerator: cpu}\n"
    )
    found = resolve(recipe.read(path))
    assert found["optimizer"] == {"name": "slow", "lr": 0.5, "rate": 2.0}  # a rate of 2 is no dropout
    assert found["callbacks"] == {"counts": {"start": 5}}
    owners = {part["name"]: (part["distribution"], part["version"]) for part in facts.used_parts(found)}
    for name in ("slow", "fade", "counts"):
        assert owners[name] == (f"rnnzoo-{name}", "1.2")

    module, data = build.from_recipe(path)
    (counts,) = make_callbacks(found, module)
    trainer = make_trainer(found, callbacks=[counts])
    trainer.fit(module, data)
    assert (counts.count, counts.monitor) == (6, "val/accuracy")
    steps = trainer.global_step
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.25 * 0.5**steps)


def test_what_an_optimizer_refuses_is_a_mistake_of_the_recipe(install, tmp_path):
    install("rnnzoo-slow", "rnnzoo.optimizers", "slow = stranger_slow:Slow", TRAINING)
    module, data = build.from_recipe("quickstart", "--optimizer", "{name: slow, lr: -1}", "--trainer.accelerator=cpu")
    trainer = make_trainer({**resolve(recipe.read("quickstart"))}, accelerator="cpu")
    with pytest.raises(RecipeError, match=r"optimizer: 'slow' refuses its settings: Invalid learning rate: -0\.5"):
        trainer.fit(module, data)


def test_a_run_without_its_strangers_optimizer_says_what_to_install():
    part = {"kind": "optimizers", "name": "slow", "distribution": "rnnzoo-slow", "version": "1.2"}
    with (
        pytest.raises(
            PluginError, match=r"optimizer 'slow' of rnnzoo-slow 1\.2[^\n]*\n  Needed: pip install rnnzoo-slow==1\.2"
        ),
        registry.of_run([part]),
    ):
        pass


# A stranger's cell in a recipe

CELL = "{name: leaky, rate: 0.25, squash: relu}"
RECIPES = {
    "recurrent": ("toy_reviews, examples: 4", "sentiment", f"{{name: recurrent, cell: {CELL}, hidden_size: 5}}"),
    "bidirectional": ("toy_tags, examples: 4", "tagging", f"{{name: bidirectional, cell: {CELL}, hidden_size: 5}}"),
    "stacked": ("toy_text, examples: 4", "next_word", f"{{name: stacked, cell: {CELL}, hidden_size: 5}}"),
    "encoder_decoder": (
        *("toy_pairs, examples: 4", "translation"),
        f"{{name: encoder_decoder, cell: {CELL}, hidden_size: 5, encoder: {{name: stacked, bidirectional: true}}}}",
    ),
}


def resolved(tmp_path: Path, architecture: str) -> dict:
    data, task, model = RECIPES[architecture]
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"data: {{name: {data}}}\ntask: {task}\nmodel: {{architecture: {model}, inputs: {{tokens: {{size: 3}}}}}}\n"
    )
    return resolve(recipe.read(path))


@pytest.mark.parametrize("architecture", RECIPES)
def test_a_strangers_cell_with_parameters_of_its_own_works_in_every_architecture(install, tmp_path, architecture):
    install("rnnzoo-leaky", "rnnzoo.cells", "leaky = stranger_leaky:LeakyCell", LEAKY)
    found = resolved(tmp_path, architecture)
    assert found["model"]["architecture"]["cell"] == {"name": "leaky", "rate": 0.25, "squash": "relu"}
    assert facts.versions(found)["rnnzoo-leaky"] == "1.2"

    data = build.make_data(found)
    task = registry.load("tasks", found["task"]["name"])(data.spec)
    torch.manual_seed(0)
    model = build_model(data.spec, task, **found["model"]).eval()
    layers = [layer for layer in model.modules() if isinstance(layer, Recurrence)]
    assert {type(layer.cell).__name__ for layer in layers} == {"LeakyCell"}
    assert {layer.cell.rate for layer in layers} == {0.25}

    batch = next(iter(data.train_dataloader()))
    loss = task.loss(model, task.forward(model, batch), batch)
    loss.backward()
    assert torch.isfinite(loss) and {layer.ran.most_common(1)[0][0] for layer in layers} == {"reference"}
    assert all(parameter.grad is not None for layer in layers for parameter in layer.parameters())


def test_the_engine_runs_a_strangers_step_as_its_own_loop_would(install, tmp_path):
    install("rnnzoo-leaky", "rnnzoo.cells", "leaky = stranger_leaky:LeakyCell", LEAKY)
    cell = registry.load("cells", "leaky")(3, 5, rate=0.25)
    x = torch.randn(1, 4, 3)
    state = cell.initial_state(1, x)
    for t in range(4):
        _, state = cell(x[:, t], state)
    model = create_model("recurrent", 3, cell={"name": "leaky", "rate": 0.25}, hidden_size=5)
    model.layers[0].cell.load_state_dict(cell.state_dict())
    padded = torch.cat([x, torch.full((1, 2, 3), 1e6)], 1)
    encoded = model(padded, torch.tensor([4]))
    torch.testing.assert_close(encoded.last, state[0])
    torch.testing.assert_close(encoded.state[0], state)
    assert encoded.state[0][1].item() == 4


def test_a_strangers_parameters_are_checked_as_its_signature_types_them(install, tmp_path):
    install("rnnzoo-leaky", "rnnzoo.cells", "leaky = stranger_leaky:LeakyCell", LEAKY)
    path = tmp_path / "mine.yaml"

    def mistake(cell: str) -> str:
        model = f"{{architecture: {{name: recurrent, cell: {cell}}}}}"
        path.write_text(f"data: toy_reviews\ntask: sentiment\nmodel: {model}\n")
        with pytest.raises(RecipeError) as error:
            resolve(recipe.read(path))
        return str(error.value)

    assert "cell.rate: must be a number in [0, 1], got 2.0" in mistake("{name: leaky, rate: 2}")
    assert "cell.squash: must be one of tanh, relu, got 'tahn'" in mistake("{name: leaky, squash: tahn}")
    assert "Did you mean 'rate'?" in mistake("{name: leaky, rat: 0.5}")
    assert "cell.hidden_size: unknown key" in mistake("{name: leaky, hidden_size: 3}")


def test_a_batch_of_a_strangers_cell_answers_as_each_of_its_rows_alone(install, tmp_path):
    install("rnnzoo-leaky", "rnnzoo.cells", "leaky = stranger_leaky:LeakyCell", LEAKY)
    found = resolved(tmp_path, "recurrent")
    data = build.make_data(found)
    spec: DataSpec = data.spec
    model = build_model(spec, registry.load("tasks", "sentiment")(spec), **found["model"]).eval()
    batch = next(iter(data.train_dataloader()))
    assert len(set(batch.lengths.tolist())) > 1
    together = model.sequence_logits(batch)
    for row, length in enumerate(batch.lengths):
        alone = Batch({"tokens": batch.inputs["tokens"][row : row + 1, :length]}, batch.lengths[row : row + 1])
        torch.testing.assert_close(model.sequence_logits(alone)[0], together[row])
