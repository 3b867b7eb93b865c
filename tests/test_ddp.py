"""Two processes give what one gives: real ones, over gloo, as a user starts them.

Each process is the command line again, so what one test takes is mostly the start of Python and Lightning.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from test_registry import distribution

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.batch import Batch
from rnnzoo.data.datamodule import ZooData
from rnnzoo.experiment import build
from rnnzoo.experiment.fit import fit as fit_recipe
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs import checkpoint

pytestmark = pytest.mark.slow
TWO = ("--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp")
SMALL = ("--trainer.accelerator=cpu", "--trainer.max_epochs=1", "--trainer.enable_progress_bar=false")


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """A folder of its own, and no rank or port of someone else's."""
    for name in ("WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def rnnzoo(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "rnnzoo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def ran(*arguments: object) -> str:
    done = rnnzoo(*arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def resolved(name: str, *overrides: str) -> dict:
    return resolve(recipes.read(name, (*SMALL, "--tracking.mode=disabled", *overrides)))


COUNTED = ("test/accuracy", "test/precision", "test/recall", "test/f1", "test/exact_match")  # ratios of whole numbers


def same(one: dict[str, float], two: dict[str, float]) -> None:
    one, two = ({n: value for n, value in found.items() if "/ece" not in n} for found in (one, two))  # `test` has more
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert two[name] == (value if name in COUNTED else pytest.approx(value, rel=1e-6)), name


def first_batch(data: ZooData, *, rank: int = 0, world_size: int = 1) -> Batch:
    batches = data.form.batches(data.parts["train"], training=True, seed=1, rank=rank, world_size=world_size)
    return data.parts["train"].collate(next(iter(batches)))


def test_two_processes_train_test_report_and_log_one_run(tmp_path):
    told = ran("fit", "quickstart", "--data.examples", 101, "--data.batch_size", 8, *SMALL, *TWO)
    (folder,) = (tmp_path / "runs" / "quickstart").iterdir()
    summary = runs.read(folder)["summary"]
    assert told.count("quickstart, seed 1") == 1 and told.count(str(folder.relative_to(tmp_path))) >= 1
    assert (summary["status"], summary["processes"], summary["steps"]) == ("finished", 2, 7)  # 13 batches for two
    assert len(list(folder.glob("wandb/offline-run-*"))) == 1 and len(list(tmp_path.rglob("*.wandb"))) == 1
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert len([line for line in lines if "test/accuracy" in line]) == 1
    assert summary["throughput"]["tokens_per_second"] > 0
    data = build.make_data(resolved("quickstart", "--data.examples=101", "--data.batch_size=8"))
    data.prepare()
    tokens = [batch.tokens for batch in data.train_dataloader()]
    again = first_batch(data, world_size=2).tokens
    assert summary["tokens"] == sum(tokens) + again  # of 13 batches for two, the first is read twice
    assert [line["tokens_seen"] for line in lines if "train/loss" in line] == [summary["tokens"]]
    assert 0 < lines[0]["cpu_seconds"] <= lines[-1]["cpu_seconds"] <= summary["cpu_seconds"]
    for pointer in ("best", "last"):
        checkpoint.load(checkpoint.follow(folder / "checkpoints" / pointer))

    wanted = {name: value for name, value in summary["metrics"].items() if name.startswith("test/")}
    two = json.loads(ran("test", folder, "--json"))
    one = json.loads(ran("test", folder, "--json", "--trainer.devices", 1, "--trainer.strategy", "auto"))
    same(two, wanted)
    same(one, wanted)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("toy_tags", ["--data.examples=50", "--data.eval_batch_size=3"]),  # 13 sentences
        (
            "toy_text",
            ["--data.examples=30", "--data.eval_batch_size=3", "--data.batch_size=4"],
        ),  # every process reads all of the stream
        ("toy_reverse", ["--data.examples=37", "--data.eval_batch_size=4"]),  # 10 pairs
    ],
)
def test_two_processes_measure_what_one_does(name, overrides):
    summary, run = fit_recipe(resolved(name, *overrides))
    one = {name: value for name, value in summary["metrics"].items() if name.startswith("test/")}
    same(json.loads(ran("test", run.path, "--json", *TWO)), one)


SPANS = """
data: {name: conll_files, train: train.txt, dev: dev.txt, test: dev.txt, scheme: bioes, characters: true,
       batch_size: 4, eval_batch_size: 3}
task: {name: tagging, crf: true}
model: {architecture: {name: bidirectional, hidden_size: 8}, inputs: {tokens: {size: 8}}}
optimizer: {name: adam, lr: 0.05}
"""


