"""Tests of rnnzoo.training.callbacks.finite: a broken step is told and overwrites nothing."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from rnnzoo import cli, runs
from rnnzoo.errors import RunError
from rnnzoo.training.callbacks.finite import Finite

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
    with pytest.raises(RunError, match="at step 1: the loss"):
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
    with pytest.raises(RunError, match=r"at step 1: a weight is not finite(.|\n)*first bad weight: first"):
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
    assert "training broke at step 1: " in told and "learning rate" in told and "Traceback" not in told
    assert runs.read("run")["summary"]["status"] == "failed"
    assert not list(here.glob("run/checkpoints/*"))
