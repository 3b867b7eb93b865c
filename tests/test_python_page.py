"""docs/python.md: its code runs, in its order, and prints what it says."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


def run(section: str, capsys) -> list[str]:
    """Run the code of a section; what it printed, but for the tables of runs."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", SECTIONS[section], re.DOTALL))
    capsys.readouterr()
    exec(compile(f"import rnnzoo\nimport numpy as np\n{code}", "docs/python.md", "exec"), {})
    return [line for line in capsys.readouterr().out.splitlines() if line]


def test_a_frame_trains_the_model_of_a_recipe(here, capsys):
    lines = run("Train on rows in memory", capsys)
    assert lines[-2] == "positive" and lines[-1].startswith(str(here / "runs")) and lines[-1].endswith(" 1.0")


def test_series_of_numbers_are_classified(here, capsys):
    assert run("Series of numbers", capsys)[-1].count("'probabilities': {'falls': ") == 2


def test_the_estimators_example_searches_saves_and_loads(here, capsys):
    lines = run("As a scikit-learn estimator", capsys)
    assert lines[-2].endswith(" (1, 4)") and lines[-1] in ("[1]", "[2]", "[4]", "[5]") and (here / "stars").is_dir()


def test_a_model_that_is_printed_says_what_it_is(capsys):
    lines = run("In a notebook", capsys)
    assert lines[0] == "rnnzoo model" and any(line.split() == ["task", "sentiment"] for line in lines)
