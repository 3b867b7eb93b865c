"""Tests of rnnzoo.runs.checkpoint: what is saved comes back, and a crash or a damaged file never does."""

import hashlib
import json
import os
import pickle
import resource
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from rnnzoo.errors import RunError
from rnnzoo.runs import atomic_folder, checkpoint

FILES = ("weights.safetensors", "meta.json", "spec.json", "MANIFEST.json")


def weights(value: float = 1.0) -> dict[str, torch.Tensor]:
    return {"a": torch.full((3, 2), value), "b": torch.arange(4)}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "step-1", weights(), {"cell": "gru"}, {"form": "labelled_text"})
    return tmp_path / "step-1"


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def seal(folder: Path, **changes) -> None:
    """Write a manifest that fits the files as they are, as an attacker would."""
    files = {
        name: {
            "size": (folder / name).stat().st_size,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        }
        for name in FILES[:3]
    }
    (folder / "MANIFEST.json").write_text(json.dumps({"format_version": 1, "files": files} | changes))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_never_written(bad, tmp_path):
    with pytest.raises(RunError, match="'a' is not finite"):
        checkpoint.save(tmp_path / "step-1", weights() | {"a": torch.tensor([1.0, bad])}, {}, {})
    assert not list(tmp_path.iterdir())


# -- what is saved comes back ---------------------------------------------------------------------------------------


def test_a_checkpoint_comes_back_as_it_was_saved(saved):
    loaded = checkpoint.load(saved)
    assert same(loaded.weights, weights())
    assert (loaded.meta, loaded.spec) == ({"cell": "gru"}, {"form": "labelled_text"})
    assert sorted(path.name for path in saved.iterdir()) == sorted(FILES)
    assert [path.name for path in saved.parent.iterdir()] == ["step-1"]


TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    meta=st.dictionaries(TEXT.filter(lambda key: key != "tied"), JSON, max_size=4),
    shapes=st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=4),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.complex64]),
)
def test_any_json_and_any_tensors_come_back(tmp_path, meta, shapes, dtype):
    tensors = {f"layer.{i}": torch.randn(shape).to(dtype) for i, shape in enumerate(shapes)}
    folder = tmp_path / "any"
    checkpoint.save(folder, tensors, meta, {})
    loaded = checkpoint.load(folder)
    shutil.rmtree(folder)
    assert loaded.meta == meta
    assert same(loaded.weights, tensors)
    assert all(loaded.weights[name].dtype == dtype for name in tensors)


def test_tied_weights_are_stored_once_and_are_one_tensor_again(tmp_path):
    model = nn.ModuleDict({"embedding": nn.Embedding(100, 8), "head": nn.Linear(8, 100, bias=False)})
    model["head"].weight = model["embedding"].weight
    checkpoint.save(tmp_path / "tied", model.state_dict(), {}, {})
    loaded = checkpoint.load(tmp_path / "tied")
    assert (tmp_path / "tied" / "weights.safetensors").stat().st_size < 2 * 100 * 8 * 4
    assert loaded.weights["head.weight"] is loaded.weights["embedding.weight"]
    assert same(loaded.weights, model.state_dict())
    assert loaded.meta == {}


def test_views_of_one_storage_that_differ_are_stored_apart(tmp_path):
    flat = torch.arange(12.0)
    views = {"first": flat[:6], "second": flat[6:], "overlapping": flat[3:9], "turned": flat.view(3, 4).T}
    checkpoint.save(tmp_path / "views", views, {}, {})
    assert same(checkpoint.load(tmp_path / "views").weights, views)


def test_a_checkpoint_is_never_written_over(saved):
    with pytest.raises(RunError, match="it exists"):
        checkpoint.save(saved, weights(2.0), {}, {})
    assert same(checkpoint.load(saved).weights, weights())


def test_what_is_not_json_is_refused_and_leaves_nothing(tmp_path):
    for meta in ({"score": float("nan")}, {"path": Path("x")}, {"tied": {}}):
        with pytest.raises((ValueError, TypeError)):
            checkpoint.save(tmp_path / "new", weights(), meta, {})
    assert list(tmp_path.iterdir()) == []


# -- crashes --------------------------------------------------------------------------------------------------------

CALLS = ("os.replace", "os.fsync", "os.mkdir", "builtins.open")


def replace_checkpoint(folder: Path) -> None:
    """What a training does at each validation: save, point, delete the one before."""
    before = checkpoint.follow(folder / "last")
    checkpoint.save(folder / "step-2", weights(2.0), {}, {})
    checkpoint.point(folder / "last", "step-2")
    atomic_folder.remove(before)


