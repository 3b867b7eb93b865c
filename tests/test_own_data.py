"""docs/from_file_to_page.md is true: each of its recipes learns its data, and its three commands work."""

import json
import re
import shlex
from pathlib import Path

import own_data
import pytest
from browser import needs_chromium

from rnnzoo.cli import main

PAGE = (Path(__file__).parents[1] / "docs" / "from_file_to_page.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"```yaml\n# ((\w+)\.yaml.*?)```", PAGE, re.DOTALL)
REACHED = {  # better than what needs no learning: a label by chance, the month before
    "stars": ("test/f1", 0.5, 1),
    "walks": ("test/accuracy", 0.6, 1),
    "sales": ("test/mse", 0, 0.5),
    "tickets": ("test/f1_micro", 0.8, 1),
    "chinese": ("test/accuracy", 0.9, 1),
}


def test_the_page_has_five_data_sets_and_three_commands_for_each():
    assert [name for _, name in RECIPES] == list(REACHED)
    assert len(re.findall(r"^\$ rnnzoo ", PAGE, re.MULTILINE)) == 3 * len(REACHED)


@needs_chromium  # which checks a page before it is kept
@pytest.mark.slow
@pytest.mark.parametrize("name", REACHED)
def test_from_a_file_to_a_page(name, here, capfd):
    own_data.main(here)
    recipe = next(text for text, own in RECIPES if own == name)
    Path(f"{name}.yaml").write_text(f"# {recipe}", encoding="utf-8")
    commands = re.findall(rf"^\$ rnnzoo (.*\b{name}\b.*)$", PAGE, re.MULTILINE)
    for command in commands:
        told = shlex.split(command) + (["--trainer.enable_progress_bar=false"] if command.startswith("fit") else [])
        assert main(told) == 0, capfd.readouterr().err
    metric, least, most = REACHED[name]
    assert least <= json.loads(Path("runs", name, "summary.json").read_text())["metrics"][metric] <= most
    page = Path(f"{name}.html") if commands[2].startswith("page") else Path("runs", name, "report.html")
    assert page.stat().st_size > 10_000
