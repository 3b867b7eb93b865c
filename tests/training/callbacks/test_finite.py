"""Tests of rnnzoo.training.callbacks.finite: a bad step is said, changes nothing, and training does as it is told."""

import copy
import math

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from spoiling import Spoil
from torch.utils.data import DataLoader

from rnnzoo import cli, runs
from rnnzoo import recipe as recipes
from rnnzoo.errors import RunError
from rnnzoo.experiment import build
from rnnzoo.experiment.fit import make_callbacks
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs.record import last_records
from rnnzoo.runs.trackers.metrics_file import MetricsFile
from rnnzoo.training.callbacks.finite import Finite
from rnnzoo.training.trainer import make_trainer, quiet

QUIET = ("--trainer.limit_val_batches=2", "--trainer.log_every_n_steps=1")
GOOD, BAD = 1.0, float("nan")


class Tiny(LightningModule):
    """Two weights; `spoil` makes one step's loss or gradient bad."""

    def __init__(self, spoil: str = ""):
        super().__init__()
        self.first, self.second = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
        self.embedding = torch.nn.Embedding(3, 2, sparse=True)
        self.spoil = spoil
        self.before: list[torch.Tensor] = []

    def training_step(self, batch, batch_idx):
        self.before.append(torch.cat((self.first, self.second)).detach().clone())
        bad = bool(torch.isnan(batch).any())
        x = torch.ones(2)
        loss = (self.first * x).sum() + (self.second * x).sum() + self.embedding(torch.tensor([1])).sum()
        if bad and self.spoil == "loss":
            return loss * BAD
        if bad and self.spoil == "constant":
            return loss + float("inf")
        if self.spoil == "steep":
            return 2 * loss
        if bad and self.spoil == "gradient":
            return loss + torch.where(x > 2, (self.second * 0).sqrt(), x).sum()
        if bad and self.spoil == "sparse":
            self.embedding.weight.register_hook(
                lambda g: torch.sparse_coo_tensor(g._indices(), g._values() * BAD, g.shape)
            )
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.25)


def fit(module, values, **options):
    trainer = Trainer(
        **{
            "max_epochs": 1,
            "logger": False,
            "callbacks": [Finite()],
            "accelerator": "cpu",
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            **options,
        }
    )
    trainer.fit(module, DataLoader(torch.tensor(values)[:, None], batch_size=1))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("loss", "the loss is not finite(.|\n)*first bad gradient: first"),
        ("constant", "the loss is not finite(.|\n)*Loss inf(.|\n)*every single gradient is finite"),
        ("gradient", "the gradient is not finite(.|\n)*first bad gradient: second"),
        ("sparse", "the gradient is not finite(.|\n)*first bad gradient: embedding.weight"),
    ],
)
def test_a_bad_step_is_told_and_overwrites_nothing(spoil, told):
    module = Tiny(spoil)
    with pytest.raises(RunError, match=told) as error:
        fit(module, [GOOD, GOOD, BAD, GOOD])
    assert "at step 2" in str(error.value) and "learning rate 0.25" in str(error.value)
    assert len(str(error.value).splitlines()) <= 5
    assert torch.equal(torch.cat((module.first, module.second)), module.before[2])
    assert len(module.before) == 3


def test_a_bad_batch_among_accumulated_ones_is_found():
    module = Tiny("constant")
    with pytest.raises(RunError, match="at step 1, epoch 1: the loss"):
        fit(module, [GOOD, GOOD, BAD, GOOD], accumulate_grad_batches=2)
    assert torch.equal(torch.cat((module.first, module.second)), module.before[2])


def test_the_check_comes_before_clipping():
    module = Tiny("gradient")
    module.embedding.sparse = False
    with pytest.raises(RunError, match="first bad gradient: second"):
        fit(module, [GOOD, BAD], gradient_clip_val=1.0)


def test_a_good_training_is_untouched():
    module = Tiny()
    fit(module, [GOOD] * 4)
    assert torch.equal(module.first.detach(), torch.zeros(2))  # 1 - 4 * 0.25


