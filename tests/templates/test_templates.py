"""`rnnzoo new-plugin`: what it writes installs, passes its tests and trains; what it cannot write it refuses."""

import ast
import json
import os
import shlex
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import yaml

from rnnzoo import registry
from rnnzoo.cli import main
from rnnzoo.cli.new_plugin import KINDS
from rnnzoo.errors import PluginError, ZooError
from rnnzoo.templates import rendered, write


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """The Python of a fresh environment that has what this one has, and takes packages of its own."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    inner = sysconfig.get_path("purelib", vars={"base": str(folder)})
    outer = sysconfig.get_path("purelib")
    Path(inner, "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    return folder / "bin" / "python"


def run(environment: Path, *words: str, cwd: Path) -> str:
    done = subprocess.run(
        [str(environment), "-m", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=550,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


QUIETLY = ("--no-deps", "--disable-pip-version-check")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_wheel_of_a_new_plugin_installs_and_passes_its_tests_and_trains(kind, environment, here, capsys):
    name = f"new_{kind}"
    assert main(["new-plugin", name, "--kind", kind]) == 0
    next_commands = [line.strip() for line in capsys.readouterr().out.partition("Next:")[2].splitlines() if line]
    folder = here / next_commands[0].removeprefix("cd ")
    run(environment, "pip", "wheel", ".", *QUIETLY, "--no-build-isolation", "--wheel-dir", "dist", cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    run(environment, "pip", "install", str(wheel), *QUIETLY, cwd=folder)
    assert name in run(environment, "rnnzoo", "list", f"{kind}s", cwd=folder)
    assert next_commands[2] == "pytest"
    run(environment, "pytest", "-p", "no:cacheprovider", cwd=folder)
    quiet = ["--trainer.enable_progress_bar", "false", "--tracking.mode", "disabled"]
    run(environment, *shlex.split(next_commands[3]), *quiet, "--run_dir", "trained", cwd=folder)
    metrics = json.loads((folder / "trained" / "summary.json").read_text())["metrics"]
    assert metrics["test/accuracy"] >= 0.95
    run(environment, "rnnzoo", "fit", f"recipes/{name}.yaml", "--print_config", cwd=folder)


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_of_a_new_plugin_is_sound_and_names_it(kind, here):
    folder = write(kind, "my-part")
    assert folder == Path("rnnzoo-my-part")
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert files.keys() == {
        *(".gitignore", "README.md", "pyproject.toml", "rnnzoo_my_part.py"),
        *("tests/test_my_part.py", "recipes/my_part.yaml"),
    }
    (defined,) = (node.name for node in ast.parse(files["rnnzoo_my_part.py"]).body if isinstance(node, ast.ClassDef))
    point = f'[project.entry-points."{registry.KINDS[f"{kind}s"].group}"]\nmy_part = "rnnzoo_my_part:{defined}"\n'
    assert point in files["pyproject.toml"] and 'name = "rnnzoo-my-part"' in files["pyproject.toml"]
    assert f'{kind}_tests("my_part")' in files["tests/test_my_part.py"]
    assert "my_part" in str(yaml.safe_load(files["recipes/my_part.yaml"]))
    longest = max(len(line) for text in files.values() for line in text.splitlines())
    assert longest <= 120 and "$" not in "".join(files.values()).replace("$ ", "")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("2fast", "Did you mean 'fast'?"),
        ("My Cell", "Did you mean 'my_cell'?"),
        ("../up", "Did you mean 'up'?"),
        ("zelle_ä", "Did you mean 'zelle'?"),
        ("", "A name is lowercase letters"),
        ("a" * 51, "50 at most"),
        ("lambda", "a word of Python's own"),
        ("off", "a word of YAML's own"),
        ("lstm", "cell 'lstm' is rnnzoo's already"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_and_nothing_is_written(name, says, here):
    with pytest.raises(PluginError) as error:
        write("cell", name)
    assert says in str(error.value) and len(str(error.value).splitlines()) <= 3
    assert not list(here.iterdir())


def test_a_name_is_free_if_only_another_kind_has_it(here):
    assert write("cell", "sentiment").is_dir()


def test_the_name_of_an_installed_package_is_refused(here, monkeypatch):
    monkeypatch.setattr("rnnzoo.templates.version", lambda package: {"rnnzoo-mine": "1.2"}[package])
    with pytest.raises(PluginError, match=r"rnnzoo-mine 1\.2 is installed already"):
        write("cell", "mine")


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_is_there_already_is_not_touched(make, here):
    make(here / "rnnzoo-mine")
    with pytest.raises(ZooError, match="'rnnzoo-mine' is there already"):
        write("cell", "mine")
    (left,) = here.iterdir()
    assert not left.is_dir() or not list(left.iterdir())


def test_a_folder_that_cannot_be_made_is_told(here):
    with pytest.raises(ZooError, match="cannot make 'no/such/place': No such file or directory"):
        write("cell", "mine", Path("no/such/place"))


@pytest.mark.parametrize("cause", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_half_way_leaves_nothing_behind(cause, here, monkeypatch):
    written = []

    def write_text(path, text, encoding):
        written.append(path.name)
        if len(written) == 3:
            raise cause
        open(path, "w").close()

    monkeypatch.setattr(Path, "write_text", write_text)
    with pytest.raises(ZooError if isinstance(cause, OSError) else KeyboardInterrupt):
        write("cell", "mine")
    assert len(written) == 3 and not list(here.iterdir())


def test_the_command_line_tells_a_mistake_and_exits_with_2(here, capsys):
    assert main(["new-plugin", "lstm"]) == 2
    assert capsys.readouterr().err.startswith("cell 'lstm' is rnnzoo's already.\n")


def test_writing_a_plugin_needs_no_torch(here):
    code = "import sys; from rnnzoo.cli import main; main(['new-plugin', 'mine']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_template_without_a_value_for_each_word_is_an_error():
    with pytest.raises(KeyError):
        rendered("cell", {"name": "mine"})