def fail_at(monkeypatch, call: str, k: int, how) -> list[int]:
    """Make the k-th call of a function do `how` instead; the list counts the calls."""
    module, name = call.split(".")
    target = {"os": os, "builtins": __import__("builtins")}[module]
    original, calls = getattr(target, name), []

    def wrapped(*args, **kwargs):
        calls.append(1)
        if len(calls) == k:
            how()
        return original(*args, **kwargs)

    monkeypatch.setattr(target, name, wrapped)
    return calls


def no_space() -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", CALLS)
def test_when_any_system_call_fails_the_previous_or_the_new_checkpoint_loads(call, tmp_path):
    for k in range(1, 50):
        folder = tmp_path / str(k)
        checkpoint.save(folder / "step-1", weights(1.0), {}, {})
        checkpoint.point(folder / "last", "step-1")
        with pytest.MonkeyPatch.context() as patch:
            calls = fail_at(patch, call, k, no_space)
            try:
                replace_checkpoint(folder)
            except RunError as error:
                assert "No space left on device" in str(error)
        found = checkpoint.load(checkpoint.follow(folder / "last")).weights
        assert same(found, weights(1.0)) or same(found, weights(2.0))
        assert not list(folder.glob(".tmp-*"))
        if len(calls) < k:
            return
    pytest.fail("the function is called without end")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs the names of open files")
def test_all_bytes_are_on_the_disk_before_the_folder_has_its_name(tmp_path, monkeypatch):
    events, fsync, replace = [], os.fsync, os.replace

    def noted_fsync(descriptor):
        events.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    def noted_replace(source, target):
        events.append(f"named {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    checkpoint.save(tmp_path / "run" / "step-1", weights(), {}, {})
    *files, folder, named, parent = events
    assert sorted(files) == sorted(FILES) and files[-1] == "MANIFEST.json"
    assert folder.startswith(".tmp-")
    assert (named, parent) == ("named step-1", "run")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("call", CALLS)
def test_when_the_process_is_killed_at_any_call_the_previous_or_the_new_checkpoint_loads(call, tmp_path):
    for k in range(1, 50):
        folder = tmp_path / str(k)
        checkpoint.save(folder / "step-1", weights(1.0), {}, {})
        checkpoint.point(folder / "last", "step-1")
        child = os.fork()
        if child == 0:
            fail_at(pytest.MonkeyPatch(), call, k, lambda: os._exit(9))
            replace_checkpoint(folder)
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        found = checkpoint.load(checkpoint.follow(folder / "last")).weights
        assert same(found, weights(1.0)) or same(found, weights(2.0))
        for complete in folder.glob("step-*"):
            checkpoint.load(complete)
        atomic_folder.sweep(folder)
        assert {path.name for path in folder.iterdir()} <= {"last", "step-1", "step-2"}
        if not killed:
            return
    pytest.fail("the function is called without end")


def test_a_full_disk_is_told_and_leaves_what_was_there(tmp_path, saved):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    try:
        with pytest.raises(RunError, match=r"cannot write .*step-2") as told:
            checkpoint.save(tmp_path / "step-2", {"a": torch.zeros(2**16)}, {}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]
    assert len(str(told.value).splitlines()) <= 5
    checkpoint.load(saved)


# -- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_is_called_truncated_or_corrupt(name, saved):
    data = (saved / name).read_bytes()
    (saved / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(RunError, match=r"truncated|corrupt") as told:
        checkpoint.load(saved)
    assert name in str(told.value) and str(saved) in str(told.value)


@pytest.mark.parametrize("name", FILES[:3])
def test_one_flipped_bit_is_found_wherever_it_is(name, saved):
    data = (saved / name).read_bytes()
    for at in range(0, len(data), 7):
        (saved / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(RunError, match=f"{name} is corrupt"):
            checkpoint.load(saved)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["missing", "link", "folder", "pipe"])
def test_only_regular_files_are_read(name, kind, saved, tmp_path):
    os.replace(saved / name, tmp_path / "elsewhere")
    if kind == "link":
        (saved / name).symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        (saved / name).mkdir()
    elif kind == "pipe":
        os.mkfifo(saved / name)
    with pytest.raises(RunError, match=r"missing|not a regular file|not an rnnzoo checkpoint"):
        checkpoint.load(saved)


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ("{}", "not an rnnzoo checkpoint"),
        ("[]", "corrupt"),
        ("{", "corrupt"),
        ("[" * 100_000, "corrupt"),
        ('{"format_version": NaN}', "corrupt"),
        ('{"format_version": 2, "files": {}}', "newer rnnzoo wrote it.*\n.*format 2.*up to 1.*\n.*pip install"),
        ('{"format_version": 1, "files": {"../x": {"size": 1, "sha256": ""}}}', "not an rnnzoo checkpoint"),
        ('{"format_version": 1, "files": {"weights.safetensors": 1}}', "not an rnnzoo checkpoint"),
    ],
)
def test_a_manifest_that_is_none_is_told(manifest, told, saved):
    (saved / "MANIFEST.json").write_text(manifest)
    with pytest.raises(RunError, match=told):
        checkpoint.load(saved)


