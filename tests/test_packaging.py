"""What is built and shipped, and how little importing it costs."""

import configparser
import importlib.util
import re
import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from rnnzoo import registry

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "lightning", "torchmetrics", "datasets", "wandb", "numpy", "jsonargparse", "yaml")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the working tree, unpacked."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--wheel-dir", str(folder), *options]
    subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder, timeout=300)
    (built,) = folder.glob("rnnzoo-*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_every_recipe_and_nothing_else(wheel):
    found = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    (info,) = {path.partition("/")[0] for path in found if ".dist-info/" in path}
    sources = {path for path in (ROOT / "rnnzoo").rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
    modules = {path.relative_to(ROOT).as_posix() for path in sources}
    recipes = {f"rnnzoo/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "recipes").rglob("*.yaml")}
    shipped = {path for path in found if not path.startswith(info)}
    assert "rnnzoo/recipes/quickstart.yaml" in recipes and modules | recipes <= shipped
    assert all(path.startswith("rnnzoo/recipes/") for path in shipped - modules)
    assert f"{info}/licenses/LICENSE" in found


@pytest.mark.slow
def test_the_wheel_registers_what_the_project_file_says(wheel):
    (path,) = wheel.glob("*.dist-info/entry_points.txt")
    points = configparser.ConfigParser(delimiters=("=",))
    points.optionxform = str
    points.read(path)
    assert points["console_scripts"]["rnnzoo"] == "rnnzoo.cli:main"
    for kind in ("cells", "architectures", "tasks", "datasets"):
        section = re.search(
            rf'\[project.entry-points."rnnzoo.{kind}"\]\n((?:.+\n)+)', (ROOT / "pyproject.toml").read_text()
        )
        assert dict(points[f"rnnzoo.{kind}"]) == dict(re.findall(r'(\w+) = "(.+)"', section[1]))
        for value in points[f"rnnzoo.{kind}"].values():
            assert (wheel / value.partition(":")[0].replace(".", "/")).with_suffix(".py").is_file()


@pytest.mark.slow
def test_recipes_are_found_in_an_installed_package_as_in_the_repository(wheel):
    code = "import rnnzoo.recipe as r; print(r.__file__, *sorted(r.shipped()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=wheel)
    where, *names = run.stdout.split()
    assert Path(where).is_relative_to(wheel)
    assert names == sorted(
        p.relative_to(ROOT / "recipes").with_suffix("").as_posix() for p in ROOT.glob("recipes/**/*.yaml")
    )


def loaded_by(code: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split("\n")[-2].split())


def test_importing_rnnzoo_loads_nothing_heavy():
    loaded = loaded_by("import rnnzoo; rnnzoo.__version__; dir(rnnzoo); rnnzoo.register; rnnzoo.ZooError")
    assert "rnnzoo.registry" in loaded and not loaded & {*HEAVY}


def test_reading_a_recipe_and_a_run_needs_no_torch():
    code = """
from rnnzoo import recipe, runs, registry
from rnnzoo.runs import checkpoint
recipe.read("quickstart", ["--seed", "2"])
"""
    assert not loaded_by(code) & {"torch", "lightning", "torchmetrics", "datasets", "wandb", "numpy"}


def test_every_public_name_is_there_and_no_other_is():
    import rnnzoo

    assert sorted(rnnzoo.__all__) == dir(rnnzoo) and all(getattr(rnnzoo, name) is not None for name in rnnzoo.__all__)
    with pytest.raises(AttributeError, match="module 'rnnzoo' has no attribute 'creat_model'"):
        rnnzoo.creat_model  # noqa: B018


def test_the_command_and_every_part_of_the_project_file_are_installed():
    (command,) = (point for point in entry_points(group="console_scripts") if point.name == "rnnzoo")
    assert command.value == "rnnzoo.cli:main"
    written = re.findall(r'^(\w+) = "(rnnzoo\.[\w.]+:\w+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    installed = {
        (point.name, point.value) for kind in registry.KINDS.values() for point in entry_points(group=kind.group)
    }
    assert set(written) <= installed | {("rnnzoo", "rnnzoo.cli:main")}, "pip install -e . again"
