"""Recipes: what is read, what is refused and in which words, and what is filled in."""

import contextlib
import json
import math
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnzoo import Source, recipe, registry
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.limits import Layers, Limit, Probability, Size
from rnnzoo.recipe import schema
from rnnzoo.recipe.schema import signature
from rnnzoo.recipe.sections import RunOptions
from rnnzoo.recipe.yaml_text import load_yaml
from rnnzoo.registry import Part
from rnnzoo.system import shipped

CellLike = Annotated[Any, Part("cells")]


class Films(Source):
    form = "labelled_text"

    def __init__(self, path: str = "films.csv", part: float = 1, languages: list[str] | None = None) -> None: ...


class Stream(Source):
    form = "text_stream"


class Verdict:
    form, needs, needs_reason = "labelled_text", "many_to_one", "a film has one verdict"

    def __init__(self, spec: Any, label_smoothing: float = 0.0) -> None: ...


class NextWord:
    form, needs, needs_reason = "text_stream", "causal", "the next word must not be seen"

    def __init__(self, spec: Any) -> None: ...


class Plain:
    def __init__(self, input_size: int, hidden_size: int, init: Literal["uniform", "zero"] = "uniform") -> None: ...


class Forgetful(Plain):
    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)


class Zero(Plain):
    """A preset: what it fixes is no parameter of its own."""

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size, init="zero", **options)


class Around:
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        rate: Annotated[float, Limit(0, 0.5)],
        cell: CellLike = "plain",
        squash: Callable[[float], float] = math.tanh,
        sizes: list[int] | int | None = None,
    ) -> None: ...


class OneWay:
    def __init__(
        self,
        input_size: Size,
        cell: CellLike = "plain",
        hidden_size: Size = 16,
        num_layers: Layers = 1,
        dropout: Probability = 0,
    ) -> None: ...

    @classmethod
    def answers(cls, **parameters: Any) -> frozenset[str]:
        return frozenset({"many_to_one", "many_to_many", "causal"})


class BothWays(OneWay):
    @classmethod
    def answers(cls, **parameters: Any) -> frozenset[str]:
        return frozenset({"many_to_one", "many_to_many"})


class Nested(OneWay):
    def __init__(
        self,
        input_size: int,
        encoder: Annotated[Any, Part("architectures")] = "both_ways",
        cell: CellLike = "plain",
        hidden_size: Size = 16,
        more: list[CellLike] | None = None,
    ) -> None: ...


PARTS = {
    "cells": {"plain": Plain, "forgetful": Forgetful, "zero": Zero, "around": Around},
    "architectures": {"one_way": OneWay, "both_ways": BothWays, "nested": Nested},
    "tasks": {"verdict": Verdict, "guess": NextWord},
    "datasets": {"films": Films, "lines": Stream},
}


@pytest.fixture(autouse=True)
def parts():
    for kind, classes in PARTS.items():
        for name, cls in classes.items():
            registry.register(kind, name, cls)
    yield
    for kind, classes in PARTS.items():
        for name in classes:
            registry.unregister(kind, name)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


HEAD = "data: films\ntask: verdict\n"


def written(text: str, name: str = "r.yaml") -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")
    return name


def read(text: str, *overrides: str) -> dict[str, Any]:
    return recipe.read(written(text), overrides).data


def resolved(text: str, *overrides: str) -> dict[str, Any]:
    return resolve(recipe.read(written(text), overrides))