def test_two_processes_find_the_spans_that_one_does(tmp_path):
    """Names of one word or two stand after a title."""
    names = [["Mr O", *(f"n{k % 5} I-PER" for _ in range(1 + k % 2)), "sat O", ""] for k in range(60)]
    for part, rows in {"train": names, "dev": names[:13]}.items():
        (tmp_path / f"{part}.txt").write_text("\n".join(line for row in rows for line in row))
    (tmp_path / "spans.yaml").write_text(SPANS)
    summary, run = fit_recipe(resolved("spans.yaml"))
    one = {name: value for name, value in summary["metrics"].items() if name.startswith("test/")}
    assert one["test/f1"] > 0 and one.keys() > {"test/precision", "test/recall"}
    same(json.loads(ran("test", run.path, "--json", *TWO)), one)


def test_a_step_of_two_batches_of_four_is_that_of_one_batch_of_eight(tmp_path):
    """One step of plain gradient descent at a rate of 1 moves the weights by the gradient itself."""
    once = ["--data.examples=8", "--trainer.limit_val_batches=0", "--optimizer.name=sgd", "--optimizer.lr=1.0"]
    once += ["--schedule.name=constant", "--trainer.gradient_clip_val=null"]
    whole = resolved("toy_tags", *once, "--data.batch_size=8")
    halves = resolved("toy_tags", *once, "--data.batch_size=4")
    data = build.make_data(halves)
    data.prepare()
    shares = [first_batch(data, rank=rank, world_size=2) for rank in (0, 1)]
    assert sorted(torch.cat([share.index for share in shares]).tolist()) == list(range(8))
    assert shares[0].tokens != shares[1].tokens

    fit_recipe(whole, tmp_path / "whole")
    ran("fit", "toy_tags", *SMALL, *once, "--data.batch_size=4", *TWO, "--run_dir", tmp_path / "halves")
    build.seed_everything(1)
    begin = build.make_module(whole, data.spec).model.state_dict()
    gradients = [
        {name: begin[name] - weight for name, weight in last(tmp_path / place).items()} for place in ("whole", "halves")
    ]
    assert max(gradient.abs().max() for gradient in gradients[0].values()) > 0.01
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-6, rtol=0)


def test_two_processes_of_two_columns_train_as_one_process_of_four(tmp_path):
    """Carried state, clipping and accumulation are those of one stream: each process reads columns of its own."""
    stream = ["--data.examples=60", "--data.tbptt_steps=9", "--data.eval_batch_size=4", "--task.cutoffs=[6,12]"]
    plain = ["--optimizer.name=sgd", "--optimizer.lr=0.5", "--schedule.name=constant"]
    stream += [*plain, "--trainer.gradient_clip_val=0.25", "--trainer.accumulate_grad_batches=2"]
    fit_recipe(resolved("toy_text", *stream, "--data.batch_size=4"), tmp_path / "whole")
    ran("fit", "toy_text", *SMALL, *stream, "--data.batch_size=2", *TWO, "--run_dir", tmp_path / "halves")
    whole, halves = last(tmp_path / "whole"), last(tmp_path / "halves")
    for name, weight in whole.items():
        torch.testing.assert_close(halves[name], weight, atol=1e-5, rtol=1e-4)
    one, two = (runs.read(tmp_path / place)["summary"]["metrics"] for place in ("whole", "halves"))
    assert two == pytest.approx(one, rel=1e-4) and one["test/perplexity"] > 1


@pytest.mark.parametrize("examples", [32, 16])
def test_a_step_of_two_processes_and_two_batches_each_is_that_of_one_process_and_four_batches(tmp_path, examples):
    """Batches of unequal token counts; an epoch's last step may have fewer of them."""
    batches = [f"--data.examples={examples}", "--data.batch_size=8", "--optimizer.name=sgd", "--schedule.name=constant"]
    batches += ["--trainer.limit_val_batches=0", "--trainer.gradient_clip_val=0.1"]
    fit_recipe(resolved("toy_reverse", *batches, "--trainer.accumulate_grad_batches=4"), tmp_path / "one")
    two = ["--trainer.accumulate_grad_batches=2", *TWO, "--run_dir", tmp_path / "two"]
    ran("fit", "toy_reverse", *SMALL, *batches, *two)
    one, two = last(tmp_path / "one"), last(tmp_path / "two")
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=1e-6, rtol=0)


