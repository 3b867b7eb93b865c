"""Tests of rnnzoo.training.callbacks.checkpoints and ema: what was validated is saved; the last and the best stay."""

import itertools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from rnnzoo.errors import RunError
from rnnzoo.runs import checkpoint
from rnnzoo.training.callbacks.checkpoints import Checkpoints
from rnnzoo.training.callbacks.ema import EMA


class Tiny(LightningModule):
    """A linear model whose validation logs the scores it is given, and keeps the weights it was validated with."""

    def __init__(self, scores=()):
        super().__init__()
        self.model = torch.nn.Linear(2, 1)
        self.scores = iter(scores)
        self.validated: list[dict[str, torch.Tensor]] = []
        self.trained = [self.weights()]  # before the first step and after each

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def on_train_start(self):
        self.trained = [self.weights()]

    def training_step(self, batch, batch_idx):
        return self.model(batch).square().mean()

    def on_train_batch_end(self, *args):
        if self.trainer.global_step == len(self.trained):
            self.trained.append(self.weights())

    def validation_step(self, batch, batch_idx):
        return None

    def on_validation_epoch_end(self):
        if not self.trainer.sanity_checking:
            self.validated.append(self.weights())
            self.log("val/accuracy", float(next(self.scores)))
        else:
            self.log("val/accuracy", 0.0)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Recorder(Callback):
    """Notes which checkpoints and pointers exist after each validation."""

    def __init__(self, folder):
        self.folder, self.seen = folder, []

    def on_train_epoch_end(self, trainer, pl_module):
        self.seen.append({path.name for path in self.folder.iterdir()})


def loader(batches: int = 2) -> DataLoader:
    return DataLoader(torch.randn(batches, 2, generator=torch.Generator().manual_seed(0)), batch_size=1)


def fit(module, callbacks, batches=2, validate=True, **options):
    trainer = Trainer(
        **{
            "max_epochs": 4,
            "logger": False,
            "callbacks": callbacks,
            "accelerator": "cpu",
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            **options,
        }
    )
    trainer.fit(module, loader(batches), loader(1) if validate else None)
    return trainer


def same(left, right) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


# -- last and best --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "scores", "best"),
    [
        ("max", [1, 3, 2, 3], 1),  # a tie keeps the first
        ("min", [3, 2, 4, 1], 3),
        ("max", [float("nan"), 1, float("nan"), 0], 1),
        ("min", [2, float("nan"), float("-inf"), 3], 0),
        ("max", [float("inf"), 1, 2, float("inf")], 2),
    ],
)
def test_the_pointers_name_the_last_and_the_best(mode, scores, best, tmp_path):
    saver, module = Checkpoints(tmp_path, {"cell": "gru"}, {"form": "x"}, mode=mode), Tiny(scores)
    fit(module, [saver])
    steps = [f"step-{2 * (epoch + 1):09d}" for epoch in range(4)]
    assert checkpoint.follow(tmp_path / "last").name == steps[-1]
    assert checkpoint.follow(tmp_path / "best") == saver.best_path == tmp_path / steps[best]
    assert saver.best_score == scores[best]
    assert {path.name for path in tmp_path.iterdir()} == {"last", "best", steps[-1], steps[best]}
    loaded = checkpoint.load(saver.best_path)
    assert same(loaded.weights, module.validated[best])
    assert loaded.spec == {"form": "x"}
    assert (loaded.meta["cell"], loaded.meta["step"], loaded.meta["epoch"]) == ("gru", 2 * (best + 1), best)


def test_only_nan_is_no_best(tmp_path):
    saver = Checkpoints(tmp_path, {}, {})
    fit(Tiny([float("nan")] * 4), [saver])
    assert (saver.best_score, saver.best_path) == (None, None)
    assert not (tmp_path / "best").exists()
    assert checkpoint.load(checkpoint.follow(tmp_path / "last")).meta["metrics"] == {"val/accuracy": None}


def test_without_validation_the_weights_are_saved_at_the_end(tmp_path):
    module = Tiny()
    fit(module, [Checkpoints(tmp_path, {}, {})], validate=False)
    assert same(checkpoint.load(checkpoint.locate(tmp_path)).weights, module.model.state_dict())


def test_steps_after_the_last_validation_are_saved_as_the_last(tmp_path):
    module = Tiny([1])
    fit(module, [Checkpoints(tmp_path, {}, {})], batches=3, max_steps=3, val_check_interval=2, max_epochs=1)
    assert checkpoint.follow(tmp_path / "best").name == "step-000000002"
    last = checkpoint.load(checkpoint.follow(tmp_path / "last"))
    assert last.meta["step"] == 3
    assert same(last.weights, module.model.state_dict())