def mistakes(text: str, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        resolved(text, *overrides)
    return caught.value.messages


def mistake(text: str, *overrides: str) -> str:
    (only,) = mistakes(text, *overrides)
    return only


def model(cell: str) -> str:
    return HEAD + f"model:\n  architecture:\n    name: one_way\n    cell: {cell}\n"


# Finding and reading


def test_shipped_recipes_lie_inside_an_installed_package_or_beside_an_editable_one(folder, monkeypatch):
    package = folder / "site" / "rnnzoo"
    monkeypatch.setattr(shipped, "PACKAGE", package)
    written(HEAD, "site/recipes/other_project.yaml")
    assert recipe.shipped() == {}  # a folder beside an installed package is somebody else's
    written("", "site/pyproject.toml")
    assert recipe.shipped().keys() == {"other_project"}
    written(HEAD, "site/rnnzoo/recipes/lectures/a.yaml")
    assert recipe.shipped() == {"lectures/a": package / "recipes" / "lectures" / "a.yaml"}
    assert recipe.read("lectures/a").name == "a"


def test_an_unknown_recipe_is_answered_with_the_nearest_one(folder, monkeypatch):
    monkeypatch.setattr(
        "rnnzoo.recipe.reading.shipped", lambda: {"imdb_bilstm": folder / "x.yaml", "ptb": folder / "y.yaml"}
    )
    for asked, told in [
        ("imdb_bilstmm", "Did you mean 'imdb_bilstm'?"),
        ("recipes/imdb_bilstm.yaml", "'imdb_bilstm' comes with rnnzoo"),
        (".", "not a regular file"),
        ("x" * 5000, "not a path"),
    ]:
        with pytest.raises(RecipeError, match=re.escape(told)):
            recipe.read(asked)


def test_reading_and_listing_import_nothing_heavy():
    code = (
        "import sys; from rnnzoo import recipe; recipe.shipped(); recipe.read('r.yaml', ['--model.pooling', 'max']);"
        "print(sorted({'torch', 'lightning', 'jsonargparse', 'wandb', 'datasets'} & set(sys.modules)))"
    )
    written(HEAD)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


REFUSED = {
    "a: 1\nb:\n  c: 1\n  c: 2\n": "r.yaml:4: b.c: given twice, first in line 3.",
    "a: &x [1]\nb: *x\n": "r.yaml:1: anchors (&) and aliases (*) are not allowed.",
    "a: !!python/object/apply:os.system [x]\n": "r.yaml:1: the tag !!python/object/apply:os.system is not allowed.",
    "a: !mine 3\n": "r.yaml:1: the tag !mine is not allowed.",
    "\na: [1\nb: 2\n": "r.yaml:3: not YAML: ",
    "a: \0b\n": "r.yaml: not YAML: ",
    "": "r.yaml: the recipe is empty.",
    "# only a comment\n": "r.yaml: the recipe is empty.",
    "- a\n": "r.yaml: the recipe is not a mapping of sections.",
    "text": "r.yaml: the recipe is not a mapping of sections.",
    "a: 1\n---\nb: 2\n": "r.yaml:2: a second document (---); a recipe is one.",
    '"\\e[31m\\n": 1\n': r"r.yaml:1: a key must be printable, got '\x1b[31m\n'.",
    "? [a]\n: 1\n": "r.yaml:1: a key must be a word, not a list or a mapping.",
    "a: " + "[" * 200_000: "r.yaml:1: nested more than 50 levels deep.",
    "a: [" + "1," * 11_000 + "]": "r.yaml:1: more than 10000 values, which no recipe has.",
    "a: " + "x" * 300_000: "r.yaml: larger than 256 KB, which no recipe is.",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:20]))
def test_what_is_no_safe_recipe_is_refused_with_its_line(text):
    with pytest.raises(RecipeError) as caught:
        read(text)
    assert caught.value.messages[0].startswith(REFUSED[text])
    assert all(message.count("\n") < 5 for message in caught.value.messages)


