"""Installed distributions, compared with `importlib.metadata`."""

import subprocess
import sys
import zipfile
from importlib import metadata

import pytest

from rnnzoo.system import distributions


def write(folder, name: str, version: str, points: str, file: str = "METADATA", ending: str = "dist-info") -> None:
    info = folder / f"{name}-{version}.{ending}"
    info.mkdir(parents=True)
    (info / file).write_text(f"Metadata-Version: 2.1\nNAME: {name}\nVersion: {version}\n\nName: not me\n")
    (info / "entry_points.txt").write_text(points)


def brought(prefix: str) -> set[tuple[str, ...]]:
    return {tuple(point) for point in distributions.entry_points(prefix)[0]}


@pytest.mark.parametrize("group", ["console_scripts", "pytest11", "rnnzoo.cells", "rnnzoo.datasets"])
def test_entry_points_are_those_of_importlib_metadata(group):
    wanted = {(p.name, p.value, distributions.normal(p.dist.name)) for p in metadata.entry_points(group=group)}
    assert {(name, value, owner) for its, name, value, owner, _ in brought(group) if its == group} == wanted != set()


@pytest.mark.parametrize(("file", "ending"), [("METADATA", "dist-info"), ("PKG-INFO", "egg-info")])
def test_what_stands_in_a_folder_of_the_path_is_read(tmp_path, monkeypatch, file, ending):
    write(tmp_path, "x_y", "2.0", "# ours\n[other]\nz = z\n[a.b]\n\none = m:A\n two=m:B [extra]\n", file, ending)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert brought("a.") == {("a.b", "one", "m:A", "x-y", "2.0"), ("a.b", "two", "m:B [extra]", "x-y", "2.0")}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [""])
    assert len(brought("a.")) == 2


def test_a_zip_file_on_the_path_is_read(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as file:
        file.writestr("x-1.dist-info/METADATA", "Name: x\nVersion: 1\n")
        file.writestr("x-1.dist-info/entry_points.txt", "[a.b]\none = m:A\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "all.zip")])
    assert brought("a.") == {("a.b", "one", "m:A", "x", "1")}


def test_an_importer_may_bring_its_own_distributions(tmp_path, monkeypatch):
    write(tmp_path, "x", "1", "[a.b]\none = m:A\n")

    class Finder(metadata.DistributionFinder):
        def find_spec(self, *_):
            return None

        def find_distributions(self, context=None):
            return iter([metadata.Distribution.at(tmp_path / "x-1.dist-info")])

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert brought("a.") == {("a.b", "one", "m:A", "x", "1")}


def test_the_first_on_the_path_hides_one_of_the_same_name(tmp_path, monkeypatch):
    write(tmp_path / "old", "X_Y", "1", "[a.b]\nold = m:A\n")
    write(tmp_path / "new", "x.y", "2", "[other]\nnew = m:A\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "new"), str(tmp_path / "old")])
    assert brought("a.") == set()
    monkeypatch.setattr(sys, "path", sys.path[::-1])
    assert {name for _, name, *_ in brought("a.")} == {"old"}


def test_neither_importlib_metadata_nor_logging_is_imported_for_a_list():
    code = (
        "import sys; before = {*sys.modules}; from rnnzoo import registry; registry.entries()\n"
        "assert not {'importlib.metadata', 'email', 'logging', 'inspect'} & ({*sys.modules} - before)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_file_that_changes_is_read_again_and_one_that_does_not_is_not(tmp_path, monkeypatch):
    write(tmp_path, "x", "1", "[a.b]\none = m:A\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    opened = []

    def counted(path, mode):
        opened.append(path)
        return open(path, mode)

    monkeypatch.setattr(distributions, "open", counted, raising=False)
    for _ in range(3):
        assert {name for _, name, *_ in brought("a.")} == {"one"}
    assert len(opened) == 2  # the entry points, and the metadata
    (tmp_path / "x-1.dist-info" / "entry_points.txt").write_text("[a.b]\nfour = m:A\n")
    assert {name for _, name, *_ in brought("a.")} == {"four"}
    (tmp_path / "x-1.dist-info" / "entry_points.txt").unlink()
    assert brought("a.") == set()
