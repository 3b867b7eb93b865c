"""The command line. Each verb imports what it needs, and nothing before: help and lists answer at once."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rnnzoo import __version__, limits
from rnnzoo.cli import bench, show, vectors
from rnnzoo.errors import DataError, RecipeError, Terminated, ZooError, nearest
from rnnzoo.inference import texts
from rnnzoo.runs import report
from rnnzoo.system import console, files
from rnnzoo.system.launcher import forget_leftovers, rank
from rnnzoo.system.paths import typed
from rnnzoo.system.plain import plain
from rnnzoo.system.redaction import redact

MISTAKE_EXIT, SIGINT_EXIT, PIPE_EXIT, SIGTERM_EXIT = 2, 130, 141, 143
FULL = (errno.ENOSPC, errno.EDQUOT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 2 for a mistake of the caller, 130 for Ctrl-C, 143 for SIGTERM."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # torch's idle threads give their cores away, read on its import
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what the terminal's encoding lacks is printed as an escape
            stream.reconfigure(errors="backslashreplace")
    try:
        with console.guarded():
            return _told(list(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:  # `| head` has seen enough
        _drop_output()
        return PIPE_EXIT
    except OSError as error:
        if error.errno not in FULL:
            raise
        _drop_output()
        console.print_error(f"cannot write {error.filename or 'the output'}: {error.strerror}.")
        return MISTAKE_EXIT


def _told(arguments: list[str]) -> int:
    """Run one command; a mistake is told in its own words, after all that was printed before it."""
    try:
        code = _run(arguments)
        console.flush()
        return code
    except ZooError as error:
        console.print_error(error)
        return MISTAKE_EXIT
    except KeyboardInterrupt as stop:
        console.flush()
        if sys.stderr.isatty():
            console.print_error()  # the terminal has written ^C
        console.print_error(str(stop) or "stopped.")
        return SIGTERM_EXIT if isinstance(stop, Terminated) else SIGINT_EXIT


def _drop_output() -> None:
    """Let what is still to be printed go nowhere, so that Python does not fail on it when it ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# -- what was asked -------------------------------------------------------------------------------------------------

KINDS = ("cell", "architecture", "task", "dataset")
RECIPE_VERBS = ("fit", "validate", "test")
VALUE_FLAGS = ("--run_dir",)
GENERATING: dict[str, tuple[type, str]] = {
    "length": (int, "words or characters to write (default: 100)"),
    "temperature": (float, "below 1 the likely becomes likelier; 0 takes the likeliest (default: 1)"),
    "top_k": (int, "draw from the k likeliest only"),
    "top_p": (float, "draw from the fewest likeliest that have this probability together"),
    "beam": (int, "the likeliest continuation that a search so wide finds; nothing is drawn"),
    "seed": (int, "the same seed writes the same text (default: 0)"),
}
TEXT_FLAGS = ("--text", "--prompt")
BESIDE_TEXTS = (*TEXT_FLAGS, *(f"--{name}" for name in (*GENERATING, "json", "file", "interactive", "midi", "help")))
OWN_FLAGS = (*VALUE_FLAGS, "--help", "--print_config", "--json", "--dynamic_evaluation")


def _run(arguments: list[str]) -> int:
    parser, verbs = _parser()
    if arguments and not arguments[0].startswith("-") and arguments[0] not in verbs:
        match = nearest(arguments[0], verbs)
        hint = f"\n  Did you mean '{match}'?" if match else ""
        raise ZooError(f"no command is named '{arguments[0]}'.{hint}\n  Commands: {', '.join(verbs)}.")
    arguments = _with_texts(arguments)
    arguments, overrides = _split(arguments) if arguments[:1] and arguments[0] in RECIPE_VERBS else (arguments, [])
    try:
        given, rest = parser.parse_known_args(arguments)
    except SystemExit:  # --help and --version have printed; mistakes are raised
        return 0
    prog = f"rnnzoo {arguments[0]}" if arguments[:1] and arguments[0] in verbs else "rnnzoo"
    if rest:
        raise ZooError(f"{prog}: unexpected argument '{rest[0]}'.\n  See `{prog} --help`.")
    if not hasattr(given, "verb"):
        parser.print_help()
        return 0
    given.overrides = overrides
    if warning := forget_leftovers():
        console.print_error(warning)
    return given.verb(given)