def last(run: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(checkpoint.follow(run / "checkpoints" / "last")).weights


def test_too_few_rows_for_two_processes_is_one_readable_mistake_and_ends_both():
    done = rnnzoo("fit", "toy_reverse", "--data.examples", 1, *SMALL, *TWO)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.count("the train split has 1 examples, too few to give each of 2 processes some") == 1


def test_each_process_draws_dropout_masks_of_its_own(tmp_path):
    """There is one batch, so both processes train on it; with the same masks they would do what one process does."""
    once = ["--data.examples=16", "--data.batch_size=16", "--model.head.dropout=0.5", "--optimizer.name=sgd"]
    _, alone = fit_recipe(resolved("quickstart", *once))
    ran("fit", "quickstart", *SMALL, *once, *TWO, "--run_dir", tmp_path / "two")
    one, two = last(alone.path), last(tmp_path / "two")
    assert not any(torch.equal(two[name], weight) for name, weight in one.items() if name.startswith("head"))


BAD_ROW = """
import os
from rnnzoo.data.forms import rows
from rnnzoo.data.sources.toy_reviews import ToyReviews
from rnnzoo.errors import DataError


class Half(ToyReviews):
    def read(self):
        if os.environ.get("LOCAL_RANK") == "1":
            rows.RowExamples.collate = self.fail
        return super().read()

    def fail(self, *_):
        raise DataError("this process has a bad row.")
"""


def test_a_mistake_of_one_process_is_told_once_and_ends_both(tmp_path, monkeypatch):
    distribution(tmp_path / "site", "rnnzoo-half", "rnnzoo.datasets", "half = stranger_half:Half", BAD_ROW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    done = rnnzoo("fit", "quickstart", "--data", "{name: half, examples: 64}", *SMALL, *TWO, "--run_dir", "run")
    assert done.returncode != 0 and done.stderr.count("this process has a bad row.") == 1
    assert "Traceback" not in done.stderr
    assert runs.read("run")["summary"]["status"] in ("failed", "interrupted")


NAN_IN_ONE = """
import math
from lightning.pytorch import Callback


class Spoil(Callback):
    def on_fit_start(self, trainer, pl_module):
        loss = pl_module.task.loss
        pl_module.task.loss = lambda *arguments: loss(*arguments) * (math.nan if self.bad and trainer.training else 1)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.bad = trainer.global_rank == 1 and trainer.current_epoch == 0 and batch_idx == 1
"""


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_all_processes_do_with_a_bad_step_what_one_of_them_does(policy, here, monkeypatch):
    distribution(here / "site", "rnnzoo-spoil", "rnnzoo.callbacks", "spoil = stranger_spoil:Spoil", NAN_IN_ONE)
    monkeypatch.setenv("PYTHONPATH", str(here / "site"))
    options = ["--data.examples=80", "--data.batch_size=8", "--callbacks.spoil=true", f"--bad_numbers.policy={policy}"]
    done = rnnzoo("fit", "quickstart", *options, *SMALL, *TWO, "--run_dir", "run")
    assert "Traceback" not in done.stderr
    summary = runs.read("run")["summary"]
    if policy == "skip":
        assert done.returncode == 0 and summary["bad_numbers"] == {"skipped": 1, "rolled_back": 0}
        assert done.stderr.count("The step is left out") == 1
    else:
        assert done.returncode == 2 and summary["status"] == "failed"
        assert done.stderr.count("rows of the train split") == 1


DIGESTS = """
import hashlib
from pathlib import Path


class Digests(Spoil):
    def on_train_start(self, trainer, pl_module):
        self.digests = [digest(pl_module)]

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        self.digests.append(digest(pl_module))

    def on_train_end(self, trainer, pl_module):
        Path(f"digests-{trainer.global_rank}").write_text(" ".join([*self.digests, digest(pl_module)]))


def digest(module):
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in module.parameters())).hexdigest()
"""


def test_all_processes_go_back_together(here, monkeypatch):
    """The second of five batches is bad in one process; the weights of each are those of the other at every batch."""
    code = NAN_IN_ONE + DIGESTS
    distribution(here / "site", "rnnzoo-digests", "rnnzoo.callbacks", "digests = stranger_digests:Digests", code)
    monkeypatch.setenv("PYTHONPATH", str(here / "site"))
    options = ["--data.examples=80", "--data.batch_size=8", "--callbacks.digests=true", "--bad_numbers.policy=rollback"]
    done = rnnzoo("fit", "quickstart", *options, *SMALL, *TWO, "--run_dir", "run")
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-2000:]
    assert runs.read("run")["summary"]["bad_numbers"] == {"skipped": 0, "rolled_back": 1}
    assert done.stderr.count("back to the weights of step 0") == 1
    one, two = (Path(f"digests-{rank}").read_text().split() for rank in (0, 1))
    start, *before = one
    assert one == two and len(before) == 6
    assert before[0] == before[2] == start and len({*before}) == 5  # 0 and 2: before the first step, and back again


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_notebook"])
def test_processes_of_the_trainers_own_test_the_best_checkpoint_and_leave_the_facts(strategy, tmp_path):
    """At this rate no score ever changes, so the first checkpoint stays the best, and the last is another."""
    options = ["--data.examples=60", "--data.batch_size=8", "--trainer.max_epochs=5", "--optimizer.lr=1e-12"]
    options += ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
    two = ["--trainer.devices=2", f"--trainer.strategy={strategy}", "--run_dir", tmp_path / "run"]
    ran("fit", "toy_tags", *options, *two)
    summary = runs.read(tmp_path / "run")["summary"]
    best, newest = (checkpoint.follow(tmp_path / "run" / "checkpoints" / name) for name in ("best", "last"))
    assert summary["best"]["score"] == checkpoint.load(best).meta["metrics"]["val/accuracy"] and best != newest
    assert summary["steps"] > 0 and summary["epochs"] == 5 and summary["metrics"]["best/accuracy"] > 0
    assert summary["engine"] and summary["throughput"]["tokens_per_second"] > 0 and summary["train_seconds"] > 0
    assert not (tmp_path / "run" / "outcome.json").exists()
    alone = ("--trainer.devices", 1, "--trainer.strategy", "auto")
    wanted = {name: value for name, value in summary["metrics"].items() if name.startswith("test/")}
    same(json.loads(ran("test", tmp_path / "run", "--json", *alone)), wanted)


def test_a_training_that_breaks_in_a_process_of_the_trainers_own_is_one_message(tmp_path):
    options = ["--data.examples=40", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
    options += ["--optimizer.lr=3e38", "--trainer.devices=2", "--trainer.strategy=ddp_spawn", "--run_dir", "run"]
    done = rnnzoo("fit", "quickstart", *options)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.stderr.count("training broke at step") == 1
    assert runs.read(tmp_path / "run")["summary"]["status"] == "failed"


def after_signal(number: int, target: int, seconds: float) -> tuple[int, str]:
    """The exit code and the messages of a run of two processes, one of which got a signal, within so many seconds."""
    options = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.max_epochs=100000"]
    command = [sys.executable, "-m", "rnnzoo", "fit", "quickstart", *options, *TWO, "--run_dir", "run"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as fit:
        deadline = time.monotonic() + 120
        while not Path("run/checkpoints/best").exists():
            assert fit.poll() is None and time.monotonic() < deadline, fit.communicate()[1]
            select.select([], [], [], 0.05)
        children = Path(f"/proc/{fit.pid}/task/{fit.pid}/children").read_text().split()
        (other,) = (int(pid) for pid in children if "fit" in Path(f"/proc/{pid}/cmdline").read_text().split("\0"))
        os.kill((fit.pid, other)[target], number)
        messages = fit.communicate(timeout=seconds)[1]  # once both have closed it
    return fit.returncode, messages


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the children of a process are read from /proc")
@pytest.mark.parametrize("target", [0, 1])
def test_sigterm_to_one_process_ends_both_in_words(target, tmp_path):
    code, told = after_signal(signal.SIGTERM, target, seconds=60)
    assert "Traceback" not in told and "gloo" not in told
    assert told.count("stopped in epoch") == 1 and "Go on from here: rnnzoo fit --resume run" in told
    assert code == 143  # whichever was asked: they stop between the same two batches
    assert runs.read("run")["summary"]["status"] == "interrupted"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the children of a process are read from /proc")
@pytest.mark.parametrize("target", [0, 1])
def test_a_process_that_is_killed_takes_the_other_one_with_it(target, here):
    code, message = after_signal(signal.SIGKILL, target, seconds=30)
    assert code == (-signal.SIGKILL, 2)[target]
    assert "Traceback" not in message
    (line,) = [line for line in message.splitlines() if line.startswith("process ")]
    assert re.match((r"process 0 .* is gone", r"process 1 of 2 on \S+ was ended by SIGKILL\.$")[target], line)