def test_bytes_that_are_not_utf8_are_named():
    Path("r.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(RecipeError, match=r"r\.yaml:2: not UTF-8: byte 0xe9 at offset 11"):
        recipe.read("r.yaml")


def test_a_byte_order_mark_and_windows_lines_are_fine():
    Path("r.yaml").write_bytes(b"\xef\xbb\xbfseed: 3\r\nname: a\r\n")
    assert recipe.read("r.yaml").data == {"seed": 3, "name": "a"}


def test_all_duplicate_keys_are_told_at_once():
    with pytest.raises(RecipeError) as caught:
        read("a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert caught.value.messages == (
        "r.yaml:2: a: given twice, first in line 1.",
        "r.yaml:3: b.c: given twice, first in line 3.",
    )


# Bases and overrides


def test_maps_merge_and_lists_replace():
    written("tracking: {tags: [a, b], group: g}\ntrainer: {max_epochs: 3}\n", "base.yaml")
    assert read("base: base.yaml\ntracking: {tags: [c]}\ntrainer: {max_steps: 9}\n") == {
        "tracking": {"tags": ["c"], "group": "g"},
        "trainer": {"max_epochs": 3, "max_steps": 9},
    }


def test_of_several_bases_the_later_one_wins_and_the_recipe_over_both():
    written("seed: 1\ntrainer: {max_epochs: 1}\n", "a.yaml")
    written("seed: 2\ntrainer: {max_steps: 2}\n", "b.yaml")
    assert read("base: [a.yaml, b.yaml]\n") == {"seed": 2, "trainer": {"max_epochs": 1, "max_steps": 2}}
    assert read("base: [a.yaml, b.yaml]\nseed: 3\n")["seed"] == 3


def test_a_base_is_found_beside_the_recipe_that_names_it_or_by_its_shipped_name(monkeypatch):
    written("seed: 7\n", "deep/er/base.yaml")
    written("base: er/base.yaml\n", "deep/middle.yaml")
    assert read("base: deep/middle.yaml\n") == {"seed": 7}
    monkeypatch.setattr("rnnzoo.recipe.reading.shipped", lambda: {"known": Path("deep/er/base.yaml")})
    assert read("base: known\n") == {"seed": 7}


def test_a_recipe_is_named_after_its_own_file_and_not_after_its_base():
    written(HEAD + "name: parent\n", "base.yaml")
    assert resolved("base: base.yaml\n")["name"] == "r"
    assert resolved("base: base.yaml\nname: child\n")["name"] == "child"


def test_a_circle_of_bases_is_refused():
    written("base: r.yaml\n", "b.yaml")
    with pytest.raises(
        RecipeError, match=re.escape("b.yaml:1: base: the recipe is a base of itself: r.yaml -> b.yaml")
    ):
        read("base: b.yaml\n")


def test_two_bases_with_one_base_are_no_circle_but_their_number_is_bounded():
    written("seed: 1\n", "0.yaml")
    for level in range(1, 12):
        written(f"base: [{level - 1}.yaml, {level - 1}.yaml]\n", f"{level}.yaml")
    assert read("base: 2.yaml\n") == {"seed": 1}
    with pytest.raises(RecipeError, match="more than 50 files"):
        read("base: 11.yaml\n")


def test_a_missing_base_is_told_with_the_line_that_names_it():
    with pytest.raises(RecipeError, match=re.escape("r.yaml:2: base: there is no recipe file 'no.yaml'.")):
        read("seed: 1\nbase: no.yaml\n")


LSTM = "model: {architecture: {name: one_way, cell: {name: forgetful, forget_bias: 2.0}, hidden_size: 8}}\n"


@pytest.mark.parametrize(
    ("over", "cell"),
    [
        (["--model.architecture.cell", "plain"], {"name": "plain"}),
        (["--model.architecture.cell.name", "plain"], {"name": "plain"}),
        (["--model.architecture.cell={name: plain}"], {"name": "plain"}),
        (["--model.architecture.cell", "forgetful"], {"name": "forgetful", "forget_bias": 2.0}),
        (["--model.architecture.cell.forget_bias", "-3"], {"name": "forgetful", "forget_bias": -3}),
        (["--model.architecture.cell.rate=0.1", "--model.architecture.cell=around"], {"name": "around", "rate": 0.1}),
        (
            ["--model.architecture.cell", "around", "--model.architecture.cell.rate", "0.1"],
            {"name": "around", "rate": 0.1},
        ),
    ],
    ids=str,
)
def test_another_part_takes_the_place_of_the_old_ones_parameters(over, cell):
    architecture = read(LSTM, *over)["model"]["architecture"]
    assert architecture == {"name": "one_way", "cell": cell, "hidden_size": 8}


def test_a_recipe_replaces_a_bases_part_as_the_command_line_does():
    written(LSTM, "base.yaml")
    changed = read("base: base.yaml\nmodel: {architecture: {cell: plain}}\n")
    assert changed["model"]["architecture"] == {"name": "one_way", "cell": {"name": "plain"}, "hidden_size": 8}
    kept = read("base: base.yaml\nmodel: {architecture: {cell: {forget_bias: 0}}}\n")
    assert kept["model"]["architecture"]["cell"] == {"name": "forgetful", "forget_bias": 0}


def test_another_data_set_of_the_same_form_keeps_what_the_base_says_of_the_form(tmp_path, caplog):
    own = tmp_path / "mine.yaml"
    own.write_text("base: shakespeare_lstm\ndata: {name: text_lines, train: novel.txt, batch_size: 8}\n")
    resolved = resolve(recipe.read(own))
    assert {key: resolved["data"][key] for key in ("name", "unit", "tbptt_steps", "batch_size")} == {
        "name": "text_lines",
        "unit": "character",
        "tbptt_steps": 64,
        "batch_size": 8,
    }
    assert resolved["tracking"]["group"] is None and not caplog.messages
    command_line = resolve(recipe.read("shakespeare_lstm", ["--data.name=text_lines", "--data.train=novel.txt"]))
    assert command_line["data"] == resolved["data"] | {"batch_size": 32}
    own.write_text("base: multi30k_ende\ndata: {name: pair_files, train: train, source: fr, target: it}\n")
    resolved = resolve(recipe.read(own))
    assert resolved["data"]["joint_vocabulary"] and resolved["data"]["unit"] == "subword"


def test_what_a_base_said_of_a_part_that_is_replaced_is_not_dropped_in_silence(tmp_path, caplog):
    own = tmp_path / "mine.yaml"
    own.write_text("base: mnist_rows\ndata: {name: adding, batch_size: 8}\ntask: regression\n")
    resolved = resolve(recipe.read(own))
    assert resolved["data"]["name"] == "adding"
    own.write_text("base: quickstart\ndata: adding\ntask: regression\n")
    assert resolve(recipe.read(own))["model"]["inputs"] == {"values": {"name": "values", "shift": 0}}
    assert "mine: the data have no field 'tokens'; the base's model.inputs.tokens is left out." in caplog.messages
    own.write_text("base: multi30k_ende\ndata: toy_reviews\ntask: sentiment\nmodel: {architecture: lstm}\n")
    with contextlib.suppress(RecipeError):
        resolve(recipe.read(own))
    assert any("'toy_reviews' replaces the base's 'multi30k'" in m and "joint_vocabulary" in m for m in caplog.messages)
    assert any("'sentiment' replaces the base's 'translation'" in m and "beam" in m for m in caplog.messages)


def test_a_bare_name_gains_parameters_from_an_override():
    assert read("data: films\n", "--data.part", "0.5")["data"] == {"name": "films", "part": 0.5}


def test_override_values_are_yaml_and_the_last_one_wins():
    words = ["--a.b", "2", "--a.c=-3", "--a.d", "[x, 1]", "--e", "{f: null}", "--g", "a: b", "--a.b=", "--h", "-1.5"]
    assert read("a: {b: 1}\n", *words) == {
        "a": {"b": None, "c": -3, "d": ["x", 1]},
        "e": {"f": None},
        "g": "a: b",
        "h": -1.5,
    }


def test_mistaken_overrides_are_told_together_with_how_to_write_them():
    with pytest.raises(RecipeError) as caught:
        read("a: 1\n", "oops", "--a..b=3", "--x", "[1", "--x", "*y", "--base", "b", "--flag", "--last")
    firsts = [message.partition("\n")[0] for message in caught.value.messages]
    assert firsts == [
        "command line: unexpected argument 'oops'.",
        "command line: unexpected argument '--a..b=3'.",
        "command line: x: not YAML: expected ',' or ']', but got '<stream end>'.",
        "command line: x: anchors (&) and aliases (*) are not allowed.",
        "command line: base: belongs in a recipe's file.",
        "command line: flag: no value.",
        "command line: last: no value.",
    ]
    assert "--flag VALUE (true or false for a switch)" in caught.value.messages[5]


# Resolving


def test_every_default_is_filled_in():
    found = resolved(HEAD)
    assert list(found) == [
        "format",
        "name",
        "seed",
        "engine",
        "data",
        "task",
        "model",
        "optimizer",
        "schedule",
        "trainer",
        "callbacks",
        "bad_numbers",
        "checkpoint",
        "tracking",
    ]
    assert found["name"] == "r" and found["seed"] == 1 and found["engine"] == "auto" and found["callbacks"] == {}
    assert (
        found["data"]["name"] == "films" and found["data"]["path"] == "films.csv" and found["data"]["batch_size"] == 64
    )
    assert found["task"] == {"name": "verdict", "label_smoothing": 0.0}
    assert found["optimizer"]["name"] == "adamw" and found["schedule"] == {"name": "constant", "warmup": 0.0}
    assert found["trainer"]["devices"] == 1 and found["tracking"]["tags"] == []
    assert {"name", "cell", "hidden_size"} <= found["model"]["architecture"].keys()


def test_inner_parts_are_complete_too():
    architecture = resolved(model("{name: around, rate: 0.1, cell: forgetful}"))["model"]["architecture"]
    inner = {"name": "forgetful", "forget_bias": 1.0, "init": "uniform"}
    assert architecture == {
        "name": "one_way",
        "cell": {"name": "around", "rate": 0.1, "cell": inner, "sizes": None},
        "hidden_size": 16,
        "num_layers": 1,
        "dropout": 0.0,
    }


def test_an_inner_architecture_takes_cell_and_size_from_the_outer_one_unless_it_names_its_own():
    nested = "model: {architecture: {name: nested, cell: forgetful, hidden_size: 5, encoder: %s}}\n"
    found = resolved(HEAD + nested % "{name: one_way, hidden_size: 7}")["model"]["architecture"]
    assert found["encoder"]["hidden_size"] == 7
    assert found["encoder"]["cell"] == found["cell"] == {"name": "forgetful", "forget_bias": 1.0, "init": "uniform"}
    found = resolved(HEAD + nested % "both_ways")["model"]["architecture"]
    assert found["encoder"]["hidden_size"] == 5 and found["encoder"]["cell"]["name"] == "forgetful"


def test_a_list_of_parts_is_a_list_of_components():
    found = resolved(HEAD + "model: {architecture: {name: nested, more: [plain, {name: zero}]}}\n")
    assert found["model"]["architecture"]["more"] == [{"name": "plain", "init": "uniform"}, {"name": "zero"}]
    assert "more[1]: no cell is named 'zeros'" in mistake(
        HEAD + "model: {architecture: {name: nested, more: [plain, zeros]}}\n"
    )


def test_parameters_that_a_class_passes_on_are_its_own_unless_it_fixes_them():
    assert resolved(model("{name: forgetful, init: zero}"))["model"]["architecture"]["cell"]["init"] == "zero"
    assert "cell.init: unknown key" in mistake(model("{name: zero, init: zero}"))


def test_parameters_that_are_code_cannot_be_set():
    assert "cell.squash: unknown key" in mistake(model("{name: around, rate: 0.1, squash: math.tanh}"))


@pytest.mark.parametrize(
    ("key", "written_as", "value"),
    [
        ("optimizer.lr", "1e-3", 0.001),
        ("optimizer.lr", "1", 1.0),
        ("trainer.limit_train_batches", "1", 1),
        ("trainer.limit_train_batches", "1.0", 1.0),
        ("trainer.devices", "auto", "auto"),
        ("trainer.devices", "-1", -1),
        ("trainer.devices", "[0, 1]", [0, 1]),
        ("trainer.fast_dev_run", "2", 2),
        ("trainer.fast_dev_run", "true", True),
        ("trainer.deterministic", "off", False),
        ("trainer.gradient_clip_val", "null", None),
        ("tracking.tags", "[a, 'no']", ["a", "no"]),
        ("data.path", "'12'", "12"),
        ("model.architecture.cell.sizes", "[1, 2]", [1, 2]),
    ],
)
def test_values_take_the_type_of_their_parameter(key, written_as, value):
    found: Any = resolved(model("{name: around, rate: 0.1}"), f"--{key}={written_as}")
    for part in key.split("."):
        found = found[part]
    assert found == value and type(found) is type(value)


def test_the_command_line_has_no_types_so_a_number_may_be_text_there():
    found = resolved(HEAD, "--tracking.project", "on", "--tracking.group=12", "--name", "007")
    assert (found["tracking"]["project"], found["tracking"]["group"], found["name"]) == ("on", "12", "007")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("seed: true", "seed: must be a whole number in ["),
        ("seed: 1.5", "seed: must be a whole number in ["),
        ("seed: -1", "seed: must be a whole number in ["),
        ("seed:", "seed: must be a whole number in [0, 4294967295], got null."),
        ("engine: fusd", "deferred, reference, got 'fusd'.\n  Did you mean 'fused'?"),
        ("optimizer: {lr: .nan}", "optimizer.lr: must be a number > 0, got nan."),
        ("optimizer: {lr: .inf}", "optimizer.lr: must be a number > 0, got inf."),
        ("optimizer: {lr: nan}", "optimizer.lr: must be a number > 0, got 'nan'."),
        ("optimizer: {lr: 0}", "optimizer.lr: must be a number > 0, got 0.0."),
        ("optimizer: {beta1: 1.0}", "optimizer.beta1: must be a number in [0, 1), got 1.0."),
        ("optimizer: {name: 3}", "optimizer.name: must be a registered name, got 3."),
        ("optimizer: [adam]", 'optimizer: must be a name, or a mapping with a name, got ["adam"].'),
        ("trainer: {max_epochs: 010}", "got '010'.\n  YAML 1.1 reads 010, with its leading zero, as octal"),
        ("trainer: {max_epochs: '[1]'}", "trainer.max_epochs: must be a whole number >= 1, got '[1]'."),
        ("trainer: {precision: 16}", "got 16.\n  Did you mean '16-mixed'?"),
        ("trainer: {devices: 0}", "a whole number >= 1, -1, auto or a list, each item a whole number >= 0, got 0."),
        ("trainer: {devices: [0, -1]}", "trainer.devices: must be "),
        ("trainer: {limit_val_batches: 1.5}", "must be a whole number >= 0, a number in [0, 1] or null, got 1.5."),
        ("trainer: fast", "trainer: must be a mapping, got 'fast'."),
        ("model: {head: {dropout: 1.5}}", "model.head.dropout: must be a number in [0, 1), got 1.5."),
        (
            "model: {head: {dropout: 12:30:45}}",
            "got '12:30:45'.\n  YAML 1.1 would read 12:30:45 as a number in base 60",
        ),
        ("tracking: {project: no}", 'got false.\n  YAML 1.1 reads no as false; as text, it is written "no".'),
        ("tracking: {tags: [en, no]}", 'YAML 1.1 reads no as false; as text, it is written "no".'),
        ("tracking: {group: 2024}", "must be text or null, got 2024.\n  A number or date that is meant as text"),
        ("callbacks: {early_stoping: {}}", "no callback is named 'early_stoping'.\n  Did you mean 'early_stopping'?"),
        ("callbacks: {swa: {}}", "callbacks.swa.lr: missing; it must be a number > 0."),
        ("schedule: one_cicle", "schedule: no schedule is named 'one_cicle'.\n  Did you mean 'one_cycle'?"),
        ("name: a/b", "name: must be 1 to 100 printable characters without / and \\"),
        ("name: ..", "name: must be 1 to 100 printable characters"),
        ("model: {architecture: {name: both_ways, hidden_size: 2.5}}", "hidden_size: must be a whole number in [1,"),
        ('optimizer: "a\\eb"', r"optimizer.name: must be a registered name, got 'a\x1bb'."),
        ("model: {architecture: {cell: plain}}", "model.architecture: needs a name."),
        ("model: {architecture: {name: one_way, cell: around}}", "rate: missing; it must be a number in [0, 0.5]."),
        ("model: {architecture: {name: one_way, cell: {name: around, rate: 1}}}", "rate: must be a number in [0, 0.5]"),
        ("model: {architecture: {name: one_way, cell: no}}", "must be a name, or a mapping with a name, got false."),
        ("x: 1" + "0" * 5000, "x: unknown key."),
    ],
)
def test_a_wrong_value_is_told_with_its_line_its_range_and_the_likely_cause(line, told):
    message = mistake(HEAD + line + "\n")
    assert told in message and message.startswith("r.yaml:3: ") and message.count("\n") < 5


