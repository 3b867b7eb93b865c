"""docs/walk.md names files and what they define: each is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WALK = (ROOT / "docs" / "walk.md").read_text(encoding="utf-8")
PROSE = {"overrides", "scan.cpp", "update", "nn.Module", "base:", "model:"}


def defined(path: str) -> set[str]:
    """What a file defines: functions, classes, variables, and the members of classes as `Class.method`."""
    names: set[str] = set()

    def visit(body: list[ast.stmt], above: str) -> None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(above + node.name)
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{node.name}.")
            elif isinstance(node, ast.ImportFrom) and path.endswith("__init__.py"):  # a package's face
                names.update(alias.name for alias in node.names)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names.update(above + target.id for target in targets if isinstance(target, ast.Name))

    visit(ast.parse((ROOT / path).read_text(encoding="utf-8")).body, "")
    return names


def items() -> list[tuple[set[str], set[str]]]:
    """The files and the other names of each numbered item."""
    words = [set(re.findall(r"`([^`\n]+)`", item)) for item in re.split(r"\n(?=\d+\. |## )", WALK)[1:]]
    files = [{word for word in item if word.startswith("rnnzoo/")} for item in words]
    prose = [{word for word in item if word in PROSE or word.startswith(("rnnzoo ", "rnnzoo."))} for item in words]
    return [(own, item - own - free) for own, item, free in zip(files, words, prose, strict=True) if own]


@pytest.mark.parametrize("section", WALK.split("\n## ")[1:], ids=lambda text: text.partition("\n")[0])
def test_a_way_names_at_least_six_files(section):
    assert len(set(re.findall(r"`(rnnzoo/[\w/]+\.py)`", section))) >= 6


@pytest.mark.parametrize(("files", "names"), items())
def test_every_name_is_defined_in_a_file_that_is_named_beside_it(files, names):
    assert names <= set().union(*map(defined, files))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", "docs/walk.md", "docs/add_a_data_set.md"])
def test_every_file_that_a_page_names_is_there(page):
    files = re.findall(r"`((?:rnnzoo|tests|plugins|recipes)/[\w./-]+)`", (ROOT / page).read_text(encoding="utf-8"))
    assert [file for file in files if "NAME" not in file and not (ROOT / file).exists()] == []