def test_validating_twice_between_two_steps_keeps_both_weights(tmp_path):
    module = Tiny([1, 2, 3, 4])
    fit(
        module,
        [Checkpoints(tmp_path, {}, {})],
        batches=4,
        val_check_interval=1,
        accumulate_grad_batches=4,
        max_epochs=1,
    )
    assert same(checkpoint.load(checkpoint.follow(tmp_path / "last")).weights, module.validated[-1])
    assert same(checkpoint.load(checkpoint.follow(tmp_path / "best")).weights, module.validated[-1])


def test_a_metric_that_is_never_logged_ends_the_run_before_training(tmp_path):
    module = Tiny([1])
    with pytest.raises(RunError, match=r"named 'val/acuracy'.*\n.*Did you mean 'val/accuracy'"):
        fit(module, [Checkpoints(tmp_path, {}, {}, monitor="val/acuracy")])
    assert len(module.trained) == 1


def test_the_sanity_check_saves_nothing(tmp_path):
    recorder = Recorder(tmp_path)
    fit(Tiny([1, 2, 3, 4]), [Checkpoints(tmp_path, {}, {}), recorder], num_sanity_val_steps=1)
    assert recorder.seen[0] == {"step-000000002", "last", "best"}


def test_validating_after_training_saves_nothing(tmp_path):
    saver, module = Checkpoints(tmp_path, {}, {}), Tiny([1, 2, 3, 4, 5])
    trainer = fit(module, [saver])
    before = {path.name for path in tmp_path.iterdir()}
    trainer.validate(module, loader(1), verbose=False)
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_when_any_write_of_a_training_fails_both_pointers_lead_to_whole_checkpoints(call, tmp_path):
    original = getattr(os, call)
    for k in itertools.count(1):
        folder, calls, module = tmp_path / str(k), itertools.count(1), Tiny([1, 2, 1, 1])

        def fails(*args, calls=calls, k=k):
            if next(calls) == k:
                raise OSError(28, "No space left on device")
            return original(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, call, fails)
            try:
                fit(module, [Checkpoints(folder, {}, {})], num_sanity_val_steps=0)
            except RunError as error:
                assert "No space left on device" in str(error)
        for name in ("best", "last"):
            if (folder / name).exists():
                weights = checkpoint.load(checkpoint.follow(folder / name)).weights
                assert any(same(weights, validated) for validated in module.validated)
            else:
                assert len(module.validated) == 1
        if next(calls) <= k:
            break


# -- averaged weights -----------------------------------------------------------------------------------------------


def averages(trained, decay):
    """The averages after each step by the published formula, in double precision."""
    average = {name: p.double() for name, p in trained[0].items()}
    for n, weights in enumerate(trained[1:]):
        d = min(decay, (1 + n) / (10 + n))
        average = {name: d * average[name] + (1 - d) * weights[name].double() for name in average}
        yield average