def test_a_misspelt_key_is_told_with_the_nearest_and_the_known_ones():
    message = mistake(HEAD + "model:\n  architecture:\n    name: one_way\n    hidden_siz: 128\n")
    assert message == (
        "r.yaml:6: model.architecture.hidden_siz: unknown key.\n"
        "  Did you mean 'hidden_size'?\n"
        "  Known: cell, dropout, hidden_size, name, num_layers."
    )


def test_a_key_in_the_wrong_section_is_told_where_it_belongs():
    assert "Did you mean 'model.architecture.num_layers'?" in mistake(HEAD + "model: {num_layers: 2}\n")


def test_all_mistakes_come_at_once_in_the_order_of_the_file():
    text = (
        "data: {name: films, batch_size: 0, vocab: 3}\n"
        "task: verdict\n"
        "model:\n"
        "  architecture: {name: one_way, cell: lsmt}\n"
        "  head: {dropout: 2}\n"
        "modle: {}\n"
        "optimizer: {name: adm}\n"
    )
    found = mistakes(text, "--trainer.max_epoch", "3")
    places = [message.partition("\n")[0].split(": ")[:2] for message in found]
    assert sorted(places[:2]) == [["r.yaml:1", "data.batch_size"], ["r.yaml:1", "data.vocab"]]
    assert places[2:] == [
        ["r.yaml:4", "model.architecture.cell"],
        ["r.yaml:5", "model.head.dropout"],
        ["r.yaml:6", "modle"],
        ["r.yaml:7", "optimizer"],
        ["command line", "trainer.max_epoch"],
    ]
    assert all(message.count("\n") < 5 for message in found)


