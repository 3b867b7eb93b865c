"""The command line. Each verb imports what it needs, and nothing before: help and lists answer at once."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rnnzoo import __version__
from rnnzoo.errors import RecipeError, ZooError, nearest

SIGINT_EXIT = 130
PIPE_EXIT = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 2 for a mistake of the caller, 130 for Ctrl-C."""
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except ZooError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        return SIGINT_EXIT
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_EXIT


def _run(arguments: list[str]) -> int:
    parser, verbs = _parser()
    if arguments and not arguments[0].startswith("-") and arguments[0] not in verbs:
        match = nearest(arguments[0], verbs)
        hint = f"\n  Did you mean '{match}'?" if match else ""
        raise ZooError(f"no command is named '{arguments[0]}'.{hint}\n  Commands: {', '.join(verbs)}.")
    arguments, overrides = _split(arguments) if arguments[:1] and arguments[0] in RECIPE_VERBS else (arguments, [])
    given = parser.parse_args(arguments)
    if not hasattr(given, "verb"):
        parser.print_help()
        return 0
    given.overrides = overrides
    return given.verb(given)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Take the recipe's keys, `--a.b value` or `--a.b=value` or `--seed 2`, out of the arguments."""
    own, overrides, waiting = [], [], list(reversed(arguments))
    while waiting:
        word = waiting.pop()
        if not word.startswith("--") or word.partition("=")[0] in OWN_FLAGS:
            own.append(word)
            if word in VALUE_FLAGS and waiting:
                own.append(waiting.pop())
            continue
        overrides.append(word)
        if "=" not in word and waiting and not waiting[-1].startswith("--"):
            overrides.append(waiting.pop())
    return own, overrides


RECIPE_VERBS = ("fit", "validate", "test")
VALUE_FLAGS = ("--run_dir",)
OWN_FLAGS = (*VALUE_FLAGS, "--help", "--print_config", "--json")


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
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", parser_class=_Parser)

    def add(verb: Callable[[argparse.Namespace], int], summary: str, example: str) -> argparse.ArgumentParser:
        name = verb.__name__.strip("_")
        command = commands.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False,
            epilog=f"example: {example}", formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        command.set_defaults(verb=verb)
        return command

    fit = add(
        _fit, "train a recipe, test its best checkpoint, log it",
        "rnnzoo fit imdb_bilstm --model.architecture.cell gru --seed 2 --trainer.max_epochs 3",
    )  # fmt: skip
    fit.usage = "rnnzoo fit RECIPE [--run_dir DIR] [--seed N] [--print_config] [--KEY.KEY VALUE ...]"
    fit.add_argument(
        "recipe", metavar="RECIPE", help="a YAML file, or the name of a shipped recipe (rnnzoo list recipes)"
    )
    fit.add_argument("--run_dir", type=Path, metavar="DIR", help="folder of the run (default: runs/RECIPE/ID)")
    fit.add_argument("--print_config", action="store_true", help="print the complete recipe and do nothing else")
    fit.add_argument("--KEY.KEY", metavar="VALUE", help="any key of the recipe, as --seed 2 or --model.dropout 0.3")
    for verb, part in ((_validate, "dev"), (_test, "test")):
        command = add(
            verb, f"score a run's best checkpoint on its {part} data", f"rnnzoo {verb.__name__[1:]} runs/quickstart/ID"
        )
        command.usage = f"rnnzoo {verb.__name__[1:]} RUN [--json] [--trainer.KEY VALUE | --data.KEY VALUE ...]"
        command.add_argument("run", metavar="RUN", help="a run's folder, or its id")
        command.add_argument("--json", action="store_true", help="print one JSON object")
    predict = add(_predict, "ask a trained model", 'rnnzoo predict runs/quickstart/ID --text "not bad at all"')
    predict.add_argument("run", metavar="RUN", help="a run's folder, or its id")
    what = predict.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", action="append", metavar="TEXT", help="a text; may be given several times")
    what.add_argument(
        "--file", metavar="FILE", help="texts, one a line or JSON lines with a 'text'; - is standard input"
    )
    what.add_argument("--interactive", action="store_true", help="ask for texts until 'stop'")
    predict.add_argument("--json", action="store_true", help="print one JSON object a line")
    listing = add(_list, "list what is installed", "rnnzoo list cells")
    listing.add_argument("kind", nargs="?", metavar="KIND", help=f"{', '.join(LISTS)} (default: all)")
    listing.add_argument("--json", action="store_true", help="print one JSON array")
    show = add(_show, "show a part, a recipe or a run", "rnnzoo show cell lstm   or   rnnzoo show runs/quickstart/ID")
    show.add_argument("what", nargs="+", metavar="KIND NAME | RUN", help="a kind and a name, or a run's folder or id")
    show.add_argument("--json", action="store_true", help="print one JSON object (of a run)")
    return parser, list(commands.choices)


