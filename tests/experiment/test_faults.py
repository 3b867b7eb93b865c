"""What a run does when its disk is full, or its folder is gone: it goes on, and what was saved stays."""

import resource
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.errors import RunError
from rnnzoo.experiment import fit as fitting
from rnnzoo.experiment.resolver import resolve
from rnnzoo.experiment.space import check_space
from rnnzoo.runs import checkpoint, snapshot

OPTIONS = [
    *(
        "--data.examples=80",
        "--trainer.max_epochs=4",
        "--trainer.enable_progress_bar=false",
        "--tracking.mode=disabled",
    ),
    *("--optimizer.lr=0.001", "--checkpoint.every_n_steps=2"),
]


class AtEpoch(Callback):
    """Does something at the starts of epochs."""

    def __init__(self, work: dict[int, Callable[[], object]]) -> None:
        self.work = work

    def on_train_epoch_start(self, trainer, pl_module):
        self.work.get(trainer.current_epoch, lambda: None)()


def fit(monkeypatch, work):
    """Train four epochs in the folder `run`, with something done at the starts of some of them."""
    monkeypatch.setattr(fitting, "make_callbacks", lambda recipe, module: [AtEpoch(work)])
    monkeypatch.setenv(runs.SHARED, "")
    try:
        return fitting.fit(resolve(recipes.read("quickstart", OPTIONS)), Path("run"))[0]
    finally:
        full_disk(False)  # here, before pytest writes the test's result into a file that may be longer


@pytest.fixture
def mounted(here):
    """Mounts a file system of a size as the run's folder, or one in it."""
    folders = []

    def mount(size: str, folder: str = "run") -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a file system needs to be root on Linux")
        folders.append(folder)

    yield mount
    for folder in folders:
        subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


def fill() -> None:
    """Leave no byte of room."""
    with suppress(OSError), Path("run/other").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**16))


def warnings_of(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "rnnzoo"]


def test_training_goes_on_when_a_real_disk_is_full(mounted, monkeypatch, caplog):
    mounted("40m")
    summary = fit(monkeypatch, {2: fill})
    assert summary["status"] == "finished" and summary["epochs"] == 4
    assert epochs_of_checkpoints()["last"] == 1
    assert sum("No space left" in m and "The run goes on" in m and "step-" in m for m in warnings_of(caplog)) == 1
    (newest, *_) = snapshot.complete(Path("run/resume"))
    assert snapshot.read(newest)["epoch"] <= 2 and not list(Path("run").rglob(".tmp-*"))


def test_a_run_on_a_real_disk_without_room_is_refused(mounted, monkeypatch):
    mounted("1m")
    with pytest.raises(RunError, match=r"cannot start a run in .*: the disk has .* left, and .* are needed"):
        fit(monkeypatch, {})
    assert not list(Path("run").iterdir())


def read_only() -> None:
    """Let the file system with the checkpoints take no more writes, as Linux does after an error of a disk."""
    subprocess.run(["mount", "-o", "remount,ro", "run/checkpoints"], check=True)


def test_training_goes_on_when_the_disk_of_the_checkpoints_turns_read_only(mounted, monkeypatch, caplog):
    mounted("40m", "probe")  # skips here, not within the training
    summary = fit(monkeypatch, {0: lambda: mounted("40m", "run/checkpoints"), 2: read_only})
    assert summary["status"] == "finished" and summary["epochs"] == 4 and "test/accuracy" in summary["metrics"]
    assert epochs_of_checkpoints()["last"] == 1 and summary["best"]["epoch"] <= 1
    messages = warnings_of(caplog)
    assert sum("Read-only file system" in m and "The run goes on" in m for m in messages) == 1
    (newest, *_) = snapshot.complete(Path("run/resume"))
    assert snapshot.read(newest)["epoch"] == 4  # the training itself is safe, on the other disk


def test_a_training_whose_checkpoints_never_had_a_disk_to_write_to_has_failed_in_words(mounted, monkeypatch):
    mounted("40m", "probe")

    def begin() -> None:
        mounted("40m", "run/checkpoints")
        read_only()

    with pytest.raises(RunError, match=r"cannot write .*checkpoints.*Read-only file system"):
        fit(monkeypatch, {0: begin})
    assert runs.read("run")["summary"]["status"] == "failed"


LIMIT = resource.getrlimit(resource.RLIMIT_FSIZE)


def full_disk(full: bool) -> None:
    """Begin or end a time in which no file can become longer than 16 KiB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, LIMIT[1]) if full else LIMIT)


def epochs_of_checkpoints(folder="run/checkpoints"):
    return {name: checkpoint.load(checkpoint.follow(Path(folder, name))).meta["epoch"] for name in ("best", "last")}


def test_training_goes_on_when_the_disk_is_full_and_what_was_saved_stays(here, monkeypatch, caplog):
    summary = fit(monkeypatch, {2: lambda: full_disk(True)})
    assert summary["status"] == "finished" and summary["epochs"] == 4 and "test/accuracy" in summary["metrics"]
    assert epochs_of_checkpoints()["last"] == 1 and summary["best"]["epoch"] <= 1
    (newest, *_) = snapshot.complete(Path("run/resume"))
    assert snapshot.read(newest)["epoch"] <= 2
    messages = [record.getMessage() for record in caplog.records if record.name == "rnnzoo"]
    assert sum("cannot write" in m and "File too large" in m and "Free some space" in m for m in messages) == 1
    assert sum("the training state cannot be saved" in m for m in messages) == 1
    assert not list(Path("run").rglob(".tmp-*"))


def test_checkpoints_are_saved_again_once_there_is_room(here, monkeypatch):
    fit(monkeypatch, {1: lambda: full_disk(True), 3: lambda: full_disk(False)})
    assert epochs_of_checkpoints()["last"] == 3
    assert len(list(Path("run/checkpoints").glob("step-*"))) <= 2


def test_a_training_of_which_nothing_could_be_saved_has_failed(here, monkeypatch):
    with pytest.raises(RunError, match="cannot write"):
        fit(monkeypatch, {0: lambda: full_disk(True)})
    assert runs.read("run")["summary"]["status"] == "failed"


def test_a_folder_that_vanishes_is_made_again_for_what_comes(here, monkeypatch):
    summary = fit(monkeypatch, {2: lambda: shutil.rmtree("run")})
    assert summary["status"] == "finished" and runs.read("run")["summary"]["status"] == "finished"
    assert checkpoint.load(checkpoint.follow(Path("run/checkpoints/last"))).meta["epoch"] == 3


def test_a_folder_that_takes_no_files_any_more_ends_no_training(here, monkeypatch):
    def replace():
        Path("run").rename("before")
        Path("run").write_text("a file")

    assert fit(monkeypatch, {2: replace})["epochs"] == 4
    assert epochs_of_checkpoints("before/checkpoints")["last"] == 1


def test_a_disk_without_room_for_a_run_is_refused_before_it_begins(tmp_path):
    module = SimpleNamespace(model=torch.nn.Linear(10**8, 10**8, device="meta"))  # 40 PB
    with pytest.raises(RunError, match=r"cannot start a run in .*: the disk has") as error:
        check_space(tmp_path / "not" / "there", module)
    assert "--run_dir" in str(error.value) and not (tmp_path / "not").exists()
    check_space(tmp_path, SimpleNamespace(model=torch.nn.Linear(1, 1)))