def test_a_mistake_in_a_base_is_told_with_the_bases_own_line():
    written("\n\ntrainer: {max_epochs: 0}\n", "base.yaml")
    assert mistake("base: base.yaml\n" + HEAD).startswith("base.yaml:3: trainer.max_epochs: must be ")


def test_data_and_task_must_be_there():
    first, second = mistakes("seed: 1\n")
    assert first.startswith("r.yaml: data: missing.\n  Known datasets: ") and second.startswith(
        "r.yaml: task: missing."
    )


def test_callbacks_take_defaults_parameters_or_no_for_an_answer():
    written(HEAD + "callbacks: {early_stopping: {patience: 2}, lr_monitor: true}\n", "base.yaml")
    found = resolved("base: base.yaml\ncallbacks: {early_stopping: {min_delta: 0.1}, lr_monitor: no, ema:}\n")
    assert found["callbacks"] == {"early_stopping": {"patience": 2, "min_delta": 0.1}, "ema": {"decay": 0.999}}


def test_callbacks_are_built_from_their_settings_and_the_tasks_metric():
    found = resolved(HEAD + "callbacks: {early_stopping: {patience: 2}, ema: {decay: 0.5}, lr_monitor:}\n")
    stop, ema, rates = (
        registry.build("callbacks", {"name": name, **settings}, monitor="val/f1", mode="max")
        for name, settings in found["callbacks"].items()
    )
    assert (stop.monitor, stop.mode, stop.patience, ema.decay) == ("val/f1", "max", 2, 0.5)
    assert rates.interval == "step"
    swa = resolved(HEAD + "callbacks: {swa: {lr: 0.1}}\n")["callbacks"]["swa"]
    assert type(registry.build("callbacks", {"name": "swa", **swa})).__name__ == "SWA"