class Evil:
    """Runs a command when unpickled."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_pickle_under_any_name_is_never_run(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Evil()}, tmp_path / "zip")
    for data in (pickle.dumps(Evil()), (tmp_path / "zip").read_bytes()):
        for name in FILES[:3]:
            folder = tmp_path / "evil"
            shutil.copytree(saved, folder)
            (folder / name).write_bytes(data)
            seal(folder)
            with pytest.raises(RunError, match=f"{name} is corrupt") as told:
                checkpoint.load(folder)
            assert "weights_only" not in str(told.value) and len(str(told.value).splitlines()) <= 5
            shutil.rmtree(folder)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("tied", [{"x": "nothing"}, {"x": 3}, [], {"x": "a", "a": "x"}])
def test_a_map_of_tied_tensors_that_lies_is_refused(tied, saved):
    (saved / "meta.json").write_text(json.dumps({"tied": tied}))
    seal(saved)
    with pytest.raises(RunError, match=r"meta.json is corrupt"):
        checkpoint.load(saved)


def test_a_path_without_a_checkpoint_says_what_is_there(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"x")
    for name, told in (("gone", "no such path"), ("model.ckpt", "it is a file"), ("", "not an rnnzoo checkpoint")):
        with pytest.raises(RunError, match=told):
            checkpoint.load(tmp_path / name)


# -- pointers and places --------------------------------------------------------------------------------------------


def test_a_pointer_leads_to_the_folder_it_was_pointed_at(saved):
    checkpoint.point(saved.parent / "best", "step-1")
    assert checkpoint.follow(saved.parent / "best") == saved
    assert (saved.parent / "best").read_text() == "step-1\n"


@pytest.mark.parametrize(
    "target", ["../step-1", "/tmp", "", ".", "..", "a/../step-1", "step-1/", "a\\b", "gone", "x" * 5000]
)
def test_a_pointer_never_leads_out_of_its_folder(target, saved):
    pointer = saved.parent / "best"
    with pytest.raises(RunError):
        checkpoint.point(pointer, target)
    assert not pointer.exists()
    pointer.write_text(target)
    with pytest.raises(RunError):
        checkpoint.follow(pointer)


def test_a_pointer_or_a_target_that_is_a_link_is_refused(saved, tmp_path):
    (tmp_path / "link").symlink_to(saved)
    with pytest.raises(RunError):
        checkpoint.point(tmp_path / "best", "link")
    (tmp_path / "real").write_text("step-1")
    (tmp_path / "best").symlink_to(tmp_path / "real")
    with pytest.raises(RunError, match="not a pointer"):
        checkpoint.follow(tmp_path / "best")


def test_a_run_means_its_best_checkpoint_or_else_its_last(tmp_path):
    folder = tmp_path / "checkpoints"
    for step in (1, 2):
        checkpoint.save(folder / f"step-{step}", weights(), {}, {})
    checkpoint.point(folder / "last", "step-2")
    assert checkpoint.locate(tmp_path) == folder / "step-2"
    checkpoint.point(folder / "best", "step-1")
    for path in (tmp_path, folder, folder / "best", folder / "step-1"):
        assert checkpoint.locate(path) == folder / "step-1"
    with pytest.raises(RunError, match="no checkpoint at"):
        checkpoint.locate(tmp_path / "gone")


# -- into a model ---------------------------------------------------------------------------------------------------


def test_weights_are_applied_to_the_model_they_are_of():
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    checkpoint.apply(target, checkpoint.Checkpoint(source.state_dict(), {}, {}))
    assert same(target.state_dict(), source.state_dict())


def test_another_models_weights_are_refused_with_both_sides():
    target = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    given_weights = {"0.weight": torch.zeros(2, 4), "0.bias": torch.zeros(2), "2.weight": torch.zeros(1)}
    with pytest.raises(RunError) as told:
        checkpoint.apply(target, checkpoint.Checkpoint(given_weights, {}, {}))
    for part in ("2.weight", "1.bias; 1.weight", "0.weight (2, 4) in the checkpoint, (2, 3) in the model"):
        assert part in str(told.value)
    assert len(str(told.value).splitlines()) <= 5
    assert same(target.state_dict(), before)


def test_every_file_of_a_checkpoint_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o022)
    try:
        checkpoint.save(tmp_path / "c", {"a": torch.ones(2)}, {}, {})
    finally:
        os.umask(before)
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "c").iterdir()} == {"0o644"}
