"""Arrays on the disk: as they were written or refused, made by one process and read by all."""

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rnnzoo.data.store import INDEX, Mapped, Store, Writer, cached, first_difference, key
from rnnzoo.errors import DataError, Unwritable

FROM = {"train": "a.txt", "settings": {"unit": "word", "sizes": [1, 2]}}
ARRAYS = st.sampled_from(["<u2", "<i4", ">i4", "<f8", "|b1", "|u1"]).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=7))
)


def written(folder: Path, **contents: np.ndarray) -> Store:
    with Writer(folder, FROM) as writer:
        for name, array in (contents or {"ids": np.arange(10, dtype=np.uint16)}).items():
            writer.append(name, array)
    return Store.at(folder, FROM)


@settings(max_examples=60, deadline=None)
@given(array=ARRAYS, cuts=st.lists(st.integers(0, 7), max_size=4))
def test_an_array_is_as_it_was_written_however_it_was_cut(tmp_path_factory, array, cuts):
    folder = tmp_path_factory.mktemp("any") / "store"
    with Writer(folder, FROM) as writer:
        for chunk in np.split(array, sorted(cut for cut in cuts if cut <= len(array))):
            writer.append("x", chunk)
    store = Store.at(folder, FROM)
    np.testing.assert_array_equal(store["x"], array)
    assert store["x"].dtype == array.dtype.newbyteorder("<") and store["x"].shape == array.shape
    assert store["x"].tobytes() == written(folder.with_name("whole"), x=array)["x"].tobytes()
    assert store.layouts == Store.at(folder.with_name("whole")).layouts  # the digest, too
    store.check()


def test_a_store_says_what_it_was_made_from_and_what_was_noted(tmp_path):
    with Writer(tmp_path / "s", {"sizes": (1, 2)}) as writer:
        writer.append("a", np.zeros((2, 3), dtype=np.float32))
        writer.append("b", np.zeros(0, dtype=np.int64))
        writer.facts = {"words": ("x", "y")}
    store = Store.at(tmp_path / "s")
    assert (store.made_from, store.facts, store.size) == ({"sizes": [1, 2]}, {"words": ["x", "y"]}, 24)
    assert {name: array.shape for name, array in store.items()} == {"a": (2, 3), "b": (0,)}
    assert os.listdir(tmp_path) == ["s"]


def test_what_is_mapped_cannot_be_written_and_travels_to_a_worker_by_name(tmp_path):
    ids = written(tmp_path / "s", ids=np.arange(100_000, dtype=np.int32))["ids"]
    with pytest.raises(ValueError, match="read-only"):
        ids[0] = 1
    packed = pickle.dumps(ids)
    assert len(packed) < 1000
    again = pickle.loads(packed)
    assert isinstance(again, Mapped) and (again == ids).all()
    assert (pickle.loads(pickle.dumps(ids[5:9])) == ids[5:9]).all()  # a part of it is its numbers


@pytest.mark.parametrize(
    ("name", "array", "problem"),
    [
        ("../ids", np.zeros(1), "no array of a store"),
        ("", np.zeros(1), "no array of a store"),
        ("ids", np.array(["text"]), "no array of a store"),
        ("ids", np.array([{}], dtype=object), "no array of a store"),
        ("ids", np.array(1), "no array of a store"),
    ],
)
def test_what_no_store_can_hold_is_refused_and_nothing_is_left(tmp_path, name, array, problem):
    with pytest.raises(ValueError, match=problem), Writer(tmp_path / "s", FROM) as writer:
        writer.append(name, array)
    assert os.listdir(tmp_path) == []


