"""What docs/add_a_data_set.md prints is true: its tables of forms, its source and its recipe."""

import re
from pathlib import Path

import pytest

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.data.forms import FORMS, fits
from rnnzoo.experiment import build
from rnnzoo.experiment.resolver import resolve

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "add_a_data_set.md"
TEMPLATE = ROOT / "rnnzoo" / "templates" / "dataset" / "README.md.in"


def forms(page: Path) -> list[list[str]]:
    """The rows of a page's table of forms, as cells."""
    table = re.split(r"\| `form` \|.*\n", page.read_text(encoding="utf-8"))[1].partition("\n\n")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()[1:]]


@pytest.mark.parametrize("page", [PAGE, TEMPLATE], ids=lambda path: path.name)
def test_the_table_has_each_form_with_its_columns(page):
    columns = {row[0].strip("`"): tuple(re.findall(r"`(\w+)`:", row[1])) for row in forms(page)}
    assert columns == {name: form.columns for name, form in FORMS.items()}


def test_the_table_has_the_tasks_that_take_each_form():
    entries = [entry for entry in registry.entries("tasks") if entry.distribution == "rnnzoo"]
    taken = {entry.name: registry.load("tasks", entry.name).form for entry in entries}
    for form, _, tasks in forms(PAGE):
        expected = {task for task, wanted in taken.items() if fits(form.strip("`"), wanted)}
        assert set(re.findall(r"`(\w+)`", tasks)) == expected, form


def test_the_source_and_the_recipe_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script, recipe = (
        re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL).group(1)
        for language in ("python", "yaml")
    )
    names = {}
    exec(compile(script, PAGE.name, "exec"), names)
    registry.register("dataset", "my_reviews", names["MyReviewsSource"])
    try:
        Path("my_reviews.yaml").write_text(recipe, encoding="utf-8")
        data = build.make_data(resolve(recipes.read(Path("my_reviews.yaml"))))
        assert data.source.stars == 3 and data.sizes == {"train": 2, "dev": 2}
        assert data.labels == {"negative": 1, "positive": 1}
    finally:
        registry.unregister("dataset", "my_reviews")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "rnnzoo/templates/dataset/README.md.in"])
def test_whoever_looks_for_it_is_led_here(page):
    assert "docs/add_a_data_set.md" in (ROOT / page).read_text(encoding="utf-8")
