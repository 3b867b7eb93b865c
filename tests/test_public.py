"""The public face: what a script or a plugin imports, and from where."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rnnzoo

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*ROOT.glob("plugins/*/**/*.py"), *ROOT.glob("rnnzoo/templates/**/*.py.in")])


def imported(path):
    """Modules of rnnzoo that a file imports, each with the names that it takes from it."""
    text = re.sub(r"\$\w+", "name", path.read_text(encoding="utf-8"))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "rnnzoo":
            yield str(node.module), {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "rnnzoo":
                    yield alias.name, set()


def imports_for_types():
    """Public names by their modules, as the type checker sees them."""
    tree = ast.parse((ROOT / "rnnzoo" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    for node in block.body:
        for alias in node.names:
            yield alias.name, f"rnnzoo.{alias.name}" if node.module == "rnnzoo" else node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_plugins_and_templates_import_only_what_is_public(path):
    for module, names in imported(path):
        assert module in ("rnnzoo", "rnnzoo.testing"), f"{path.name} imports {module}"
        assert names <= set(rnnzoo.__all__) or module == "rnnzoo.testing", names - set(rnnzoo.__all__)


def test_the_public_names_are_the_same_for_the_interpreter_and_for_the_type_checker():
    assert dict(imports_for_types()) == rnnzoo._PUBLIC
    assert {*rnnzoo._PUBLIC, "__version__"} == set(rnnzoo.__all__)
    assert sorted(rnnzoo.__all__) == dir(rnnzoo)


@pytest.mark.parametrize("name", sorted(rnnzoo._PUBLIC))
def test_a_public_name_says_what_it_is(name):
    value = getattr(rnnzoo, name)
    if inspect.isclass(value):
        assert vars(value).get("__doc__"), f"{name} has no docstring of its own"
    elif inspect.isroutine(value) or inspect.ismodule(value):
        assert value.__doc__, f"{name} has no docstring"


def test_contributing_lists_every_public_name():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## What is public")[2].partition("\n## ")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("| ") and "Names in" not in line)
    assert set(re.findall(r"`(\w+)`", table)) == set(rnnzoo._PUBLIC)


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "rnnzoo" / "py.typed").exists()


@pytest.mark.slow
def test_plugins_pass_the_strict_type_checker_as_a_stranger_runs_it(tmp_path):
    """But for calls of functions that torch leaves without types, and packages that a plugin needs and are not here."""
    files = sorted(map(str, ROOT.glob("plugins/*/rnnzoo_*.py")))
    command = ["mypy", "--strict", "--allow-untyped-calls", "--follow-imports=silent", "--config-file="]
    command += ["--ignore-missing-imports", "--cache-dir"]
    done = subprocess.run([sys.executable, "-m", *command, str(tmp_path), *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
