"""Tests of rnnzoo.training.callbacks.swa: the mean of the last epochs' weights is validated, saved, and the model's."""

import pytest
import torch
from lightning.pytorch import Callback
from test_checkpoints import Tiny, fit, same

from rnnzoo import registry
from rnnzoo.errors import RecipeError
from rnnzoo.runs import checkpoint
from rnnzoo.training.callbacks.checkpoints import Checkpoints
from rnnzoo.training.callbacks.swa import SWA
from rnnzoo.training.schedules import interval


class Scheduled(Tiny):
    """With a schedule of the zoo."""

    def __init__(self, schedule, scores=(1,) * 9):
        super().__init__(scores)
        self.schedule = schedule

    def configure_optimizers(self):
        optimizer = super().configure_optimizers()
        scheduler = registry.build("schedules", {"name": self.schedule}, optimizer, total_steps=12, mode="max")
        when = interval(scheduler)
        config = {"scheduler": scheduler, "interval": "step" if when == "step" else "epoch"}
        if when == "plateau":
            config["monitor"] = "val/accuracy"
        return {"optimizer": optimizer, "lr_scheduler": config}


class Rates(Callback):
    """The learning rate of each epoch's last batch."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == 1:
            self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def mean(weights):
    return {name: torch.stack([w[name] for w in weights]).mean(0) for name in weights[0]}


@pytest.mark.filterwarnings("error::UserWarning:torch")
@pytest.mark.parametrize("schedule", [entry.name for entry in registry.entries("schedules")])
@pytest.mark.parametrize("first", ["swa", "checkpoints"])
def test_from_its_first_epoch_on_the_mean_over_epochs_is_validated_and_saved(schedule, first, tmp_path):
    module, saver, rates = Scheduled(schedule, [1, 2, 3, 4, 5, 6]), Checkpoints(tmp_path, {}, {}), Rates()
    averaging = SWA(lr=0.05, start=0.5, annealing_epochs=2)
    fit(module, [averaging, saver, rates] if first == "swa" else [saver, averaging, rates], max_epochs=6)
    ends = module.trained[2::2]  # two steps an epoch
    for epoch in range(6):
        wanted = mean(ends[3 : epoch + 1]) if epoch >= 3 else ends[epoch]
        for name, weight in module.validated[epoch].items():
            torch.testing.assert_close(weight, wanted[name])
    assert same(checkpoint.load(saver.best_path).weights, module.validated[5])
    assert same(checkpoint.load(saver.last_path).weights, module.validated[5])
    assert same(module.model.state_dict(), module.validated[5]) and not same(module.validated[5], ends[5])
    assert rates.seen[5] == pytest.approx(0.05)
    assert rates.seen[4] == pytest.approx((rates.seen[3] + 0.05) / 2, rel=1e-6)  # half a cosine, half way


def test_validation_within_an_epoch_sees_the_mean_so_far_and_training_is_untouched(tmp_path):
    options = {"batches": 4, "val_check_interval": 2, "max_epochs": 4}
    plain, averaged = Scheduled("constant"), Scheduled("constant")
    averaged.load_state_dict(plain.state_dict())
    fit(plain, [], **options)
    fit(averaged, [SWA(lr=0.1, start=0.5), Checkpoints(tmp_path, {}, {})], **options)
    assert all(same(a, b) for a, b in zip(plain.trained, averaged.trained, strict=True))
    assert same(averaged.validated[4], averaged.trained[10])  # nothing is averaged yet
    assert same(averaged.validated[6], averaged.validated[5]) and same(averaged.validated[5], averaged.trained[12])


def test_statistics_of_batch_norm_are_averaged_with_the_weights_and_training_keeps_its_own(tmp_path):
    class Normed(Tiny):
        def __init__(self):
            super().__init__([1] * 4)
            self.model = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
            self.means = []

        def training_step(self, batch, batch_idx):
            return self.model(torch.cat([batch, batch + 1])).square().mean()

        def on_train_batch_end(self, *args):
            super().on_train_batch_end(*args)
            self.means.append(self.model[0].running_mean.clone())

    module, plain = Normed(), Normed()
    plain.load_state_dict(module.state_dict())
    fit(plain, [])
    fit(module, [SWA(lr=0.1, start=0.5), Checkpoints(tmp_path, {}, {})])
    assert all(torch.equal(a, b) for a, b in zip(plain.means, module.means, strict=True))
    kept = checkpoint.load(checkpoint.follow(tmp_path / "last")).weights
    torch.testing.assert_close(kept["0.running_mean"], (module.means[5] + module.means[7]) / 2)


def test_without_a_number_of_epochs_it_is_refused():
    with pytest.raises(RecipeError, match=r"number of epochs is not known"):
        fit(Tiny([1]), [SWA(lr=0.1)], max_epochs=-1, max_steps=2)
