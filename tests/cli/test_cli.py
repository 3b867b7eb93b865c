"""The command line as a user calls it: in this process, or in one of its own for imports, signals and pipes."""

import builtins
import inspect
import io
import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import REVIEWS, write_reviews

import rnnzoo
from rnnzoo import cli, registry, runs
from rnnzoo import recipe as recipes
from rnnzoo.cli import main
from rnnzoo.cli.program import VERBS, parser_of
from rnnzoo.errors import DataError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.inference import predictor
from rnnzoo.runs import checkpoint, report

RNNZOO = [sys.executable, "-m", "rnnzoo"]
TINY = ("--data.examples", "24", "--trainer.max_epochs", "1", "--model.architecture.hidden_size", "4")


@pytest.fixture
def rnnzoo_says(capsys):
    """Runs a command that must succeed. Returns what it printed on standard output."""

    def says(*arguments: object) -> str:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out

    return says


def typed(monkeypatch, text: str | bytes) -> None:
    """Standard input with this content."""
    data = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def rows(table: str) -> dict[str, str]:
    """The indented lines of a table of two columns."""
    lines = (line for line in table.partition("\n\n")[0].splitlines() if line.startswith("  "))
    return dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in lines)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# -- help, list, show -----------------------------------------------------------------------------------------------


def test_help_lists_and_runs_are_told_without_torch_and_its_friends(trained):
    commands = [[], ["--help"], ["--version"], ["list"], ["list", "cells", "--json"], ["show", str(trained)]]
    commands += [["show", "recipe", "quickstart"], ["fit", "nothing.yaml"], ["lst"]]
    commands += [[verb, "--help"] for verb in VERBS]
    code = (
        "import json, sys\nfrom rnnzoo.cli import main\n"
        f"codes = [main(command) for command in {commands!r}]\n"
        "heavy = {'torch', 'lightning', 'wandb', 'datasets', 'numpy', 'jsonargparse'} & {*sys.modules}\n"
        "print(codes, heavy, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wanted = [2 if command in (["fit", "nothing.yaml"], ["lst"]) else 0 for command in commands]
    assert done.stderr.splitlines()[-1] == f"{wanted} set()"


@pytest.mark.parametrize("verb", VERBS)
def test_each_help_is_short_and_ends_with_an_example(rnnzoo_says, verb):
    lines = rnnzoo_says(verb, "--help").splitlines()
    assert lines[-1].startswith(f"example: rnnzoo {verb} ")
    assert len(lines) <= 35 and all(len(line) <= 120 for line in lines)


def test_every_verb_is_a_file_and_every_other_file_is_known():
    files = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    assert files - {"__init__", "program", "parser", "names", "follow", "hosted"} == {
        verb.replace("-", "_") for verb in VERBS
    }


def test_a_flag_of_two_words_takes_a_dash_or_an_underscore():
    for flag in ("--run-dir", "--run_dir"):
        arguments = parser_of("fit").parse_args(["quickstart", flag, "r", "--a.b", "1", "--print-config", "--seed=2"])
        assert (str(arguments.run_dir), arguments.print_config) == ("r", True)
        assert arguments.overrides == ["--a.b", "1", "--seed=2"]


def test_without_a_command_the_commands_are_told(rnnzoo_says):
    for told in (rnnzoo_says(), rnnzoo_says("--help")):
        assert all(re.search(rf"^    {verb} ", told, re.MULTILINE) for verb in VERBS)
        assert told.splitlines()[-1] == "example: rnnzoo fit quickstart"
    assert rnnzoo_says("--version") == f"rnnzoo {rnnzoo.__version__}\n"


def test_a_list_has_each_names_distribution_and_version(rnnzoo_says):
    told = json.loads(rnnzoo_says("list", "cells", "--json"))
    assert [(row["name"], row["distribution"], row["version"], row["value"]) for row in told] == [
        entry[1:] for entry in registry.entries("cells")
    ]
    lines = rnnzoo_says("list", "cells").splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["cell", row["name"], row["distribution"], row["version"]] for row in told
    ]


def test_a_list_of_all_is_the_lists_of_each_kind(rnnzoo_says):
    kinds = (*registry.KINDS, "recipes", "models")
    each = [json.loads(rnnzoo_says("list", kind, "--json")) for kind in kinds]
    assert json.loads(rnnzoo_says("list", "--json")) == [row for rows in each for row in rows]
    assert each == [json.loads(rnnzoo_says("list", kind.removesuffix("s"), "--json")) for kind in kinds]
    assert {row["name"] for row in each[kinds.index("recipes")]} == set(recipes.shipped())


