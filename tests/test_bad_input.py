"""What a user can get wrong: told in a few lines, exit code 2, no traceback, nothing lost and nothing written."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import write_reviews

from rnnzoo import registry, runs
from rnnzoo.cells.base import PointwiseCell
from rnnzoo.cli import main
from rnnzoo.runs import checkpoint

HEAD = "data: {name: toy_reviews}\ntask: {name: sentiment}\n"
RUN = "runs/reviews/first"
HUB = Path(__file__).parents[2] / "shared" / "hub" / "serve_hub.py"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


@pytest.fixture
def told(here, capsys):
    """Runs a command that must fail, in an empty folder. Returns its mistakes, each in the lines it was told in."""

    def mistakes(*arguments: object, printed: int = 0) -> list[str]:
        before = files(here)
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == printed
        assert "Traceback" not in err and files(here) == before
        found: list[list[str]] = []
        for line in err.splitlines():
            assert line.strip()
            if line.startswith(" "):
                found[-1].append(line)
            else:
                found.append([line])
        assert found and all(len(lines) <= 5 for lines in found)
        return ["\n".join(lines) for lines in found]

    return mistakes


def recipe(text: str | bytes, name: str = "mine.yaml") -> str:
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return name


# -- commands -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "first", "rest"),
    [
        (["ift", "quickstart"], "no command is named 'ift'.", "Did you mean 'fit'?"),
        (["list", "reciepes"], "no kind of part is named 'reciepes'.", "Did you mean 'recipes'?"),
        (["list", "cells", "gru"], "rnnzoo list: unexpected argument 'gru'.", "See `rnnzoo list --help`."),
        (["show", "cel", "lstm"], "no kind of part is named 'cel'.", "Did you mean 'cell'?"),
        (["show", "cell", "lsmt"], "no cell is named 'lsmt'.", "Did you mean 'lstm'?"),
        (["show", "dataset", "imdbb"], "no dataset is named 'imdbb'.", "Did you mean 'imdb'?"),
        (["show", "recipe", "quikstart"], "no recipe is named 'quikstart'.", "Did you mean 'quickstart'?"),
        (["show", "lstm"], "no run at lstm: there is no such folder.", "rnnzoo show cell lstm"),
        (["show", "cells"], "no run at cells: there is no such folder.", "rnnzoo show cells NAME"),
        (["show", "a", "b", "c"], "rnnzoo show: takes a kind and a name, or a run, got 'a b c'.", "rnnzoo show cell"),
        (["show"], "rnnzoo show: the following arguments are required: KIND NAME | RUN.", "--help"),
        (["fit"], "rnnzoo fit: the following arguments are required: RECIPE.", "See `rnnzoo fit --help`."),
        (["fit", "quickstrt"], "no recipe is named 'quickstrt'.", "Did you mean 'quickstart'?"),
        (["fit", "quickstart.yaml"], "there is no recipe file 'quickstart.yaml'.", "'quickstart' comes with rnnzoo"),
        (["fit", "x" * 5000], f"the recipe '{'x' * 80}' is not a path: File name too long.", ""),
        (["fit", "."], "the recipe '.' is not a regular file.", "Give the path of one YAML file."),
        (["fit", "quickstart", "-x"], "rnnzoo fit: unexpected argument '-x'.", ""),
        (["fit", "quickstart", "--seed"], "command line: seed: no value.", "--seed VALUE"),
        (["fit", "quickstart", "--run_dir"], "rnnzoo fit: argument --run_dir: expected one argument.", ""),
        (
            ["fit", "quickstart", "--task.name", "tagging"],
            "command line: task: 'tagging' takes tagged_text",
            "sentiment",
        ),
        (
            ["predict", "r"],
            "rnnzoo predict: one of the arguments --text --file --interactive --follow is required.",
            "",
        ),
        (["predict", "r", "--text", "a", "--file", "b"], "rnnzoo predict: argument --file: not allowed with", ""),
        (["predict", "nowhere", "--text", "a"], "no run at nowhere: there is no such folder.", "No run is near it"),
        (["test", "nowhere", "--json"], "no run at nowhere: there is no such folder.", ""),
    ],
)
def test_a_command_that_cannot_be_is_told_with_the_nearest(told, command, first, rest):
    (message,) = told(*command)
    assert message.splitlines()[0].startswith(first)
    assert rest in message


@pytest.mark.parametrize("key", ["model.architecture.hidden_size", "model.inputs.tokens.size"])
@pytest.mark.parametrize("value", ["0", "-3", "true", "2.5", "many", "99999999"])
def test_a_size_must_be_a_whole_number(told, key, value):
    (message,) = told("fit", "quickstart", f"--{key}", value)
    assert message.startswith(f"command line: {key}: must be a whole number in [1, 1000000], got ")


@pytest.mark.parametrize("value", ["1", "1.5", "-0.1", "nan", ".inf", "true", "half"])
def test_a_dropout_must_be_a_probability_below_one(told, value):
    (message,) = told("fit", "quickstart", "--model.head.dropout", value)
    assert message.startswith("command line: model.head.dropout: must be a number in [0, 1), got ")


def test_a_model_that_no_memory_holds_is_told(told):
    (message,) = told("fit", "quickstart", "--data.examples=8", "--model.architecture.hidden_size=1000000")
    assert message.startswith("quickstart: the model cannot be built: ") and "memory" in message


@pytest.mark.parametrize("change", ["accelerator=tpu", "devices=[3]"])
def test_what_lightning_refuses_is_told_before_anything_is_written(told, change):
    (message,) = told("fit", "quickstart", f"--trainer.{change}")
    assert message.startswith("quickstart: Lightning refuses trainer: ")


# -- recipes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", "mine.yaml: the recipe is empty."),
        ("# nothing but this\n", "mine.yaml: the recipe is empty."),
        ("- data\n", "mine.yaml: the recipe is not a mapping of sections."),
        ("data: [\n", "mine.yaml:2: not YAML: "),
        ("\tdata: 1\n", "mine.yaml:1: not YAML: "),
        (b"data: {name: caf\xe9}\n", "mine.yaml:1: not UTF-8: byte 0xe9 at offset 16."),
        (b"\0\0\0\0", "mine.yaml: not YAML: "),
        (HEAD + "# long\n" * 50_000, "mine.yaml: larger than 256 KB, which no recipe is."),
        (HEAD + "seed: 1\nseed: 2\n", "mine.yaml:4: seed: given twice, first in line 3."),
        (HEAD + "model: !!python/object/apply:os.mkdir [executed]\n", "mine.yaml:3: the tag !!python/object/apply:"),
        (HEAD + "a: &a [*a, *a]\n", "mine.yaml:3: anchors (&) and aliases (*) are not allowed."),
        (HEAD + "model: {class_path: os.system}\n", "mine.yaml:3: model.class_path: import paths are not accepted."),
        (HEAD + "base: mine.yaml\n", "mine.yaml:3: base: the recipe is a base of itself: mine.yaml -> mine.yaml."),
    ],
)
def test_a_file_that_is_no_recipe_is_told_with_its_line(told, text, first):
    (message,) = told("fit", recipe(text))
    assert message.startswith(first)


def test_all_mistakes_of_a_recipe_are_told_at_once_each_with_its_line_key_and_nearest_match(told):
    path = recipe(
        "data: {name: toy_revews}\n"
        "task: {name: sentimnt}\n"
        "model:\n"
        "  architecture: {name: bidirectional, cell: lsmt, hidden_size: 0}\n"
        "  dropuot: 0.5\n"
        "optimizr: adam\n"
        "trainer: {max_epochs: two, precision: 16-mixd}\n"
    )
    wanted = [
        ("mine.yaml:1: data: no dataset is named 'toy_revews'.", "toy_reviews"),
        ("mine.yaml:2: task: no task is named 'sentimnt'.", "sentiment"),
        ("mine.yaml:4: model.architecture.cell: no cell is named 'lsmt'.", "lstm"),
        ("mine.yaml:4: model.architecture.hidden_size: must be a whole number in [1, 1000000], got 0.", None),
        ("mine.yaml:5: model.dropuot: unknown key.", "model.head.dropout"),
        ("mine.yaml:6: optimizr: unknown key.", "optimizer"),
        ("mine.yaml:7: trainer.max_epochs: must be a whole number >= 1, got 'two'.", None),
        ("mine.yaml:7: trainer.precision: must be one of ", "16-mixed"),
    ]
    found = told("fit", path)
    for message, (first, match) in zip(found, wanted, strict=True):
        assert message.startswith(first)
        assert match is None or f"\n  Did you mean '{match}'?" in message


# -- data files -----------------------------------------------------------------------------------------------------

DATA = (
    "data: {name: text_files, train: train.csv, dev: dev.csv}\ntask: {name: sentiment}\n"
    "model: {architecture: {name: lstm, hidden_size: 4}, inputs: {tokens: {size: 4}}}\n"
)
ROWS = "text,label\ngood,x\nbad,y\n"


@pytest.mark.parametrize(
    ("train", "dev", "first", "rest"),
    [
        (None, ROWS, "data.train: there is no file 'train.csv'.", "Looked in "),
        ("", ROWS, "train.csv is empty.", ""),
        ("\n\n", ROWS, "train.csv is empty.", ""),
        ("text,label\n", ROWS, "train.csv has a header and no rows.", ""),
        (ROWS, "", "dev.csv is empty.", ""),
        ("txt,label\ngood,x\n", ROWS, "train.csv has no column 'text'.", "Did you mean 'txt'?\n  Found: txt, label."),
        ("text,label\ngood,x,y\n", ROWS, "train.csv, row 1 (line 2): 3 values, where the header has 2.", "text, label"),
        ('text,label\n"good,x\n', ROWS, "train.csv, line 2: not CSV: ", "double quotes"),
        ("text,label\ngood,x\n\0,y\n", ROWS, "train.csv, line 3: a NUL character.", "JSON lines"),
        (b"text,label\ngood,x\ncaf\xe9,y\n", ROWS, "train.csv, line 3: byte 21 (0xe9) is not utf-8", "cp1252"),
        ("text,label\ngood,x\nbad,x\n", ROWS, "train.csv: column 'label': the training split has one label only", ""),
        (ROWS, ROWS + "fine,z\n", "dev.csv, row 3: column 'label': the training split has no label 'z'.", "x, y."),
    ],
)
def test_a_data_file_that_cannot_be_used_is_told_with_its_place(told, train, dev, first, rest):
    for name, content in {"train.csv": train, "dev.csv": dev}.items():
        if content is not None:
            recipe(content, name)
    (message,) = told("fit", recipe(DATA))
    assert message.startswith(first) and rest in message


def test_all_missing_files_are_told_at_once(told):
    recipe(ROWS, "trian.csv")
    train, dev = told("fit", recipe(DATA))
    assert "Did you mean 'trian.csv'?" in train and dev.startswith("data.dev: there is no file 'dev.csv'.")


def test_an_encoding_that_is_none_is_told(told):
    (message,) = told("fit", recipe(DATA), "--data.encoding", "klingon")
    assert message == "mine: data: encoding must be a text encoding that Python knows, got 'klingon'."


def test_a_vocabulary_that_comes_out_empty_is_told(told):
    recipe(ROWS, "train.csv")
    recipe(ROWS, "dev.csv")
    (message,) = told("fit", recipe(DATA), "--data.min_freq", 5)
    assert message.startswith("train.csv: the vocabulary is empty: no token of the 2 training rows occurs 5 times")


def test_without_network_and_download_imdb_names_what_works_at_once(here):
    with socket.socket() as closed:  # bound and not listening: whoever connects is refused
        closed.bind(("127.0.0.1", 0))
        place = {"HF_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}", "HF_HOME": str(here / "hf")}
        done = subprocess.run(
            [sys.executable, "-m", "rnnzoo", "fit", "imdb_lstm"],
            env=os.environ | place | {"HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    asked = "cannot read the data set 'stanfordnlp/imdb, revision main' from the Hub"
    assert lines[0] == f"{asked}: {place['HF_ENDPOINT']} does not answer."
    assert len(lines) <= 5 and "text_files" in done.stderr and "quickstart" in done.stderr  # and nothing was retried
    assert not Path("runs").exists()


@pytest.mark.slow
@pytest.mark.skipif(not HUB.is_file(), reason="needs the folder ../shared/hub beside the repository")
def test_without_network_an_earlier_download_is_found_and_no_other_revision_taken_for_it(here):
    code = (
        "import sys\nfrom rnnzoo.data.sources.imdb import Imdb\nfrom rnnzoo.errors import DataError\n"
        "try:\n  source = Imdb(*sys.argv[1:])\n  print(len(source.read()['test']['text']), source.identity())\n"
        "except DataError as error: print(error)\n"
    )
    read = [sys.executable, "-c", code]
    place = os.environ | {"HF_HOME": str(here / "hf"), "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    served = subprocess.run([sys.executable, HUB, "--", *read], env=place, capture_output=True, text=True, check=True)
    away = place | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    again = subprocess.run(read, env=away, capture_output=True, text=True, check=True)
    assert again.stdout == served.stdout and served.stdout.startswith("25000 ")
    other = subprocess.run([*read, "0" * 40], env=away, capture_output=True, text=True, check=True)
    assert other.stdout.startswith(
        f"the data set 'stanfordnlp/imdb' was fetched before, but not in revision {'0' * 40}"
    )


# -- runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(here, trained) -> Path:
    """A copy of the trained run, as runs/reviews/first."""
    return shutil.copytree(trained, here / RUN)


def test_a_folder_that_holds_a_run_is_refused(told, run):
    (message,) = told("fit", "quickstart", "--run_dir", RUN)
    assert message.startswith(f"cannot start a run in {RUN}: it holds a run already.\n  That run: reviews, finished, ")


def test_a_run_is_missed_with_those_near_it(told, run):
    (message,) = told("predict", "runs/reviews/frist", "--text", "good")
    assert message.startswith("no run at runs/reviews/frist: there is no such folder.")
    assert f"Did you mean '{RUN}'?" in message
    (message,) = told("show", "runs/reviews")
    assert message.startswith("no run at runs/reviews: it holds no summary.json or config.yaml.")


@pytest.mark.parametrize("verb", [["predict", RUN, "--text", "good"], ["test", RUN], ["validate", RUN, "--json"]])
@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda folder: (folder / "weights.safetensors").write_bytes(b""), "weights.safetensors is truncated"),
        (lambda folder: _flip(folder / "weights.safetensors"), "weights.safetensors is corrupt"),
        (lambda folder: (folder / "weights.safetensors").unlink(), "weights.safetensors is missing"),
        (lambda folder: (folder / "meta.json").write_text("{"), "meta.json is "),
        (lambda folder: (folder / "MANIFEST.json").unlink(), "it is not an rnnzoo checkpoint"),
        (lambda folder: shutil.rmtree(folder), "no such checkpoint is there"),
    ],
)
def test_a_corrupt_checkpoint_is_told_with_what_is_wrong(told, run, verb, spoil, what):
    spoil(checkpoint.locate(run))
    (message,) = told(*verb)
    assert RUN in message.splitlines()[0] and what in message


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("verb", ["predict", "test"])
def test_a_checkpoint_without_a_recipe_is_told(told, run, verb):
    folder = checkpoint.locate(run)
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    (folder / "meta.json").write_text("{}")
    manifest["files"]["meta.json"] = {"size": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    (message,) = told(verb, RUN, *(["--text", "good"] if verb == "predict" else []))
    assert message.startswith("the checkpoint does not say how its model is built: ")


def test_a_run_whose_data_are_gone_is_told_where_they_were(told, run):
    test, *_ = told("test", RUN)
    assert test.startswith("data.train: there is no file 'train.csv'.")


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ("--model.head.dropout=0.5", "command line: model: cannot be changed after training."),
        ("--seed=2", "command line: seed: cannot be changed after training."),
        ("--data.name=imdb", "command line: data.name: cannot be changed after training."),
        ("--data.max_length=5", "command line: data.max_length: the model was built for it"),
        ("--trainer=3", "command line: trainer: cannot be changed after training."),
        ("--trainer.precison=64-true", "reviews: trainer.precison: unknown key.\n  Did you mean 'precision'?"),
        ("--data.batch_size=0", "reviews: data.batch_size: must be a whole number >= 1, got 0."),
    ],
)
def test_after_training_only_the_trainer_and_the_data_may_change(told, run, change, first):
    (message,) = told("test", RUN, change)
    assert message.startswith(first)


PLUGIN = '''
from rnnzoo.cells.gru import GRUCell


class StrangeCell(GRUCell):
    """A gated recurrent unit from elsewhere."""
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A distribution that brings the cell `strange`; call the fixture to uninstall it."""
    site, info = tmp_path / "site", tmp_path / "site" / "rnnzoo_strange-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rnnzoo-strange\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[rnnzoo.cells]\nstrange = rnnzoo_strange:StrangeCell\n")
    (site / "rnnzoo_strange.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(site)
    yield lambda: shutil.rmtree(site)
    sys.modules.pop("rnnzoo_strange", None)


def test_a_run_whose_plugin_is_missing_is_told_with_what_to_install(told, here, plugin, monkeypatch):
    write_reviews(here)
    change = ("--model.architecture.cell", "strange", "--trainer.max_epochs", "1")
    assert main(["fit", "reviews.yaml", "--run_dir", "run", *change]) == 0
    assert main(["predict", "run", "--text", "good"]) == 0
    with monkeypatch.context() as kept_out:
        kept_out.setenv("RNNZOO_PLUGINS", "none")
        assert told("predict", "run", "--text", "good")[0].endswith(", or RNNZOO_PLUGINS without its 'none'.")
    plugin()
    for verb in (("predict", "run", "--text", "good"), ("test", "run")):
        (message,) = told(*verb)
        assert message == (
            "the run was trained with cell 'strange' of rnnzoo-strange 1.2, which is not here.\n"
            "  Needed: pip install rnnzoo-strange==1.2."
        )
    assert main(["show", "run"]) == 0


def test_a_run_of_a_cell_that_a_program_registered_is_told(told, here):
    class OddCell(PointwiseCell):
        gates, states = ("h",), ("h",)

        def update(self, gx, gh, state):
            return (gx[0] + gh[0],)

    write_reviews(here)
    registry.register("cells", "odd", OddCell)
    try:
        change = ("--model.architecture.cell", "odd", "--trainer.max_epochs", "1")
        assert main(["fit", "reviews.yaml", "--run_dir", "run", *change]) == 0
    finally:
        registry.unregister("cells", "odd")
    (message,) = told("predict", "run", "--text", "good")
    assert message == (
        "the run was trained with cell 'odd' registered by the program, which is not here.\n"
        "  Needed: rnnzoo.register('cell', 'odd', ...)."
    )


def test_a_broken_plugin_spoils_its_own_parts_only(told, plugin, tmp_path, capsys):
    (tmp_path / "site" / "rnnzoo_strange.py").write_text("import nothing_of_that_name\n")
    assert main(["list", "cells"]) == main(["show", "cell", "lstm"]) == 0
    (message,) = told("show", "cell", "strange")
    assert message.startswith("cannot import cell 'strange' of rnnzoo-strange 1.2 (rnnzoo_strange:StrangeCell): ")


def test_a_training_that_breaks_is_told_and_its_run_kept(here, capsys):
    write_reviews(here)
    broken = ("--optimizer", "{name: sgd, lr: 1.0e+38}", "--run_dir", "run")
    assert main(["fit", "reviews.yaml", *broken]) == 2
    printed = capsys.readouterr()
    message = printed.err.partition("\n\n")[2]  # after what was to be trained
    assert printed.out == "" and message.startswith("training broke at step ")
    assert "Traceback" not in printed.err and len(message.splitlines()) <= 5
    assert runs.read("run")["summary"]["status"] == "failed"


# -- texts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "printed", "first"),
    [
        ("nothing.txt", None, 0, "cannot read nothing.txt: No such file or directory."),
        (".", None, 0, "cannot read .: it is a folder, not a file."),
        ("in.txt", b"good\nbad\ncaf\xe9\n", 2, "in.txt, line 3: byte 4 (0xe9) is not UTF-8."),
        ("in.txt", "good\n".encode("utf-16"), 0, "in.txt, line 1: byte 1 (0xff) is not UTF-8."),
        ("in.jsonl", '{"text": "good"}\n{"txt": "bad"}\n', 1, "in.jsonl, line 2: no 'text', found the keys txt."),
        ("in.jsonl", '"good"\n\n{"text": 3}\n', 2, "in.jsonl, line 3: no 'text', found the keys text."),
        ("in.jsonl", '{"text": "good"\n', 0, "in.jsonl, line 1: not JSON: "),
        ("in.jsonl", "[" * 100_000, 0, "in.jsonl, line 1: nested more than 100 levels deep"),
        ("in.jsonl", "[3]\n", 0, "in.jsonl, line 1: no 'text', found list."),
    ],
)
def test_a_text_that_cannot_be_read_is_told_with_its_line_after_the_answers_before_it(
    told, run, name, content, printed, first
):
    if content is not None:
        recipe(content, name)
    (message,) = told("predict", RUN, "--file", name, printed=printed)
    assert message.startswith(first)


def test_a_line_without_an_end_is_not_read_to_it(told, run, monkeypatch):
    monkeypatch.setattr("rnnzoo.inference.texts.LINE_LIMIT", 2**20)
    recipe("good\n" + "x" * (2**20 + 1), "in.txt")
    (message,) = told("predict", RUN, "--file", "in.txt", printed=1)
    assert message.startswith("in.txt, line 2: longer than 1 MB.")