def test_weights_that_the_last_step_broke_are_told_at_the_end():
    module = Tiny("steep")
    module.configure_optimizers = lambda: torch.optim.SGD(module.parameters(), lr=3e38)
    with pytest.raises(RunError, match=r"at step 1, epoch 1: a weight is not finite(.|\n)*first bad weight: first"):
        fit(module, [GOOD])


class Scaler:
    """A loss scaler at a scale."""

    def __init__(self, scale):
        self.scale = scale

    def get_scale(self):
        return self.scale


@pytest.mark.parametrize("scale", [65536.0, 0.5])
def test_a_gradient_that_overflows_is_the_loss_scalers_matter_until_its_scale_is_below_one(scale):
    trainer, module, finite = Trainer(logger=False, accelerator="cpu"), Tiny(), Finite()
    trainer.precision_plugin.scaler = Scaler(scale)
    module.first.grad = torch.tensor([1.0, float("inf")])
    optimizer = module.configure_optimizers()
    if scale >= 1:
        finite.on_before_optimizer_step(trainer, module, optimizer)
    else:
        with pytest.raises(RunError, match="the gradient is not finite"):
            finite.on_before_optimizer_step(trainer, module, optimizer)


# -- the policies ---------------------------------------------------------------------------------------------------


class Record(Callback):
    """The weights and the optimizer's moments after each batch."""

    def __init__(self):
        self.states = []

    def on_train_batch_end(self, trainer, pl_module, *args):
        optimizer = trainer.optimizers[0].state_dict()["state"]
        self.states.append(copy.deepcopy((pl_module.state_dict(), optimizer)))


def equal(first, second):
    return all(torch.equal(first[0][name], second[0][name]) for name in first[0]) and str(first[1]) == str(second[1])


class Rows(Callback):
    """The row numbers of each batch."""

    def __init__(self):
        self.rows = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.rows.append(batch.index)


class Rates(Callback):
    """The learning rate that each step is made with."""

    def __init__(self):
        self.rates = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append(optimizer.param_groups[0]["lr"])


def train(folder, name, bad, options=(), more=()):
    """A training of a recipe whose loss is not finite at some batches: its callback, and the losses of its epochs."""
    recipe = resolve(recipes.read(name, [*QUIET, "--trainer.limit_train_batches=8", *options]))
    build.seed_everything(1)
    data = build.make_data(recipe)
    module = build.make_module(recipe, data.spec)
    finite = Finite(**recipe["bad_numbers"])
    log = folder / "metrics.jsonl"
    callbacks = [finite, Spoil(bad), *make_callbacks(recipe, module), *more]
    trainer = make_trainer(recipe, callbacks=callbacks, logger=[MetricsFile(log)])
    with quiet():
        trainer.fit(module, data)
    return finite, [line["train/loss"] for line in last_records(log, 999) if "train/loss" in line]