@pytest.mark.parametrize("decay", [0.0, 0.2, 0.999])
@pytest.mark.parametrize("accumulated", [1, 2])
def test_averages_follow_the_published_formula_once_per_optimizer_step(decay, accumulated):
    module = Tiny([1, 2, 3, 4])
    fit(module, [EMA(decay)], batches=2, accumulate_grad_batches=accumulated)
    assert len(module.trained) == 1 + 8 // accumulated
    expected = list(averages(module.trained, decay))
    for found, wanted in zip(module.validated, expected[2 // accumulated - 1 :: 2 // accumulated], strict=True):
        for name in found:
            torch.testing.assert_close(found[name].double(), wanted[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("first", ["ema", "checkpoints"])
def test_the_saved_weights_are_the_averages_that_were_validated_in_either_order(first, tmp_path):
    module, saver, ema = Tiny([1, 3, 2, 2]), Checkpoints(tmp_path, {}, {}), EMA(0.9)
    fit(module, [ema, saver] if first == "ema" else [saver, ema])
    assert same(checkpoint.load(saver.best_path).weights, module.validated[1])
    assert same(checkpoint.load(saver.last_path).weights, module.validated[3])
    assert same(module.model.state_dict(), module.validated[3])  # what the model holds after training
    assert not same(module.validated[1], module.trained[4])


@pytest.mark.parametrize("first", ["ema", "checkpoints"])
def test_without_validation_the_averages_are_saved_in_either_order(first, tmp_path):
    module, saver, ema = Tiny(), Checkpoints(tmp_path, {}, {}), EMA(0.9)
    fit(module, [ema, saver] if first == "ema" else [saver, ema], validate=False)
    assert same(checkpoint.load(saver.last_path).weights, module.model.state_dict())
    *_, expected = averages(module.trained, 0.9)
    torch.testing.assert_close(module.model.weight.double(), expected["weight"], atol=1e-6, rtol=1e-5)


def test_averaging_changes_no_training_weight(tmp_path):
    torch.manual_seed(0)
    plain = Tiny([1, 2, 3, 4])
    averaged = Tiny([1, 2, 3, 4])
    averaged.load_state_dict(plain.state_dict())
    fit(plain, [])
    fit(averaged, [EMA(0.9), Checkpoints(tmp_path, {}, {})], val_check_interval=1.0)
    assert all(same(a, b) for a, b in zip(plain.trained, averaged.trained, strict=True))


class Stops(Callback):
    """Fails in the middle of the second validation."""

    def on_validation_batch_start(self, trainer, pl_module, *args):
        if trainer.current_epoch == 1 and not trainer.sanity_checking:
            raise RuntimeError("stop")


def test_a_failure_during_validation_gives_the_training_weights_back():
    module = Tiny([1, 2, 3, 4])
    reference = Tiny([1, 2, 3, 4])
    reference.load_state_dict(module.state_dict())
    fit(reference, [], max_epochs=2)
    with pytest.raises(RuntimeError, match="stop"):
        fit(module, [EMA(0.9), Stops()])
    assert same(module.model.state_dict(), reference.model.state_dict())


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match="decay must be a number in"):
        EMA(decay)


# -- several processes ----------------------------------------------------------------------------------------------

SCRIPT = """
    import sys, json, torch
    from pathlib import Path
    from lightning.pytorch import LightningModule, Trainer
    from torch.utils.data import DataLoader
    from rnnzoo import runs
    from rnnzoo.runs import tracking
    from rnnzoo.training.callbacks.checkpoints import Checkpoints
    from rnnzoo.training.callbacks.ema import EMA
    from rnnzoo.training.callbacks.finite import Finite
    from rnnzoo.training.callbacks.throughput import Throughput

    class Tiny(LightningModule):
        def __init__(self):
            super().__init__()
            self.model = torch.nn.Linear(1, 1)
        def training_step(self, batch, batch_idx):
            return self.model(batch).square().mean()
        def validation_step(self, batch, batch_idx):
            self.log("val/accuracy", float(self.current_epoch), batch_size=1)
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    run = runs.create("ddp", Path(sys.argv[1]), seed=1)
    loggers = tracking.make_loggers({}, run, {})
    saver, speed = Checkpoints(run.checkpoints, {}, {}), Throughput()
    trainer = Trainer(max_epochs=2, accelerator="cpu", devices=2, strategy="ddp", logger=loggers,
                      callbacks=[EMA(), saver, Finite(), speed], enable_checkpointing=False, enable_progress_bar=False,
                      enable_model_summary=False, log_every_n_steps=1)
    loader = DataLoader(torch.ones(16, 1), batch_size=2)
    trainer.fit(Tiny(), loader, loader)
    tracking.finish(loggers)
    told = {"best": str(saver.best_path), "examples": speed._examples, "summary": speed.summary()}
    Path(sys.argv[1], f"told-{trainer.global_rank}.json").write_text(json.dumps(told))
"""


@pytest.mark.slow
def test_two_processes_make_one_run_and_agree(tmp_path, monkeypatch):
    script, folder = tmp_path / "train.py", tmp_path / "run"
    script.write_text(textwrap.dedent(SCRIPT))
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("PYTHONPATH", str(Path(checkpoint.__file__).parents[2]))
    done = subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    first, second = ((folder / f"told-{rank}.json").read_text() for rank in (0, 1))
    assert first == second
    assert '"examples": 24' in first  # 2 ranks x 4 batches x 2 examples x 2 epochs, less 2 batches of each rank
    assert len(list(folder.glob("wandb/offline-run-*"))) == 1
    assert checkpoint.load(checkpoint.follow(folder / "checkpoints" / "best")).meta["epoch"] == 1
    assert (folder / "metrics.jsonl").read_text().count("val/accuracy") == 2
