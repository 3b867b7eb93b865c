"""What all tests share: no network, no file of the user's, one thread; and a run to ask."""

import os
import shutil
import signal
import struct
import tempfile
from pathlib import Path

import pytest

OWN = Path(tempfile.mkdtemp(prefix="rnnzoo-tests-"))
os.environ |= {
    "OMP_NUM_THREADS": "1",  # read when torch is imported, here and in the processes that tests start
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "HF_HUB_OFFLINE": "1",
    "HF_HOME": str(OWN / "hf"),
    "NETRC": str(OWN / "netrc"),
    **{f"WANDB_{name}DIR": str(OWN / "wandb") for name in ("DATA_", "CACHE_", "CONFIG_")},
}
for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "WANDB_API_KEY", "WANDB_DIR", "RNNZOO_PLUGINS", "COLUMNS"):
    os.environ.pop(name, None)
(OWN / "wandb").mkdir()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job: some tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
if getattr(signal, "SIGHUP", None) and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

REVIEWS = """
name: reviews
seed: 1
data: {name: text_files, train: train.csv, dev: dev.csv, test: dev.csv, max_length: null, batch_size: 8}
task: {name: sentiment}
model: {architecture: {name: bidirectional, hidden_size: 4}, inputs: {tokens: {size: 4}}}
optimizer: {name: adam, lr: 0.1}
trainer: {max_epochs: 10, enable_progress_bar: false}
tracking: {mode: disabled}
"""


def pytest_unconfigure() -> None:
    shutil.rmtree(OWN, ignore_errors=True)


def write_reviews(folder: Path, train: int = 48) -> Path:
    """A recipe in `folder` and its data: a review is positive if it says good, negative if it says bad."""
    for name, rows in {"train.csv": train, "dev.csv": 8}.items():
        pairs = [(f"a {word} film number {row}", label) for row in range(rows // 2) for word, label in WORDS.items()]
        (folder / name).write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in pairs))
    path = folder / "reviews.yaml"
    path.write_text(REVIEWS)
    return path


def no_compiler() -> bool:
    """Whether this machine has no C++ compiler, so that no native code can be made."""
    from rnnzoo.engine.cpp import build

    try:
        build.compiler()
    except build.Unbuildable:
        return True
    return False


WORDS = {"good": "positive", "bad": "negative"}


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """The folder of a run that knows good from bad; its recipe and its data are gone, and it was moved."""
    from rnnzoo.cli import main

    made = tmp_path_factory.mktemp("made")
    before = Path.cwd()
    os.chdir(made)
    try:
        assert main(["fit", str(write_reviews(made)), "--run_dir", "run"]) == 0
    finally:
        os.chdir(before)
    moved = tmp_path_factory.mktemp("trained") / "run"
    shutil.move(made / "run", moved)
    shutil.rmtree(made)
    return moved


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    """An empty folder, which is the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch):
    """W&B that knows no key and writes nothing outside the test's folder; its service is fresh."""
    import wandb

    wandb.teardown()
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "HOME"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    yield wandb
    wandb.teardown()


@pytest.fixture
def recorder(wandb, monkeypatch):
    """A server of W&B's that keeps what it gets, and an environment that asks for it, with a key."""
    from wandb_server import KEY, recording

    for name, value in {"BASE_URL": "", "API_KEY": KEY, "MODE": "online", "ERROR_REPORTING": "false"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with recording() as recorder:
        monkeypatch.setenv("WANDB_BASE_URL", recorder.url)
        yield recorder
        recorder.ended.set()
        wandb.teardown()  # what its service still holds is sent before the recorder goes


@pytest.fixture
def tracked(tmp_path: Path):
    """A run that a tracker is made for."""
    from rnnzoo.recipe.sections import TrackingOptions
    from rnnzoo.runs.trackers.base import TrackedRun

    config = {"seed": 7, "model": {"dropout": 0.5, "sizes": [1, 2]}, "data": {"name": "made up"}}
    options = TrackingOptions(project="zoo", group="memory")
    return TrackedRun(tmp_path, tmp_path / "trackers" / "mine", "id7", "run-seed7", config, options)


def records(path: Path) -> list:
    """The records of a .wandb file: protobuf messages in blocks of 32 KiB, as in LevelDB's log."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, whole, found = path.read_bytes(), 7, b"", []
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        _, size, kind = struct.unpack("<IHB", data[position : position + 7])
        whole += data[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # a full record, or the last part of one
            found.append(Record.FromString(whole))
            whole = b""
    return found