# -- fit, validate, test --------------------------------------------------------------------------------------------


def _fit(given: argparse.Namespace) -> int:
    from rnnzoo import recipe as recipes
    from rnnzoo import runs

    runs.refuse_used(given.run_dir)
    raw = recipes.read(given.recipe, given.overrides)
    resolved = recipes.resolve(raw)
    if given.print_config:
        print(recipes.dump(resolved), end="")
        return 0
    from rnnzoo import experiment

    summary, run = experiment.fit(resolved, given.run_dir)
    if run.writer:
        _print_run(summary, run.path)
    return 0


def _print_run(summary: dict[str, Any], folder: Path) -> None:
    """The one table of a finished run."""
    rows = [(name, f"{value:.4f}") for name, value in summary["metrics"].items() if isinstance(value, float)]
    speed = summary["throughput"]["tokens_per_second"]
    engine = sorted({f"{layer['cell']}: {layer['path']}" for layer in summary["engine"]})
    rows += [
        ("parameters", f"{summary['parameters']:,}"),
        ("training", f"{summary['train_seconds']:.1f} s" + (f", {speed:,.0f} tokens/s" if speed else "")),
        ("engine", "; ".join(engine)),
        ("W&B", summary["wandb"].get("url") or summary["wandb"].get("path") or summary["wandb"]["mode"]),
        ("run", str(_short(folder))),
    ]
    _table(f"{summary['recipe']}, seed {summary['seed']}", rows)


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _table(title: str, rows: Sequence[Sequence[str]], header: Sequence[str] | None = None) -> None:
    """Columns side by side, under a title."""
    lines = [header, *rows] if header else list(rows)
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))] if lines else []
    if title:
        print(title)
    for line in lines:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _validate(given: argparse.Namespace) -> int:
    return _score(given, "dev")


def _test(given: argparse.Namespace) -> int:
    return _score(given, "test")


def _score(given: argparse.Namespace, part: str) -> int:
    from rnnzoo import experiment, runs
    from rnnzoo import recipe as recipes

    changes = recipes.overrides(given.overrides)
    if wrong := [key for key in changes if key not in ("trainer", "data")]:
        raise RecipeError(
            f"command line: {wrong[0]}: cannot be changed after training.\n  Free to change: trainer, data."
        )
    metrics = experiment.evaluate(given.run, part, changes)
    if runs.rank() > 0:
        return 0
    if given.json:
        print(json.dumps(metrics))
    else:
        _table(f"{given.run}, best checkpoint", [(name, f"{value:.6f}") for name, value in metrics.items()])
    return 0


# -- predict --------------------------------------------------------------------------------------------------------


def _predict(given: argparse.Namespace) -> int:
    from rnnzoo import predictor

    if given.interactive:
        model = predictor.load(given.run)
        return _interact(model)
    texts = given.text if given.text is not None else _read_texts(given.file)
    model = predictor.load(given.run)
    for start in range(0, len(texts), 1024):
        some = texts[start : start + 1024]
        for text, answer in zip(some, model.predict(some), strict=True):
            print(
                json.dumps({"text": text} | answer, ensure_ascii=False) if given.json else _answer(answer), flush=False
            )
    return 0


def _answer(answer: dict[str, Any]) -> str:
    """A prediction in a line."""
    if "label" in answer:
        return f"{answer['label']}  {100 * answer['confidence']:.1f} %"
    if "tags" in answer:
        return " ".join(answer["tags"])
    if "next" in answer:
        return "  ".join(f"{token} {100 * p:.1f} %" for token, p in answer["next"].items())
    return str(answer.get("text", answer))


def _read_texts(file: str) -> list[str]:
    from rnnzoo.errors import DataError

    name = "standard input" if file == "-" else file
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read {name}: {error.strerror}.\n  Give a file of texts, one a line, or - for standard input."
        ) from error
    texts = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").split(b"\n"), start=1):
        try:
            text = line.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{name}:{number}: byte {error.start + 1} is not UTF-8.\n  Convert the file to UTF-8."
            ) from None
        texts.append(
            _text_of(text, f"{name}:{number}") if file.endswith((".jsonl", ".json")) or text.startswith("{") else text
        )
    return texts


def _text_of(line: str, where: str) -> str:
    from rnnzoo.errors import DataError

    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON: {error}.\n  Give one object a line, with a 'text'.") from None
    text = row.get("text") if isinstance(row, dict) else row
    if not isinstance(text, str):
        found = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise DataError(
            f'{where}: expected an object with a \'text\', found {found}.\n  As in {{"text": "great movie"}}.'
        )
    return text