def _with_texts(arguments: list[str]) -> list[str]:
    """`--text -bad` as `--text=-bad`: a text may begin with a dash, unless it is one of our flags."""
    joined: list[str] = []
    for word in arguments:
        if joined and joined[-1] in TEXT_FLAGS and word.startswith("-") and word.partition("=")[0] not in BESIDE_TEXTS:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Take the recipe's keys, `--a.b value` or `--a.b=value` or `--seed 2`, out of the arguments."""
    own, overrides, waiting = [], [], list(reversed(arguments))
    while waiting:
        word = waiting.pop()
        name, equals, value = word.partition("=")
        flag = name.replace("-", "_").replace("__", "--", 1)  # --run-dir is --run_dir
        if not word.startswith("--") or flag in OWN_FLAGS:
            own.append(f"{flag}{equals}{value}" if flag in OWN_FLAGS else word)
            if not equals and flag in VALUE_FLAGS and waiting:
                own.append(waiting.pop())
            continue
        overrides.append(word)
        if not equals and waiting and not waiting[-1].startswith("--"):
            overrides.append(waiting.pop())
    return own, overrides


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ZooError(f"{self.prog}: {message}.\n  See `{self.prog} --help`.")


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    parser = _Parser(
        prog="rnnzoo",
        description="The model zoo of recurrent networks for PyTorch Lightning.",
        epilog="example: rnnzoo fit quickstart",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"rnnzoo {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")

    def add(verb: Callable[[argparse.Namespace], int], summary: str, example: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            verb.__name__.strip("_").replace("_", "-"),
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"example: {example}",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(verb=verb)
        return command

    fit = add(
        _fit,
        "train a recipe, test its best checkpoint, log it",
        "rnnzoo fit imdb_bilstm --model.architecture.cell gru --seed 2 --trainer.max_epochs 3",
    )
    fit.usage = "rnnzoo fit RECIPE [--run_dir DIR] [--seed N] [--print_config] [--KEY.KEY VALUE ...]"
    fit.add_argument("recipe", metavar="RECIPE", help="a YAML file, or a name that `rnnzoo list recipes` tells")
    fit.add_argument("--run_dir", type=typed, metavar="DIR", help="folder of the run (default: runs/RECIPE/ID)")
    fit.add_argument("--print_config", action="store_true", help="print the complete recipe and do nothing else")
    fit.add_argument("--KEY.KEY", metavar="VALUE", help="any key of the recipe, as --seed 2 or --model.dropout 0.3")
    for verb, part in ((_validate, "dev"), (_test, "test")):
        name = verb.__name__.strip("_")
        command = add(verb, f"score a run's best checkpoint on its {part} data", f"rnnzoo {name} runs/quickstart/ID")
        command.usage = f"rnnzoo {name} RUN [--json] [--dynamic_evaluation] [--trainer.KEY | --data.KEY VALUE ...]"
        command.add_argument("run", metavar="RUN", help="a run's folder, or its id")
        command.add_argument("--json", action="store_true", help="print one JSON object")
        command.add_argument(
            "--dynamic_evaluation", action="store_true", help="also let a language model learn from what it has read"
        )
    predict = add(_predict, "ask a trained model", 'rnnzoo predict runs/quickstart/ID --text "not bad at all"')
    predict.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    what = predict.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", action="append", metavar="TEXT", help="a text; may be given several times")
    what.add_argument("--file", metavar="FILE", help="a table, a text a line, a WAV or a folder of them; - is stdin")
    what.add_argument("--interactive", action="store_true", help="ask for texts until 'stop'")
    predict.add_argument("--text_column", metavar="NAME", help="of a table (default: as the run's data had it)")
    predict.add_argument("--json", action="store_true", help="print one JSON object a line")
    generate = add(
        _generate,
        "go on with a text, by a language model; <unk> is never written",
        'rnnzoo generate runs/toy_text/ID --prompt "the dog" --length 50 --temperature 0.8',
    )
    generate.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    generate.add_argument("--prompt", default="", metavar="TEXT", help="the text to go on with (default: a new line)")
    for name, (kind, summary) in GENERATING.items():
        flags = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
        generate.add_argument(*flags, type=kind, metavar=name[0].upper(), help=summary)
    generate.add_argument("--midi", type=typed, metavar="FILE", help="write the notes of a model of chorales as MIDI")
    generate.add_argument("--json", action="store_true", help="print one JSON object")
    listing = add(_list, "list what is installed", "rnnzoo list cells")
    listing.add_argument("kind", nargs="?", metavar="KIND", help=f"{', '.join(show.LISTS)}, combinations")
    listing.add_argument("--json", action="store_true", help="print one JSON array")
    showing = add(
        _show, "show a part, a recipe or a run", "rnnzoo show cell lstm   or   rnnzoo show runs/quickstart/ID"
    )
    showing.usage = "rnnzoo show KIND NAME | RUN [--json | --curves FILE]"
    showing.add_argument("what", nargs="+", metavar="KIND NAME | RUN", help="a kind and a name, or a run")
    how = showing.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print one JSON object (of a run)")
    how.add_argument("--curves", type=typed, metavar="FILE", help="draw a run's training and validation, as .svg")
    reach = add(
        _gradients,
        "draw how far back the last output of trained models reaches",
        "rnnzoo gradients runs/adding_lstm/ID runs/adding_vanilla/ID --out reach.svg",
    )
    reach.add_argument("run", nargs="+", metavar="RUN", help="runs' folders, or their ids")
    reach.add_argument(
        "--out", type=typed, default=Path("gradients.svg"), metavar="FILE", help="(default: %(default)s)"
    )
    reach.add_argument("--json", action="store_true", help="print each run's |dh_T/dx_(T-k)|, k = 0, 1, ...")
    check = add(_check, "check that a part keeps its contract, and show what holds", "rnnzoo check lstm")
    check.add_argument("name", nargs="+", metavar="NAME", help="names that `rnnzoo list` tells; 'all' for every cell")
    check.add_argument("--kind", default="cell", choices=KINDS, help="(default: cell)")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    new = add(_new_plugin, "write a package with a part of your own", "rnnzoo new-plugin mgu --kind cell")
    new.add_argument("name", metavar="NAME", help="the part's name in recipes, as in my_cell")
    new.add_argument("--kind", default="cell", choices=KINDS, help="(default: cell)")
    new.add_argument("--folder", type=typed, metavar="DIR", help="where to write it (default: rnnzoo-NAME, here)")
    table = add(
        _results,
        "make the table of results from finished runs of the shipped recipes",
        "rnnzoo results   or   rnnzoo results runs/imdb_bilstm/ID --keep",
    )
    table.add_argument("run", nargs="*", metavar="RUN", help="runs' folders or ids (default: those that were kept)")
    table.add_argument("--keep", action="store_true", help="keep the runs' facts in recipes/manifests first")
    table.add_argument("--ship", action="store_true", help="put the runs' weights into rnnzoo/pretrained")
    table.add_argument("--markdown", type=typed, metavar="FILE", help="write a page with the table, as RESULTS.md")
    table.add_argument("--csv", type=typed, metavar="FILE", help="write the table with all columns")
    table.add_argument("--update", type=typed, metavar="FILE", help="write the table into a marked page, as README.md")
    vectors.add_arguments(
        add(_vectors, "train or score vectors of words", "rnnzoo vectors train --data ptb --out ptb_vectors.txt")
    )
    bench.add_arguments(add(_bench, "measure the speed of cells, or of a recipe", "rnnzoo bench cell lstm gru --json"))
    return parser, list(commands.choices)


# -- fit, validate, test --------------------------------------------------------------------------------------------


def _fit(given: argparse.Namespace) -> int:
    from rnnzoo import recipe as recipes
    from rnnzoo import runs

    runs.refuse_used(given.run_dir)
    raw = recipes.read(given.recipe, given.overrides)  # a file that is not there is told before torch is imported
    from rnnzoo.experiment.resolver import resolve

    resolved = resolve(raw)
    if given.print_config:
        console.print(recipes.dump(redact(resolved)), end="")
        return 0
    from rnnzoo.experiment.fit import fit

    with contextlib.redirect_stdout(sys.stderr):  # progress; standard output has the result alone
        summary, run = fit(resolved, given.run_dir)
    if run.writer:
        report.show_result(summary, run.path)
    return 0


def _validate(given: argparse.Namespace) -> int:
    return _score(given, "dev")


def _test(given: argparse.Namespace) -> int:
    return _score(given, "test")


def _score(given: argparse.Namespace, part: str) -> int:
    from rnnzoo import recipe as recipes
    from rnnzoo import runs

    changes = recipes.overrides(given.overrides)
    free = {key: value for key, value in changes.items() if key in ("trainer", "data") and isinstance(value, dict)}
    fixed = [key for key in changes if key not in free] + [f"{key}.name" for key in free if "name" in free[key]]
    if fixed:
        raise RecipeError(
            f"command line: {fixed[0]}: cannot be changed after training.\n  Free to change: --trainer.KEY, --data.KEY."
        )
    folder = runs.find(given.run)
    from rnnzoo.experiment.evaluate import evaluate

    with contextlib.redirect_stdout(sys.stderr):
        metrics = evaluate(folder, part, changes, given.dynamic_evaluation)
    if rank() == 0 and given.json:
        console.print_json(metrics)
    elif rank() == 0:
        console.table([(name, f"{value:.6f}") for name, value in metrics.items()], f"{given.run}, best checkpoint")
    return 0


# -- predict --------------------------------------------------------------------------------------------------------


def _predict(given: argparse.Namespace) -> int:
    path = None if given.file in (None, "-") else typed(given.file)
    if path is not None and not path.is_dir():
        with texts.opened(given.file, texts.Column()):  # one that is not there is told before a model is loaded
            pass
    from rnnzoo.inference import predictor

    model = predictor.load(given.run)
    if path is not None and (questions := model.questions(path)) is not None:
        names = [name for name, _ in questions]
        for name, answer in zip(names, model.predict([question for _, question in questions]), strict=True):
            console.print(
                _line(name, answer, given.json)
                if given.json or len(names) == 1
                else f"{console.inline(name)}  {_line(name, answer, False)}"
            )
        return 0
    with contextlib.nullcontext(given.text) if given.file is None else _asked(model, given) as asked:
        if given.interactive:
            return _interact(model, given.json)
        count = strange = 0
        for text, answer in model.stream(asked):
            console.print(_line(text, answer, given.json))
            count, strange = count + 1, strange + (answer.get("unknown_share") == 1)
    if strange:
        console.print_error(f"{strange} of {count} texts have no word that the model knows.")
    return 0


def _asked(model: Any, given: argparse.Namespace) -> contextlib.AbstractContextManager[Any]:
    """The texts of a file, by the column that the model was trained on unless another is named."""
    return texts.opened(given.file, texts.Column.of(model.recipe["data"], given.text_column))


def _line(text: str, answer: dict[str, Any], as_json: bool) -> str:
    """A prediction in one line; as text, a forecast has one for each step."""
    if not as_json:
        forecast = answer.get("values") and isinstance(answer["values"][0], list)
        return "\n".join(map(console.inline, _steps(answer) if forecast else [_answer(answer)]))
    return console.json_text({"input": text, **answer})


def _answer(answer: dict[str, Any]) -> str:
    if "label" in answer:
        return f"{answer['label']}  {100 * answer['confidence']:.1f} %"
    if "tags" in answer:
        return " ".join(map("/".join, zip(answer["words"], answer["tags"], strict=False)))  # words beyond a limit: none
    if "values" in answer:
        return "  ".join(f"{value:.6g}" for value in answer["values"])
    if "gaps" in answer:
        return "  |  ".join(_shares(words) for words in answer["gaps"])
    if "next" in answer:
        return _shares(answer["next"])
    return str(answer.get("text", answer))


def _steps(answer: dict[str, Any]) -> list[str]:
    """Numbers for each step of some variables, a line for a step."""
    names = answer.get("variables") or [str(number) for number in range(1, len(answer["values"][0]) + 1)]
    rows = [zip(names, row, strict=True) for row in answer["values"]]
    told = ("  ".join(f"{name} {value:.6g}" for name, value in row) for row in rows)
    return [f"step {step}  {line}" for step, line in enumerate(told, start=1)]


def _shares(words: dict[str, float]) -> str:
    return "  ".join(f"{word} {100 * p:.1f} %" for word, p in words.items())


def _interact(model: Any, as_json: bool) -> int:
    """Ask for texts and answer them until 'stop', the end of the input, or Ctrl-C."""
    if sys.stdin is None:
        raise DataError("cannot ask for a text: standard input is closed.")
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (arrow keys and history, where there is one)
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")
    console.print("Type a text and press Enter; 'stop' ends.")
    try:
        while (text := input("text: ").strip()).lower() != "stop":
            if not text:
                console.print("The text is empty; type a few words.")
                continue
            try:
                (answer,) = model.predict([text])
            except DataError as error:
                console.print(error)
                continue
            strange = "" if as_json or answer.get("unknown_share", 0) < 1 else "  (the model knows no word of it)"
            console.print(_line(text, answer, as_json) + strange)
    except (EOFError, KeyboardInterrupt):
        console.print()
    return 0


# -- generate -------------------------------------------------------------------------------------------------------


def _generate(given: argparse.Namespace) -> int:
    how = {name: value for name in GENERATING if (value := getattr(given, name)) is not None}
    wrong = [f"rnnzoo generate: --{name} {problem}." for name in how if (problem := limits.problem(name, how[name]))]
    drawing = [f"--{name}" for name in how if name not in ("length", "beam")]
    if "beam" in how and drawing:
        wrong.append(
            f"rnnzoo generate: --beam takes the likeliest and draws nothing.\n  Leave out {drawing[0]}, or --beam."
        )
    if wrong:
        raise ZooError(*wrong)
    from rnnzoo.inference import predictor

    found = predictor.load(given.run).generate(given.prompt, **how)
    if given.midi is not None:
        from rnnzoo.data.readers import midi

        midi.write(given.midi, found.text.split())
    if given.json:
        console.print_json(found._asdict())
    else:
        console.print("\n".join(map(console.inline, found.text.split("\n"))))
    if found.unknown:
        console.print_error(f"the model does not know: {', '.join(map(console.inline, found.unknown))}.")
    return 0


# -- list, show -----------------------------------------------------------------------------------------------------


def _list(given: argparse.Namespace) -> int:
    if given.kind == "combinations":
        rows, header = show.combinations(), show.COMBINATION
    else:
        kinds = [show.kind_of(given.kind)] if given.kind else show.LISTS
        rows, header = [row for kind in kinds for row in show.listed(kind)], show.HEADER
    if given.json:
        console.print_json(rows, indent=2)
    else:
        console.table([header, *([row[key.lower()] for key in header] for row in rows)])
    return 0


def _show(given: argparse.Namespace) -> int:
    if len(given.what) == 1:
        return _show_run(given.what[0], given.json, given.curves)
    of_runs = [flag for flag, value in (("--json", given.json), ("--curves", given.curves)) if value]
    if len(given.what) > 2 or of_runs:
        got = " ".join([*given.what, *of_runs])
        raise ZooError(f"rnnzoo show: takes a kind and a name, or a run, got '{got}'.\n  As in: rnnzoo show cell lstm")
    kind, name = show.kind_of(given.what[0]), given.what[1]
    if kind == "recipes":
        show.show_recipe(name)
    elif kind == "models":
        show.show_model(name)
    else:
        show.show_part(kind, name)
    return 0


def _show_run(run: str, as_json: bool, picture: Path | None) -> int:
    from rnnzoo import runs
    from rnnzoo.pictures import curves

    try:
        told = runs.read(run)
    except ZooError as error:
        kinds = [kind for kind in show.LISTS if run in (kind, kind.removesuffix("s"))]
        named = [kind for kind in show.LISTS if any(row["name"] == run for row in show.listed(kind))]
        if kinds or named:
            hint = f"{run} NAME" if kinds else f"{named[0].removesuffix('s')} {run}"
            raise ZooError(f"{error}\n  To show a part or a recipe: rnnzoo show {hint}") from None
        raise
    if picture is not None:
        curves.draw(Path(told["path"]), picture)
        console.print(picture)
    elif as_json:
        console.print_json(plain(told), indent=2)
    else:
        report.show_run(told)
    return 0


# -- gradients ------------------------------------------------------------------------------------------------------


def _gradients(given: argparse.Namespace) -> int:
    from rnnzoo.experiment import gradients

    found: dict[str, list[float]] = {run: gradients.of_run(run) for run in given.run}
    if given.json:
        console.print_json(plain(found))
    else:
        for run, norms in found.items():
            half = next((str(k) for k, norm in enumerate(norms) if norm < norms[0] / 2), f"more than {len(norms) - 1}")
            told = f"halved {half} steps back" if norms[0] > 0 else "zero, or no number, at the last step"
            console.print(f"{run}: the gradient is {told}")
    names = [Path(run).name for run in found]
    named = zip(found, names, strict=True)
    lines = {name if names.count(name) == 1 else run: found[run] for run, name in named}
    files.write_text(given.out, gradients.picture(lines))
    if not given.json:
        console.print(f"drawn: {given.out}")
    return 0


# -- check, new-plugin, results, bench ------------------------------------------------------------------------------


def _check(given: argparse.Namespace) -> int:
    from rnnzoo import testing

    return testing.run(given.kind, given.name, given.json)


def _new_plugin(given: argparse.Namespace) -> int:
    from rnnzoo import templates

    templates.write(given.kind, given.name, given.folder)
    return 0


def _results(given: argparse.Namespace) -> int:
    from rnnzoo.cli import results

    return results.run(given)


def _vectors(given: argparse.Namespace) -> int:
    return vectors.run(given)


def _bench(given: argparse.Namespace) -> int:
    return bench.run(given)