def test_rows_of_another_type_or_shape_are_refused(tmp_path):
    for other in (np.zeros((1, 2), dtype=np.int32), np.zeros((1, 3), dtype=np.int64)):
        with pytest.raises(ValueError, match="after some of int64"), Writer(tmp_path / "s", FROM) as writer:
            writer.append("x", np.zeros((1, 2), dtype=np.int64))
            writer.append("x", other)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_told_in_words_and_nothing_is_left(tmp_path):
    with open("/dev/full", "wb") as full, pytest.raises(Unwritable) as caught, Writer(tmp_path / "s", FROM) as writer:
        writer.append("x", np.zeros(1))
        os.dup2(full.fileno(), writer._growing["x"].file.fileno())
        for _ in range(100):
            writer.append("x", np.zeros(2**17))
    first, *rest = str(caught.value).splitlines()
    assert first == f"cannot write {tmp_path / 's'}: No space left on device."
    assert any("Free some space" in line for line in rest) and os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_is_full_at_the_end_is_told_too(tmp_path, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(Unwritable, match="No space left on device"):
        written(tmp_path / "s")
    assert os.listdir(tmp_path) == []


def test_another_origin_is_refused_by_its_first_difference(tmp_path):
    written(tmp_path / "s")
    other = {"train": "a.txt", "settings": {"unit": "character", "sizes": [1, 3]}}
    with pytest.raises(DataError) as caught:
        Store.at(tmp_path / "s", other)
    first, there, asked, remedy = str(caught.value).splitlines()
    assert first.endswith("were made from something else: settings.sizes.1.")
    assert (there, asked) == ("  There: 2.", "  Asked: 3.") and "Name another folder" in remedy
    with pytest.raises(DataError, match=r"settings\.unit"):
        Store.at(tmp_path / "s", FROM | {"settings": {"unit": None, "sizes": [1, 2]}})
    assert first_difference(FROM, FROM) is None
    assert first_difference({"a": 1}, {"a": True}) == ("a", 1, True)
    assert first_difference({"a": {}}, {}) == ("a", {}, None)


def test_the_place_in_the_cache_is_fixed_by_the_origin_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNZOO_CACHE", str(tmp_path))
    assert cached(FROM) == tmp_path / "data" / key(FROM) and len(key(FROM)) == 32
    assert key(dict(reversed(FROM.items()))) == key(FROM) == key(FROM | {"settings": {"unit": "word", "sizes": (1, 2)}})
    assert key(FROM | {"train": "b.txt"}) != key(FROM)


def _index(folder: Path, **change: object) -> None:
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(index | change))


def _layout(**change: object) -> dict[str, object]:
    return {"ids": {"dtype": "<u2", "shape": [10], "sha256": "0" * 64} | change}