def _interact(model: Any) -> int:
    """Ask for texts and answer them until 'stop', the end of the input, or Ctrl-C."""
    print("Type a text and press Enter; 'stop' ends.")
    while True:
        try:
            text = input("text: ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return 0
        if text.lower() == "stop":
            return 0
        if not text:
            print("The text is empty; type a few words.")
            continue
        print(_answer(model.predict([text])[0]))


# -- list, show -----------------------------------------------------------------------------------------------------

LISTS = ("cells", "architectures", "tasks", "datasets", "recipes")


def _list(given: argparse.Namespace) -> int:
    from rnnzoo import registry

    kinds = LISTS if given.kind is None else [_kind(given.kind)]
    rows = []
    for kind in kinds:
        if kind == "recipes":
            rows += _recipe_rows()
        else:
            rows += [{"kind": registry.SINGULAR[kind], **entry._asdict()} for entry in registry.entries(kind)]
            rows = [{**row, "kind": registry.SINGULAR.get(row["kind"], row["kind"])} for row in rows]
    if given.json:
        print(json.dumps(rows, indent=2))
    else:
        _table("", [[row["kind"], row["name"], row["distribution"], row["version"]] for row in rows], HEADER)
    return 0


HEADER = ("KIND", "NAME", "DISTRIBUTION", "VERSION")


def _kind(word: str) -> str:
    from rnnzoo import registry

    if word in ("recipe", "recipes"):
        return "recipes"
    try:
        return registry.kind_of(word)
    except ZooError:
        match = nearest(word, LISTS)
        hint = f"\n  Did you mean '{match}'?" if match else ""
        raise ZooError(f"no kind of part is named '{word}'.{hint}\n  Kinds: {', '.join(LISTS)}.") from None


def _recipe_rows() -> list[dict[str, str]]:
    from rnnzoo import recipe as recipes

    return [
        {"kind": "recipe", "name": name, "distribution": "rnnzoo", "version": __version__, "value": str(path)}
        for name, path in recipes.shipped().items()
    ]


def _show(given: argparse.Namespace) -> int:
    if len(given.what) > 2:
        raise ZooError(
            f"show takes a kind and a name, or a run; got {' '.join(given.what)}.\n  Example: rnnzoo show cell lstm"
        )
    if len(given.what) == 1:
        return _show_run(given.what[0], given.json)
    kind, name = _kind(given.what[0]), given.what[1]
    return _show_recipe(name) if kind == "recipes" else _show_part(kind, name)


def _show_recipe(name: str) -> int:
    from rnnzoo import recipe as recipes

    print(recipes.locate(name).read_text(encoding="utf-8"), end="")
    return 0


def _show_part(kind: str, name: str) -> int:
    import inspect

    from rnnzoo import registry
    from rnnzoo.schema import described, signature

    entry = registry.find(kind, name)
    cls = registry.load(kind, name)
    print(
        f"{registry.SINGULAR[kind]} {entry.name}: {entry.value}, {entry.distribution} {entry.version}".rstrip() + "\n"
    )
    print(inspect.getdoc(cls) or "(no docstring)")
    print("\nParameters:")
    found = signature(cls).items()
    _table(
        "",
        [(k, described(p.annotated), "required" if p.required else f"= {p.default}") for k, p in found] or [("none",)],
    )
    print("\nSource:")
    try:
        print(inspect.getsource(cls), end="")
    except (OSError, TypeError):
        print("  not available")
    return 0


def _show_run(run: str, as_json: bool) -> int:
    from rnnzoo import runs

    told = runs.read(run)
    if as_json:
        print(json.dumps(told, indent=2))
        return 0
    summary = told["summary"]
    lines = [("folder", told["path"]), ("status", str(summary.get("status", "unknown")))]
    lines += [
        (key, str(summary[key]))
        for key in ("recipe", "seed", "started", "parameters", "train_seconds", "cpu_seconds")
        if key in summary
    ]
    lines += [(name, f"{value:.4f}") for name, value in summary.get("metrics", {}).items() if value is not None]
    lines += [
        (f"engine {layer['layer']}", f"{layer['cell']} {layer['direction']}: {layer['path']} ({layer['why']})")
        for layer in summary.get("engine", [])
    ]
    lines += [(f"version {name}", version) for name, version in summary.get("versions", {}).items()]
    lines += [(f"data {key}", str(value)) for key, value in summary.get("data", {}).items()]
    lines += [(key.replace("_", " "), f"{value:,.1f}") for key, value in summary.get("throughput", {}).items() if value]
    lines += [(f"checkpoint {name}", target) for name, target in told["checkpoints"].items()]
    lines += [("W&B", str(value)) for key, value in summary.get("wandb", {}).items() if key in ("url", "path")]
    _table("", lines)
    if told["metrics"]:
        print("\nlast of metrics.jsonl:")
        for record in told["metrics"][-3:]:
            print("  " + json.dumps(record))
    return 0
