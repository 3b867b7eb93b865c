"""A package with a part of one's own, written from the templates in this folder."""

from __future__ import annotations

import contextlib
import keyword
import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template

import yaml

from rnnzoo import registry
from rnnzoo.errors import PluginError, ZooError
from rnnzoo.system import console

TEMPLATES = Path(__file__).parent
SUFFIX = ".in"  # of a template, so that no tool takes it for the file that it becomes
CLASSES = {"architecture": "Network", "dataset": "Source"}  # how a class's name ends, where not in the kind's name
COMMANDS = {  # what trains with the new part, beside the quickstart's other parts
    "cell": "rnnzoo fit quickstart --model.architecture.cell {name}",
    "architecture": "rnnzoo fit quickstart --model.architecture {name}",
    "input": "rnnzoo fit quickstart --model.inputs.tokens {name}",
    "task": "rnnzoo fit quickstart --task {name}",
    "dataset": "rnnzoo fit quickstart --data {name}",
    "optimizer": "rnnzoo fit quickstart --optimizer {name}",
    "schedule": "rnnzoo fit quickstart --schedule {name}",
    "callback": "rnnzoo fit quickstart --callbacks.{name} true",
    "tracker": "rnnzoo fit quickstart --tracking.also {name}",
    "launcher": "rnnzoo fit quickstart --launch {name}",
}


def write(kind: str, name: str, folder: Path | None = None) -> Path:
    """Write the distribution rnnzoo-NAME with one part of a kind, and print the commands that come next.

    folder: where to, `rnnzoo-NAME` in the current folder if not given. Returns it.
    Raises: PluginError for a name that cannot be used; ZooError for a folder that is there or cannot be written.
    """
    name = name.replace("-", "_")
    check_name(kind, name)
    package = f"rnnzoo-{name.replace('_', '-')}"
    folder = Path(package) if folder is None else folder
    words = {
        "name": name,
        "package": package,
        "module": f"rnnzoo_{name}",
        "class_name": "".join(map(str.capitalize, name.split("_"))) + CLASSES.get(kind, kind.capitalize()),
        "group": registry.KINDS[registry.kind_of(kind)].group,
        "command": COMMANDS[kind].format(name=name),
    }
    _fill(folder, rendered(kind, words))
    article = registry.KINDS[registry.kind_of(kind)].article
    console.print(f"{folder}: {article} {kind} that works, to be edited; its tests, a recipe and a README.\n\nNext:")
    for command in (f"cd {folder}", "pip install -e '.[test]'", "pytest", words["command"]):
        console.print(f"  {command}")
    return folder


def check_name(kind: str, name: str) -> None:
    """Raises: PluginError for a name that Python, YAML or the registry cannot take, or that is somebody's already."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", name):
        plain = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_0123456789")
        hint = f"  Did you mean '{plain}'?\n" if plain else ""
        rule = "lowercase letters, digits and underscores, a letter first, 50 at most"
        raise PluginError(f"no {kind} can be named {name!r:.60}.\n{hint}  A name is {rule}: my_{kind}.")
    if keyword.iskeyword(name) or yaml.safe_load(name) != name:
        whose = "Python" if keyword.iskeyword(name) else "YAML"
        raise PluginError(f"no {kind} can be named '{name}', a word of {whose}'s own.\n  Choose another: my_{name}.")
    for entry in registry.entries(kind):
        if entry.name == name:
            raise PluginError(f"{kind} '{name}' is {entry.distribution}'s already.\n  Choose another: my_{name}.")
    package = f"rnnzoo-{name.replace('_', '-')}"
    try:
        installed = version(package)
    except PackageNotFoundError:
        return
    raise PluginError(f"{package} {installed} is installed already.\n  Choose another name: my_{name}.")


def rendered(kind: str, words: dict[str, str]) -> dict[str, str]:
    """The content of each file of a distribution, by its path there; NAME in a path is the part's name."""
    files = {}
    for root in (TEMPLATES / "common", TEMPLATES / kind):
        for path in sorted(root.rglob(f"*{SUFFIX}")):
            target = path.relative_to(root).as_posix().removesuffix(SUFFIX).replace("NAME", words["name"])
            files[target] = Template(path.read_text(encoding="utf-8")).substitute(words)
    return files


def _fill(folder: Path, files: dict[str, str]) -> None:
    """Make the folder with these files; whatever stops it, nothing is left."""
    try:
        folder.mkdir()
    except FileExistsError:
        raise ZooError(f"'{folder}' is there already.\n  Name another folder: --folder DIR.") from None
    except OSError as cause:
        raise ZooError(f"cannot make '{folder}': {cause.strerror}.\n  Name another folder: --folder DIR.") from cause
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            for name, text in files.items():
                path = folder / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
        except OSError as cause:
            raise ZooError(f"cannot write '{folder}': {cause.strerror}.\n  Nothing is left of it.") from cause
        on_failure.pop_all()
