"""Tests of rnnzoo.callbacks.finite: a broken step is told and overwrites nothing."""

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader

from rnnzoo.callbacks.finite import Finite
from rnnzoo.errors import RunError

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
    trainer = Trainer(**{
        "max_epochs": 1, "logger": False, "callbacks": [Finite()], "accelerator": "cpu", "enable_checkpointing": False,
        "enable_progress_bar": False, "enable_model_summary": False, **options,
    })  # fmt: skip
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