@pytest.mark.parametrize(("kind", "plural"), list(zip(registry.SINGULAR.values(), registry.KINDS, strict=True)))
def test_every_part_is_shown_with_its_docstring_parameters_and_source(rnnzoo_says, kind, plural):
    for entry in registry.entries(plural):
        told = rnnzoo_says("show", kind, entry.name)
        cls = registry.load(plural, entry.name)
        assert told.startswith(f"{kind} {entry.name}: {entry.value}, {entry.distribution} {entry.version}\n")
        assert inspect.getdoc(cls) in told and told.endswith(inspect.getsource(cls))
        assert told == rnnzoo_says("show", plural, entry.name)


def test_a_parts_parameters_are_those_that_a_recipe_may_set(rnnzoo_says):
    def shown(*what):
        return set(rows(rnnzoo_says("show", *what).partition("Parameters:\n")[2].partition("\nSource:")[0]))

    resolved = resolve(recipes.read("imdb_bilstm"))
    assert shown("cell", "lstm") == {"init", "forget_bias", "chrono_steps"}
    only_where_set = {"folds", "fold", "streaming", "window"}
    assert shown("dataset", "imdb") - only_where_set == set(resolved["data"]) - {"name"}
    assert shown("input", "tokens") == set(resolved["model"]["inputs"]["tokens"]) - {"name"}
    assert shown("architecture", "bidirectional") == set(resolved["model"]["architecture"]) - {"name"}


def test_a_shown_recipe_is_one_that_resolves_to_the_same(rnnzoo_says, here):
    (here / "imdb_gru.yaml").write_text(rnnzoo_says("show", "recipe", "imdb_gru"))
    assert resolve(recipes.read("imdb_gru.yaml")) == resolve(recipes.read("imdb_gru"))


def test_a_run_is_shown_as_its_folder_knows_it(rnnzoo_says, trained, monkeypatch):
    summary = json.loads((trained / "summary.json").read_text())
    monkeypatch.chdir(trained.parent)
    told = rows(rnnzoo_says("show", "run"))
    assert (told["folder"], told["status"], told["recipe"], told["seed"]) == ("run", "finished", "reviews", "1")
    assert told["test/accuracy"] == f"{summary['metrics']['test/accuracy']:.4f}" == "1.0000"
    assert told["parameters"] == f"{summary['parameters']:,}"
    assert f"torch {summary['versions']['torch']}" in told["versions"].split(", ")
    assert (told["examples"], told["labels"]) == ("train 48, dev 8, test 8", "negative 24, positive 24")
    assert told["model"] == "bidirectional, cell lstm, hidden size 4, 1 layer"
    assert told["optimizer"].startswith("adam, learning rate 0.1")
    assert re.fullmatch(r"cpu.*, precision 32-true, 1 thread, 1 process", told["device"])
    assert re.fullmatch(r"[\d.]+ s, 10 epochs, 60 steps, [\d,]+ tokens/s", told["training"])
    assert told["best checkpoint"].startswith(f"of epoch {summary['best']['epoch'] + 1}, by val/accuracy")
    assert not re.search(r"notes|e[+-]\d", "".join(told) + "".join(told.values()))
    assert json.loads(rnnzoo_says("show", "run", "--json"))["summary"] == summary


