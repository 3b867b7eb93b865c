"""The house in numbers: `python tests/house.py` prints each figure beside its bar, and exits 1 where one is missed."""

from __future__ import annotations

import ast
import io
import re
import statistics
import subprocess
import sys
import time
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rnnzoo"
SHAPE = re.compile(
    r"\((\.\.\.|\*|[a-z_]+)(,|\))|scalar"
)  # "(batch, time, features)", "(batch,)", "(rows, hidden_size)"
BROAD = ("Exception", "BaseException")
FORBIDDEN_IN_PREDICT = ("lightning", "datasets", "wandb")


class Figure(NamedTuple):
    """A number, the bar that it must not pass, and what passes it."""

    name: str
    value: float
    bar: float
    examples: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.value <= self.bar


class Source(NamedTuple):
    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())


def sources() -> list[Source]:
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    return [Source(path, text, ast.parse(text)) for path, text in texts.items()]


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(source.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def file_lengths(files: list[Source]) -> list[Figure]:
    by_length = sorted(files, key=lambda file: -file.lines)
    lengths = [file.lines for file in files if file.path.name != "__init__.py" or file.lines > 1]
    tenth = statistics.quantiles(lengths, n=10)[-1]
    longest = tuple(f"{file.name} {file.lines}" for file in by_length if file.lines > 400)
    return [
        Figure("file length, median", statistics.median(lengths), 110),
        Figure("file length, 90 % below", tenth, 250),
        Figure("file length, longest", by_length[0].lines, 400, longest),
    ]


def long_functions(files: list[Source]) -> Figure:
    every = [(file, function) for file in files for function in functions(file)]
    over = [(length(function), file, function) for file, function in every if length(function) > 50]
    named = tuple(f"{file.name}:{function.lineno} {function.name} {size}" for size, file, function in over)
    return Figure("functions over 50 lines, %", round(100 * len(over) / len(every), 2), 0.6, named)


def unformatted() -> Figure:
    found = []
    for path in sorted(path for folder in ("rnnzoo", "tests", "plugins") for path in (ROOT / folder).rglob("*.py")):
        for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
            if token.type == tokenize.COMMENT and re.search(r"fmt:\s*(skip|off)", token.string):
                found.append(f"{path.relative_to(ROOT).as_posix()}:{token.start[0]}")
    return Figure("fmt: skip", len(found), 0, tuple(found))


def untyped(files: list[Source]) -> Figure:
    counts = {
        file.name: sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(file.tree))
        for file in files
    }
    most = sorted(counts, key=lambda name: -counts[name])[:12]
    share = 100 * sum(counts.values()) / sum(file.lines for file in files)
    return Figure("Any, in 100 lines", round(share, 2), 1.5, tuple(f"{name} {counts[name]}" for name in most))


def shapeless(files: list[Source]) -> Figure:
    """Methods `forward` and `update` without a docstring that gives a shape."""
    found = []
    for file in files:
        for cls in (node for node in ast.walk(file.tree) if isinstance(node, ast.ClassDef)):
            for function in cls.body:
                if not isinstance(function, ast.FunctionDef) or function.name not in ("forward", "update"):
                    continue
                if not SHAPE.search(ast.get_docstring(function) or ""):
                    found.append(f"{file.name}:{function.lineno} {cls.name}.{function.name}")
    return Figure("forward and update without shapes", len(found), 0, tuple(found))


def broad_excepts(files: list[Source]) -> Figure:
    """Handlers of any exception, but for those whose comment says that a plugin's code runs there."""
    found = []
    for file in files:
        lines = file.text.splitlines()
        for node in ast.walk(file.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            names = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} if node.type else {*BROAD}
            if names & {*BROAD} and "plugin" not in lines[node.lineno - 1]:
                found.append(f"{file.name}:{node.lineno}")
    return Figure("broad excepts away from plugins", len(found), 0, tuple(found))


def imports_of_predict() -> Figure:
    code = (
        "import sys; from rnnzoo.cli import main; code = main(['predict', 'sentiment', '--text', 'x'])\n"
        f"print(*sorted({{m.partition('.')[0] for m in sys.modules}} & {{*{FORBIDDEN_IN_PREDICT!r}}}), sep='\\n')"
        "if not code else sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = [name for name in FORBIDDEN_IN_PREDICT if name in ran.stdout.splitlines()]
    return Figure("heavy imports of `rnnzoo predict sentiment --text x`", len(loaded), 0, tuple(loaded))


def start_times() -> list[Figure]:
    """Medians of 9, interleaved, as multiples of an empty Python's."""
    commands = {
        "pass": ["-c", "pass"],
        "list": ["-m", "rnnzoo", "list"],
        "--help": ["-m", "rnnzoo", "--help"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(9):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *command], capture_output=True, check=True)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return [
        Figure(f"`rnnzoo {name}` / `python -c pass`", round(medians[name] / medians["pass"], 1), 10)
        for name in ("list", "--help")
    ]


def by_reading() -> list[Figure]:
    """The figures that take no other process."""
    sys.path.insert(0, str(ROOT / "tests"))
    import test_floors

    files = sources()
    return [
        Figure("import cycles", len(test_floors.cyclic()), 0, tuple(test_floors.cyclic())),
        Figure("arrows up", len(test_floors.upwards()), 0, tuple(test_floors.upwards())),
        Figure("loose modules in rnnzoo/", len(list(PACKAGE.glob("*.py"))), 8),
        *file_lengths(files),
        long_functions(files),
        unformatted(),
        untyped(files),
        shapeless(files),
        broad_excepts(files),
    ]


def main() -> int:
    figures = [*by_reading(), *start_times(), imports_of_predict()]
    for figure in figures:
        print(f"{'ok  ' if figure.ok else 'MISS'} {figure.name:55} {figure.value:>8g}  (at most {figure.bar:g})")
        if not figure.ok:
            print(*(f"       {example}" for example in figure.examples), sep="\n", end="\n" if figure.examples else "")
    return 0 if all(figure.ok for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