@pytest.mark.parametrize(("one", "other"), [("ema", "nt_asgd"), ("ema", "swa"), ("nt_asgd", "swa")])
def test_one_average_of_the_weights_is_kept(one, other):
    settings = {"swa": "{lr: 0.1}"}
    first, second = (f"{name}: {settings.get(name, 'true')}" for name in (one, other))
    (told,) = mistakes(HEAD + f"callbacks: {{{first}, {second}}}\n")
    assert f"callbacks: {one} and {other} each take the model's weights for their own averages." in told
    resolved(HEAD + f"callbacks: {{{first}, {other}: false}}\n")


def test_every_trainer_option_is_one_of_lightnings():
    from lightning.pytorch import Trainer

    options = resolved(HEAD)["trainer"]
    assert options.pop("exact") is False  # the one of rnnzoo's own
    trainer = Trainer(**options | {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"})
    assert trainer.max_epochs == 5 and trainer.num_devices == 1


# Parts of others


def distribution(folder: Path, name: str, cells: str, module: str, monkeypatch) -> None:
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[rnnzoo.cells]\n{cells}\n")
    (folder / f"{name.replace('-', '_')}.py").write_text(module)
    monkeypatch.syspath_prepend(str(folder))


def test_a_part_that_cannot_be_imported_is_one_mistake_among_others(folder, monkeypatch):
    distribution(folder, "rnnzoo-broken", "broken = rnnzoo_broken:Cell", "import no_such_module_here\n", monkeypatch)
    first, second = mistakes(HEAD + "model: {architecture: {name: one_way, cell: broken}}\nseed: x\n")
    assert first.startswith("r.yaml:3: model.architecture.cell: cannot import cell 'broken' of rnnzoo-broken 1.0")
    assert "ModuleNotFoundError" in first and second.startswith("r.yaml:4: seed: ")


def test_a_name_that_two_packages_claim_is_told_apart_by_the_package(folder, monkeypatch):
    module = "class Cell:\n    def __init__(self, input_size: int, hidden_size: int, tau: float = 1.0): ...\n"
    for name in ("rnnzoo-one", "rnnzoo-two"):
        distribution(folder, name, f"twin = {name.replace('-', '_')}:Cell", module, monkeypatch)
    assert "claimed by rnnzoo-one and rnnzoo-two" in mistake(model("twin"))
    found = resolved(model("{name: 'rnnzoo-two:twin', tau: 2}"))
    assert found["model"]["architecture"]["cell"] == {"name": "rnnzoo-two:twin", "tau": 2.0}
    assert resolve(recipe.of(found)) == found


def test_a_data_set_with_its_forms_parameters_or_no_known_form_is_refused():
    class Doubled(Films):
        def __init__(self, batch_size: int = 3) -> None: ...

    class Formless:
        form = "labeled_text"

    for cls, told in [
        (Doubled, "has parameters that its form labelled_text has: batch_size"),
        (Formless, "Did you mean"),
    ]:
        registry.register("datasets", "odd", cls)
        assert told in mistake("data: odd\ntask: verdict\n")
    registry.unregister("datasets", "odd")


def test_a_part_that_requires_code_is_refused_by_name():
    class Needy:
        def __init__(self, input_size: int, hidden_size: int, act: Callable[[float], float]) -> None: ...

    registry.register("cells", "needy", Needy)
    assert "the parameters of 'needy' (this process) cannot be read: 'act' is required" in mistake(model("needy"))
    registry.unregister("cells", "needy")


imports: list[str] = []
listening = False


def hook(event: str, arguments: tuple) -> None:
    if listening and event in ("import", "subprocess.Popen", "os.system", "socket.connect", "exec"):
        imports.append(f"{event} {arguments[0]}")


sys.addaudithook(hook)
CANARY = "canary_module.Thing"
ATTEMPTS = [
    model(CANARY),
    model("canary_module:Thing"),
    model(f"{{class_path: {CANARY}}}"),
    model(f"{{name: plain, class_path: {CANARY}}}"),
    model(f"{{name: plain, init: {CANARY}}}"),
    model(f"{{name: around, rate: {CANARY}}}"),
    model(f"{{name: around, rate: 0.1, squash: {CANARY}}}"),
    model(f"{{name: around, rate: 0.1, squash: {{class_path: {CANARY}}}}}"),
    model(f"{{name: around, rate: 0.1, sizes: [{CANARY}]}}"),
    f"data: {CANARY}\ntask: {CANARY}\n",
    HEAD + f"optimizer: {CANARY}\nschedule: {{name: {CANARY}}}\nengine: {CANARY}\n",
    HEAD + f"trainer: {{logger: {CANARY}, callbacks: {CANARY}, profiler: {CANARY}, strategy: {CANARY}}}\n",
    HEAD + f"trainer: {{plugins: {{class_path: {CANARY}}}, devices: {CANARY}}}\n",
    HEAD + f"callbacks: {{{CANARY}: {{}}, early_stopping: {{class_path: {CANARY}}}}}\n",
    HEAD + f"tracking: {{tags: [{{class_path: {CANARY}}}], group: {{class_path: {CANARY}}}}}\n",
    HEAD + f"__class__: {CANARY}\n_target_: {CANARY}\nclass_path: {CANARY}\n",
    HEAD + f"base: {CANARY}\n",
]


@pytest.mark.parametrize("text", ATTEMPTS, ids=lambda text: text.replace(HEAD, "").strip()[:40])
def test_no_value_of_a_recipe_is_ever_imported_or_run(text, folder, monkeypatch):
    global listening
    (folder / "canary_module.py").write_text("open('touched', 'w').close()\nclass Thing: ...\n")
    monkeypatch.syspath_prepend(str(folder))
    resolved(HEAD)  # what rnnzoo itself imports is there before the hook listens
    imports.clear()
    listening = True
    try:
        told = mistakes(text)
    finally:
        listening = False
    assert not [event for event in imports if "canary" in event or event.split()[0] not in ("import", "exec")]
    assert not Path("touched").exists()
    assert all(message.count("\n") < 5 for message in told)


def test_a_text_that_looks_like_an_import_path_stays_a_text():
    assert resolved(HEAD + "tracking: {group: os.system}\n")["tracking"]["group"] == "os.system"


def test_text_inside_a_recipe_is_not_parsed_again_as_yaml():
    bomb = "{a: &a [x, x], b: &b [*a, *a], c: [*b, *b]}"
    found = resolved(HEAD + f"tracking: {{tags: ['{bomb}'], group: '{bomb}'}}\n")
    assert found["tracking"]["tags"] == [bomb] and found["tracking"]["group"] == bomb
    assert "trainer.devices: must be" in mistake(HEAD + f"trainer: {{devices: '{bomb}'}}\n")


# Checks across sections


def test_a_task_that_does_not_fit_the_data_is_refused_with_what_would():
    message = mistake("data: films\ntask: guess\nmodel: {architecture: one_way}\n")
    first, tasks, sets = message.split("\n")
    assert first == "r.yaml:2: task: 'guess' takes text_stream, and data set 'films' has labelled_text."
    assert "verdict" in tasks and "guess" not in tasks and "lines" in sets and "films" not in sets


def test_an_architecture_that_cannot_answer_is_refused_with_the_reason_and_those_that_can():
    message = mistake("data: lines\ntask: guess\nmodel: {architecture: both_ways}\n")
    first, why, able = message.split("\n")
    assert first == "r.yaml:3: model.architecture: 'both_ways' cannot answer causal, which task 'guess' needs."
    assert why == "  Why: the next word must not be seen." and "one_way" in able and "both_ways" not in able


def test_a_task_or_an_architecture_that_breaks_its_contract_is_named():
    class Shy:
        def __init__(self, spec: Any) -> None: ...

    class Liar(OneWay):
        @classmethod
        def answers(cls, **parameters: Any) -> frozenset[str]:
            return parameters["no_such_key"]

    registry.register("tasks", "shy", Shy)
    registry.register("architectures", "liar", Liar)
    assert mistake("data: films\ntask: shy\n") == "r.yaml:2: task: Shy does not say its form and needs."
    assert "Liar.answers fails: KeyError" in mistake(HEAD + "model: {architecture: liar}\n")
    registry.unregister("tasks", "shy")
    registry.unregister("architectures", "liar")


# The resolved recipe


def test_a_dumped_recipe_resolves_to_itself():
    found = resolved(model("{name: around, rate: 0.1, sizes: [3]}") + "callbacks: {swa: {lr: 1e-4}}\n")
    again = resolved(recipe.dump(found))
    assert again == found and json.dumps(again) == json.dumps(found)
    assert resolve(recipe.of(found)) == found


@settings(max_examples=25, deadline=None)
@given(
    group=st.text(max_size=30),
    tags=st.lists(st.sampled_from(["no", "1e-3", "~", "null", "12:30", "0x1F", "2024-01-01", "a: b", "#", "é", " x "])),
    lr=st.floats(min_value=1e-300, max_value=1e300),
    batches=st.none() | st.integers(0, 10**6) | st.floats(0, 1),
)
def test_texts_and_numbers_survive_the_round_trip_exactly(group, tags, lr, batches):
    found = resolve(recipe.of(yaml.safe_load(HEAD)))
    found["tracking"] |= {"group": group, "tags": tags}
    found["optimizer"]["lr"] = lr
    found["trainer"]["limit_train_batches"] = batches
    mistaken: list[str] = []
    again = resolve(recipe.Raw("recipe", "r.yaml", load_yaml(recipe.dump(found), "r.yaml", mistaken)))
    assert json.dumps(again) == json.dumps(found) and not mistaken


def test_the_digest_is_of_what_is_computed():
    one = resolved("seed: 3\n" + HEAD)
    same = resolved(HEAD + "seed: 3\nname: other\ntracking: {project: x}\n")
    assert recipe.digest(one) == recipe.digest(same) and re.fullmatch("[0-9a-f]{64}", recipe.digest(one))
    assert recipe.digest(one) != recipe.digest(resolved(HEAD + "seed: 4\n"))


def test_a_key_of_a_later_version_is_in_the_digest_where_it_is_set():
    def built(*overrides: str) -> dict[str, Any]:
        return resolve(recipe.read("quickstart", overrides))

    earlier = built()
    del earlier["model"]["inputs"]["tokens"]["sparse"]
    assert recipe.digest(earlier) == recipe.digest(built())
    sparse = built("--model.inputs.tokens.sparse=true", "--optimizer.name=sgd")
    assert recipe.digest(sparse) != recipe.digest(built("--optimizer.name=sgd"))


def test_what_follows_on_bad_numbers_is_in_the_digest_where_the_run_goes_on_after_them():
    stop, fewer, skip = (resolved(HEAD + f"bad_numbers: {{{text}}}\n") for text in ("", "at_most: 1", "policy: skip"))
    without = {key: value for key, value in stop.items() if key != "bad_numbers"}
    assert recipe.digest(stop) == recipe.digest(fewer) == recipe.digest(without) != recipe.digest(skip)


def test_nothing_deprecated_of_jsonargparse_is_used(monkeypatch):
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "all")
    schema.signature.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolved(model("{name: around, rate: 0.1, cell: forgetful}"))


@pytest.mark.parametrize("name", recipe.shipped())
def test_every_shipped_recipe_resolves_and_comes_back_the_same(name):
    found = resolve(recipe.read(name))
    again = resolved(recipe.dump(found))
    assert json.dumps(again) == json.dumps(found) and found["name"] == name.rpartition("/")[2]


def test_a_recipe_may_name_each_engine_path_and_nothing_else():
    from rnnzoo.engine.choose import AUTO, PATHS

    assert sorted(get_args(signature(RunOptions)["engine"].hint)) == sorted((AUTO, *PATHS))
    for path in (AUTO, *PATHS):
        assert resolve(recipe.read("quickstart", [f"--engine={path}"]))["engine"] == path