def test_what_stands_in_a_run_moves_no_cursor(rnnzoo_says, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    strange = {"status": "\x1b[2Jgone", "metrics": {"a\nb": 1e-9}, "engine": ["x", {}], "best": [], "wandb": 3}
    (run / "summary.json").write_text(json.dumps(strange))
    told = rnnzoo_says("show", run)
    assert "\x1b" not in told and r"\x1b[2Jgone" in told and r"a\nb" in told


@pytest.mark.parametrize("strange", ["x", -3, 1e300, True, [], ["a"], {}, {"a": "b"}, {"a": {"b": None}}, None])
def test_a_run_is_shown_whatever_stands_in_its_files(rnnzoo_says, trained, tmp_path, strange):
    run = shutil.copytree(trained, tmp_path / "run")
    summary = json.loads((run / "summary.json").read_text())
    for key, value in summary.items():
        changes = [strange, *(value | {inner: strange} for inner in (value if isinstance(value, dict) else ()))]
        for changed in changes:
            (run / "summary.json").write_text(json.dumps(summary | {key: changed}))
            assert rnnzoo_says("show", run)


def test_labels_that_differ_in_case_or_blanks_alone_are_told_apart_before_training(here, capsys):
    data = {"sizes": {"train": 1211}, "labels": {"P": 1200, "n": 7, "p": 3, "p ": 1}}
    facts = {"recipe": "mine", "seed": 1, "parameters": 2, "data": data}
    report.show_header(facts, {}, here)
    labels = rows(capsys.readouterr().out)["labels"]
    assert labels == "'P' 1,200, 'n' 7, 'p' 3, 'p ' 1; some differ in case or blanks alone"


# -- fit, validate, test --------------------------------------------------------------------------------------------


def test_a_fit_prints_one_table_and_keeps_progress_off_standard_output(here, capsys):
    assert main(["fit", str(write_reviews(here)), "--run-dir", "r", "--trainer.enable_progress_bar", "true"]) == 0
    printed = capsys.readouterr()
    summary = json.loads(Path("r/summary.json").read_text())
    assert printed.out.startswith("reviews, seed 1\n")
    told = rows(printed.out)
    assert {name: told[name] for name in summary["metrics"]} == {
        name: f"{value:.4f}" for name, value in summary["metrics"].items()
    }
    assert {"test/accuracy", "best/accuracy"} <= set(told) and told["run"] == "r"
    assert len(printed.out.splitlines()) == len(told) + 1
    header, lines = printed.err.split("\n\n")
    assert {"examples": "train 48, dev 8, test 8", "labels": "negative 24, positive 24", "run": "r"}.items() <= rows(
        header
    ).items()
    epochs = [re.match(r"epoch (\d+)/10  train/loss \d.* s, [\d,]+ tokens/s", line)[1] for line in lines.splitlines()]
    assert epochs == [str(epoch) for epoch in range(1, 11)] and "\r" not in printed.err
    logged = [json.loads(line) for line in Path("r/metrics.jsonl").read_text().splitlines()]
    last = [f"{line['val/accuracy']:.4f}" for line in logged if "val/accuracy" in line][-1]
    assert f"val/accuracy {last}" in lines.splitlines()[-1]


def test_keys_on_the_command_line_go_before_the_recipes(here):
    recipe = write_reviews(here)
    changes = ("--seed", "7", "--model.architecture.cell=gru", "--optimizer.lr", "1e-3", "--trainer.max_epochs", "1")
    assert main(["fit", *changes, str(recipe), "--run_dir=r"]) == 0
    config = yaml.safe_load(Path("r/config.yaml").read_text())
    assert (config["seed"], config["model"]["architecture"]["cell"]["name"], config["optimizer"]["lr"]) == (
        7,
        "gru",
        1e-3,
    )
    assert config["model"]["architecture"]["hidden_size"] == 4


def test_a_printed_recipe_runs_to_the_same_result(rnnzoo_says, here):
    write_reviews(here)
    given = ("reviews.yaml", "--seed", "3", "--trainer.max_epochs", "2")
    printed = rnnzoo_says("fit", *given, "--print_config")
    assert set(os.listdir(here)) == {"reviews.yaml", "train.csv", "dev.csv"}
    Path("printed.yaml").write_text(printed)
    assert rnnzoo_says("fit", "printed.yaml", "--print_config") == printed
    rnnzoo_says("fit", *given, "--run_dir", "one")
    rnnzoo_says("fit", "printed.yaml", "--run_dir", "two")
    one, two = (json.loads(Path(run, "summary.json").read_text()) for run in ("one", "two"))
    assert (one["metrics"], one["digest"]) == (two["metrics"], two["digest"])
    weights = [checkpoint.locate(Path(run)) / checkpoint.WEIGHTS for run in ("one", "two")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_run_scores_the_same_again_and_nothing_is_written(rnnzoo_says, here):
    rnnzoo_says("fit", write_reviews(here), "--run_dir", "runs/reviews/first", "--trainer.max_epochs", "2")
    wanted = json.loads(Path("runs/reviews/first/summary.json").read_text())["metrics"]
    before = files(here)
    found = {}
    for verb in ("validate", "test"):
        bar = ("--trainer.enable_progress_bar", "true")
        found |= json.loads(rnnzoo_says(verb, "first", "--json", *bar, "--data.eval_batch_size", "3"))
    found = {name: value for name, value in found.items() if "/ece" not in name}  # which a summary has apart
    assert runs.scores(found) == pytest.approx(wanted, abs=1e-6)
    assert rows(rnnzoo_says("test", "runs/reviews/first"))["test/accuracy"] == f"{wanted['test/accuracy']:.6f}"
    assert files(here) == before


def test_the_place_of_an_offline_tracker_exists_from_here(rnnzoo_says, here):
    write_reviews(here)
    told = rnnzoo_says("fit", "reviews.yaml", "--tracking.mode", "offline", "--trainer.max_epochs", "1")
    told = rows(told)
    assert Path(told["W&B"]).is_dir() and Path(told["run"], "summary.json").is_file()
    assert rows(rnnzoo_says("show", told["run"]))["W&B"] == told["W&B"]


# -- predict --------------------------------------------------------------------------------------------------------


def test_a_prediction_is_a_label_and_its_confidence_in_per_cent(rnnzoo_says, trained):
    (answer,) = predictor.load(trained).predict(["a good film"])
    told = rnnzoo_says("predict", trained, "--text", "a good film", "--text", "a bad film").splitlines()
    assert told[0] == f"positive  {100 * answer['confidence']:.1f} %"
    assert [line.split()[0] for line in told] == ["positive", "negative"]
    (line,) = rnnzoo_says("predict", trained, "--text", "a good film", "--json").splitlines()
    assert json.loads(line) == {"input": "a good film", **answer}


TEXTS = ["good", "", "bad", "  ", "so{so", "😀 bad", "\u2028good\u2028", "a\0b"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_line_of_a_file_gets_a_line_of_answer_blank_ones_too(rnnzoo_says, trained, here, monkeypatch, end):
    wanted = predictor.load(trained).predict(TEXTS)
    Path("in.txt").write_bytes(("\ufeff" + end.join(TEXTS)).encode())
    lines = [json.dumps({"id": 3, "text": text}) if text.strip() else text for text in TEXTS]
    Path("in.jsonl").write_bytes((end.join(lines) + end).encode())
    Path("strings.jsonl").write_bytes(end.join(map(json.dumps, TEXTS)).encode())
    for source in ("in.txt", "in.jsonl", "strings.jsonl", "-", "- as JSON"):
        typed(monkeypatch, Path("in.jsonl" if "JSON" in source else "in.txt").read_bytes())
        told = [
            json.loads(line)
            for line in rnnzoo_says(
                "predict", trained, "--file", source[:1] if source[0] == "-" else source, "--json"
            ).split("\n")[:-1]
        ]
        assert [row.pop("input") for row in told] == TEXTS
        assert told == wanted


def test_only_the_first_line_of_standard_input_says_whether_it_is_json(rnnzoo_says, trained, monkeypatch):
    typed(monkeypatch, '{smile} good\n{"text": "bad"}\n')
    told = rnnzoo_says("predict", trained, "--file", "-", "--json").splitlines()
    assert [json.loads(line)["input"] for line in told] == ["{smile} good", '{"text": "bad"}']


def test_texts_without_a_known_word_are_counted(trained, capsys):
    assert main(["predict", str(trained), "--text", "good", "--text", "zzz", "--text", ""]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3
    assert printed.err == "2 of 3 texts have no word that the model knows.\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_an_answer_is_valid_json_in_any_encoding(trained, monkeypatch, encoding):
    out = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(out, encoding=encoding))
    assert main(["predict", str(trained), "--json", "--text", "caf\u00e9 😀 \udcff"]) == 0
    assert json.loads(out.getvalue())["input"] == "caf\u00e9 😀 \udcff"


@pytest.mark.parametrize("last", ["stop\n", "  STOP \nnever read", "", "\n"])
def test_an_interactive_session_answers_until_stop_or_the_end(rnnzoo_says, trained, monkeypatch, last):
    typed(monkeypatch, f"a good film\n\na bad film\nzzz\n{last}")
    told = rnnzoo_says("predict", trained, "--interactive")
    answers = re.findall(r"text: (\w+  [\d.]+ %|The text is empty)(.*)", told)
    assert [answer.split()[0] for answer, _ in answers[:3]] == ["positive", "The", "negative"]
    assert answers[3][1] == "  (the model knows no word of it)"
    assert len(answers) == (5 if last == "\n" else 4)


def test_a_text_that_cannot_be_asked_is_told_and_the_session_goes_on(rnnzoo_says, monkeypatch):
    class Filler:
        def predict(self, texts):
            if "___" not in texts[0]:
                raise DataError("text 1: it has no gap.\n  Write ___ for the word.")
            return [{"gaps": [{"dog": 0.5}]}]

        def describe(self, answer, every=False):
            return ["dog 50.0 %"]

        def knows_no_word(self, answer):
            return False

    monkeypatch.setattr(predictor, "load", lambda run: Filler())
    typed(monkeypatch, "the dog barks\nthe ___ barks\nstop\n")
    told = rnnzoo_says("predict", "run", "--interactive")
    assert "text: text 1: it has no gap.\n  Write ___ for the word.\ntext: dog 50.0 %\n" in told


def test_ctrl_c_ends_an_interactive_session_as_stop_does(rnnzoo_says, trained, monkeypatch):
    def interrupted(prompt):
        raise KeyboardInterrupt

    monkeypatch.setattr(builtins, "input", interrupted)
    assert rnnzoo_says("predict", trained, "--interactive").endswith("ends.\n\n")


# -- signals and pipes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["list"], ["show", "recipe", "quickstart"]])
def test_a_reader_who_leaves_early_hears_no_complaint(command):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*RNNZOO, *command], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_told_in_a_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run([*RNNZOO, "list"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "cannot write the output: No space left on device.\n")


def test_a_closed_standard_output_is_no_mistake():
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *RNNZOO, "list"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_pipe_is_answered_and_interrupted_without_loss(trained):
    """The first texts are answered while the pipe is still open; Ctrl-C then loses none of the answers."""
    asked = b"a good film\n" * predictor.AHEAD
    with subprocess.Popen(
        [*RNNZOO, "predict", trained, "--file", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as child:
        child.stdin.write(asked)
        child.stdin.flush()
        assert select.select([child.stdout], [], [], 60)[0]
        child.send_signal(signal.SIGINT)
        told, complaint = child.communicate(timeout=60)
    assert child.returncode == 130 and complaint == b"stopped.\n"
    assert 1 <= told.count(b"positive") <= predictor.AHEAD


@pytest.mark.slow
def test_ctrl_c_during_a_fit_leaves_a_run_that_loads(here):
    command = [*RNNZOO, "fit", "quickstart", *TINY, "--trainer.max_epochs", "100000", "--run_dir", "run"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as fit:
        deadline = time.monotonic() + 120
        while not Path("run/checkpoints/best").exists():
            assert fit.poll() is None and time.monotonic() < deadline, fit.communicate()[1]
            select.select([], [], [], 0.05)
        os.killpg(fit.pid, signal.SIGINT)  # as a terminal does: the trackers' processes hear it too
        told, progress = fit.communicate(timeout=60)
    assert fit.returncode == 130
    assert told == "" and "Traceback" not in progress
    assert re.search(
        r"\nstopped in epoch \d+ of 100000, after \d+ steps?.\n  Go on .*\n  Kept: the best checkpoint", progress
    )
    assert json.loads(Path("run/summary.json").read_text())["status"] == "interrupted"
    for pointer in checkpoint.POINTERS:
        checkpoint.load(checkpoint.locate(Path("run/checkpoints", pointer)))
    assert len(predictor.load("run").predict(["so far"])) == 1


def test_in_a_terminal_a_bar_is_drawn_and_ctrl_c_says_what_was_kept(here, monkeypatch):
    fcntl, pty, termios = map(pytest.importorskip, ("fcntl", "pty", "termios"))
    monkeypatch.setenv("TERM", "xterm")
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))  # lines, columns
    command = [*RNNZOO, "fit", "quickstart", *TINY, "--trainer.max_epochs", "100000", "--run_dir", "run"]
    command += ["--trainer.enable_progress_bar", "true"]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True) as fit:
        os.close(terminal)
        printed, pressed = "", False
        while select.select([controller], [], [], 60)[0]:
            try:
                printed += os.read(controller, 2**16).decode()
            except OSError:  # the other end is closed: Linux's way of saying so
                break
            if not pressed and "epoch 2/100000  train/loss" in printed:
                os.killpg(fit.pid, signal.SIGINT)
                pressed = True
    os.close(controller)
    header, _, rest = printed.replace("\r\n", "\n").partition("\n\n")
    assert fit.returncode == 130 and rows(header)["run"] == "run"
    assert re.search(r"\repoch 1/100000 +0 %\| +\| \d+ of \d+ steps, \S+ left", rest)
    assert re.search(r"\repoch 1/100000  train/loss \d.*, about .* left\n", rest)
    stop = re.search(
        r"\nstopped in epoch (\d+) of .*\n  Go on .*\n  Kept: the best checkpoint so far, .* (run\S+)\n", rest
    )
    assert int(stop[1]) >= 3 and (here / stop[2]).is_dir()


def test_the_module_and_the_program_are_one(here):
    done = subprocess.run([*RNNZOO, "fit", "nothing.yaml"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "there is no recipe file 'nothing.yaml'.\n"
    assert REVIEWS and not os.listdir(here)


def test_a_text_may_begin_with_a_dash():
    def asked(verb, *words):
        return parser_of(verb).parse_args(words)

    given = asked("predict", "sentiment", "--text", "-bad", "--text", "--no", "--json")
    assert given.text == ["-bad", "--no"] and given.json
    assert asked("generate", "shakespeare_lstm", "--prompt", "--no", "--length", "3").prompt == "--no"
    assert main(["predict", "sentiment", "--text", "--json"]) == 2