SKIP = ["--bad_numbers.policy=skip", "--trainer.max_epochs=1"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(("recipe", "batches"), [("toy_tags", [3]), ("toy_text", [0, 3])])
def test_a_step_that_is_left_out_moves_no_weight_and_counts_in_no_metric(recipe, batches, value, tmp_path, caplog):
    record = Record()
    options = [*SKIP, "--optimizer.weight_decay=0.1"]
    finite, losses = train(tmp_path, recipe, dict.fromkeys(batches, value), options, [record])
    last = batches[-1]
    assert equal(record.states[last], record.states[last - 1])
    assert not equal(record.states[last + 1], record.states[last])
    assert len(losses) == 1 and losses[0] is not None
    assert finite.summary() == {"skipped": len(batches), "rolled_back": 0}
    messages = [r.getMessage() for r in caplog.records if "The step is left out" in r.getMessage()]
    assert len(messages) == len(batches)
    assert messages[-1].startswith(f"step {last}, epoch 1: the loss is not finite.") and "learning rate" in messages[-1]


def test_the_message_names_the_rows_of_the_step(tmp_path, caplog):
    rows = Rows()
    train(tmp_path, "toy_tags", {5: math.nan}, [*SKIP, "--trainer.accumulate_grad_batches=2"], [rows])
    step = torch.cat(rows.rows[4:6]).tolist()
    assert (
        f"{len(step)} rows of the train split: {', '.join(map(str, step[:12]))} and {len(step) - 12} more."
        in caplog.text
    )


def test_more_bad_steps_than_the_recipe_allows_end_the_run(tmp_path):
    bad = dict.fromkeys([1, 3, 5], math.nan)
    with pytest.raises(RunError, match=r"at step 5, epoch 1: the loss(.|\n)*skip was used 2 times") as error:
        train(tmp_path, "toy_tags", bad, [*SKIP, "--bad_numbers.at_most=2"])
    assert len(str(error.value).splitlines()) <= 5


BACK = ["--bad_numbers.policy=rollback", "--bad_numbers.every_n_steps=2", "--trainer.max_epochs=1"]
BACK += ["--schedule=constant"]


@pytest.mark.parametrize("more", [[], ["--callbacks.ema.decay=0.5"], ["--optimizer=sgd", "--optimizer.momentum=0.9"]])
def test_training_goes_back_to_an_earlier_state_at_a_lower_rate(more, tmp_path, caplog):
    record, rates = Record(), Rates()
    finite, losses = train(tmp_path, "toy_tags", {6: math.nan}, [*BACK, *more], [record, rates])
    assert finite.summary() == {"skipped": 0, "rolled_back": 1} and losses[0] is not None
    assert equal(record.states[6], record.states[3])  # after four steps: the older of the states after four and six
    assert rates.rates == pytest.approx([rates.rates[0]] * 7 + [rates.rates[0] / 2])
    assert "back to the weights of step 4" in caplog.text


def test_training_that_breaks_again_and_again_ends(tmp_path):
    with pytest.raises(RunError, match="rollback was used 2 times"):
        train(tmp_path, "toy_tags", dict.fromkeys(range(8), math.nan), [*BACK, "--bad_numbers.at_most=2"])


def test_a_rate_that_is_far_too_high_comes_down_until_training_works(tmp_path):
    """Each step at such a rate overwrites the weights with numbers that no later step survives."""
    options = [*BACK, "--optimizer=sgd", "--optimizer.lr=3e38", "--bad_numbers.lr_factor=1e-39"]
    finite, losses = train(tmp_path, "toy_tags", {}, [*options, "--trainer.max_epochs=3"])
    assert 1 <= finite.rolled_back <= 5 and losses[-1] is not None


class Break(Callback):
    """Makes a weight infinite after the third batch."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == 2:
            with torch.no_grad():
                next(pl_module.parameters())[:] = math.inf


def test_leaving_steps_out_does_not_help_weights_that_are_broken(tmp_path):
    with pytest.raises(RunError, match=r"at step 3, epoch 1(.|\n)*first bad weight"):
        train(tmp_path, "toy_tags", {}, SKIP, [Break()])


def test_going_back_helps_weights_that_are_broken(tmp_path):
    finite, losses = train(tmp_path, "toy_tags", {}, BACK, [Break()])
    assert finite.rolled_back == 1 and losses[-1] is not None


ONE_STEP = ("--data.examples=40", "--data.batch_size=64", "--trainer.max_epochs=3")


@pytest.mark.parametrize(("recipe", "lr"), [("quickstart", 3e38), ("quickstart", 3e37), ("toy_text", 3e38)])
def test_a_run_that_breaks_before_its_first_validation_has_failed_and_keeps_nothing(recipe, lr, here, capsys):
    """There is one step in an epoch, so validation is the first to see what it did."""
    options = ("--trainer.enable_progress_bar=false", "--tracking.mode=disabled", "--schedule.name=constant")
    batch = "--data.batch_size=1" if recipe == "toy_text" else "--data.batch_size=64"
    steps = ("--data.tbptt_steps=1000",) if recipe == "toy_text" else ()
    command = ["fit", recipe, *ONE_STEP, batch, *steps, f"--optimizer.lr={lr}", *options, "--run_dir", "run"]
    assert cli.main(command) == 2
    told = capsys.readouterr().err
    assert "training broke at step 1, epoch 1: " in told and "learning rate" in told and "Traceback" not in told
    assert runs.read("run")["summary"]["status"] == "failed"
    assert not list(here.glob("run/checkpoints/*"))