SPOILT = {
    "a cut file": (
        lambda folder: os.truncate(folder / "ids.bin", 10),
        "ids.bin has 10 bytes, where index.json says 20",
    ),
    "no file": (lambda folder: (folder / "ids.bin").unlink(), "ids.bin: No such file"),
    "a pipe": (lambda folder: (os.replace(folder / "ids.bin", folder / "x"), os.mkfifo(folder / "ids.bin")), "a pipe"),
    "no JSON": (lambda folder: (folder / INDEX).write_text("{"), "index.json: not JSON"),
    "a list": (lambda folder: (folder / INDEX).write_text("[]"), "not the index of prepared data"),
    "deep": (lambda folder: (folder / INDEX).write_text("[" * 10**5), "index.json: nested"),
    "no index": (lambda folder: (folder / INDEX).unlink(), "has no index.json"),
    "a later format": (lambda folder: _index(folder, format=9), "format is number 9, and this version reads 1"),
    "a format of words": (lambda folder: _index(folder, format="1"), "not the index"),
    "no origin": (lambda folder: _index(folder, made_from=None), "lacks made_from"),
    "objects": (lambda folder: _index(folder, arrays=_layout(dtype="|O")), "does not say what the array 'ids' is"),
    "a huge axis": (lambda folder: _index(folder, arrays=_layout(shape=[2**70])), "does not say what"),
    "huge axes": (lambda folder: _index(folder, arrays=_layout(shape=[2**50, 2**50])), "does not say what"),
    "a negative axis": (lambda folder: _index(folder, arrays=_layout(shape=[-10])), "does not say what"),
    "a number's axis": (lambda folder: _index(folder, arrays=_layout(shape=[10.0])), "does not say what"),
    "a path": (lambda folder: _index(folder, arrays={"../ids": _layout()["ids"]}), "does not say what"),
    "many arrays": (
        lambda folder: _index(folder, arrays={f"a{number}": _layout()["ids"] for number in range(100)}),
        "more than 64",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_not_whole_or_is_foreign_is_refused_in_words(tmp_path, name):
    spoil, problem = SPOILT[name]
    written(tmp_path / "s")
    spoil(tmp_path / "s")
    with pytest.raises(DataError) as caught:
        Store.at(tmp_path / "s", FROM)
    first, *rest = str(caught.value).splitlines()
    assert problem in first and str(tmp_path / "s") in first and len(rest) in (1, 2)


def test_numbers_that_were_changed_are_found_when_they_are_asked_for(tmp_path):
    store = written(tmp_path / "s")
    with open(tmp_path / "s" / "ids.bin", "r+b") as file:
        file.write(b"\xff")
    Store.at(tmp_path / "s", FROM)  # sizes alone do not tell
    with pytest.raises(DataError, match=r"ids\.bin is not what was written"):
        store.check()


def test_a_file_that_shrinks_after_it_was_opened_is_refused(tmp_path):
    store = written(tmp_path / "s")
    os.truncate(tmp_path / "s" / "ids.bin", 10)
    with pytest.raises(DataError, match=r"ids\.bin"):
        store["ids"]


def test_a_folder_that_nobody_can_write_to_is_read(tmp_path):
    written(tmp_path / "s")
    before = sorted(os.listdir(tmp_path))
    for path in (tmp_path / "s", tmp_path):
        path.chmod(0o555)
    store = Store.made(tmp_path / "s", FROM, lambda writer: pytest.fail("it is there"))
    assert store["ids"].sum() == 45 and sorted(os.listdir(tmp_path)) == before  # root may write, and did not
    tmp_path.chmod(0o755)


MAKE = """
import os, sys
from pathlib import Path
import numpy as np
from rnnzoo.data.store import Store

def write(writer):
    print("writes", flush=True)
    for _ in range(int(sys.argv[2])):
        writer.append("ids", np.arange(2**16, dtype=np.int32))
    writer._growing["ids"].file.flush()
    sys.stdin.readline()

print(int(Store.made(Path(sys.argv[1]), {"a": 1}, write)["ids"].sum()), flush=True)
"""


def _maker(folder: Path, chunks: int) -> subprocess.Popen:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", MAKE, str(folder), str(chunks)], **pipes)


def test_one_process_writes_while_the_other_waits_and_reads_its_copy(tmp_path):
    with _maker(tmp_path / "s", 3) as first:
        assert first.stdout.readline() == "writes\n"
        with _maker(tmp_path / "s", 5) as second:
            told = first.communicate("\n", timeout=60)[0]
            assert second.communicate("\n", timeout=60)[0] == told  # it wrote nothing, whenever it came
    assert int(told) == 3 * (2**16 * (2**16 - 1) // 2)
    assert sorted(os.listdir(tmp_path)) == [".s.lock", "s"]


def test_a_killed_writer_leaves_nothing_that_is_taken_for_whole(tmp_path):
    with _maker(tmp_path / "s", 3) as first:
        assert first.stdout.readline() == "writes\n"
        first.send_signal(signal.SIGKILL)
    half = [name for name in os.listdir(tmp_path) if name.startswith(".tmp-s-")]
    assert len(half) == 1 and not (tmp_path / "s").exists()
    (tmp_path / ".tmp-other-1").mkdir()  # of another store, whose lock is another
    store = Store.made(tmp_path / "s", FROM, lambda writer: writer.append("ids", np.arange(4)))
    assert store["ids"].tolist() == [0, 1, 2, 3]
    assert sorted(os.listdir(tmp_path)) == [".s.lock", ".tmp-other-1", "s"]


def test_a_writer_that_is_late_leaves_the_store_that_is_there(tmp_path):
    with Writer(tmp_path / "s", FROM) as late:
        late.append("ids", np.zeros(3))
        written(tmp_path / "s")
    assert Store.at(tmp_path / "s")["ids"].sum() == 45 and os.listdir(tmp_path) == ["s"]
