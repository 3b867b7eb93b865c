"""Optimizers and schedules: the rule that each name stands for, checked against arithmetic and torch's own classes."""

import math

import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn

from rnnzoo import registry
from rnnzoo.training.schedules import interval

OPTIMIZERS = {
    entry.name: registry.load("optimizers", entry.name)
    for entry in registry.entries("optimizers")
    if entry.distribution == registry.OWN_DISTRIBUTION
}
SCHEDULES = [entry.name for entry in registry.entries("schedules") if entry.distribution == registry.OWN_DISTRIBUTION]

TORCH = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adagrad": torch.optim.Adagrad,
}


def parameter() -> nn.Parameter:
    return nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))


def descend(optimizer: torch.optim.Optimizer, w: nn.Parameter, steps: int = 7) -> torch.Tensor:
    for _ in range(steps):
        optimizer.zero_grad()
        (w**2).sum().backward()
        optimizer.step()
    return w.detach()


def made(name: str, optimizer: torch.optim.Optimizer, total_steps: int, mode: str, **settings):
    return registry.build("schedules", {"name": name, **settings}, optimizer, total_steps=total_steps, mode=mode)


def rates(name: str, total: int, lr: float = 2.0, optimizer: str = "sgd", **settings) -> list[float]:
    """The rate of each of the `total` steps."""
    built = OPTIMIZERS[optimizer]([parameter()], lr=lr)
    schedule = made(name, built, total, "max", **settings)
    assert interval(schedule) == "step"
    found = []
    for _ in range(total):
        found.append(built.param_groups[0]["lr"])
        built.step()
        schedule.step()
    return found


def test_the_table_holds_each_optimizer_once():
    assert OPTIMIZERS.keys() == TORCH.keys() | {"sparse_adam"}  # which has tests of its own


@pytest.mark.parametrize("name", TORCH)
def test_each_optimizer_steps_as_the_plain_one_of_torch(name):
    own, plain = parameter(), parameter()
    ours = OPTIMIZERS[name]([own], lr=0.05, weight_decay=0.1)
    reference = TORCH[name]([plain], lr=0.05, weight_decay=0.1, foreach=False)
    torch.testing.assert_close(descend(ours, own), descend(reference, plain))


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "adagrad"])
def test_dense_parameters_on_the_cpu_are_stepped_by_the_fused_kernel(name):
    assert OPTIMIZERS[name]([parameter()]).param_groups[0]["fused"] is True


def test_parameters_that_the_fused_kernel_cannot_take_are_stepped_all_the_same():
    w = nn.Parameter(torch.tensor([1.0 + 2.0j]))
    optimizer = OPTIMIZERS["adam"]([w], lr=0.1)
    (w.abs() ** 2).sum().backward()
    optimizer.step()
    assert w.abs().item() < math.hypot(1, 2)


def test_groups_of_parameters_keep_their_own_settings():
    groups = [{"params": [parameter()], "weight_decay": 0.0}, {"params": [parameter()]}]
    optimizer = OPTIMIZERS["adamw"](groups, lr=0.1, weight_decay=0.3)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.3]


def test_lightning_clips_the_gradients_of_a_fused_optimizer_under_mixed_precision():
    w = parameter()
    optimizer = OPTIMIZERS["adamw"]([w])
    w.grad = torch.tensor([30.0, 0.0, 40.0])
    MixedPrecision("bf16-mixed", "cpu").clip_gradients(optimizer, clip_val=1.0)
    assert w.grad.norm().item() == pytest.approx(1.0, abs=1e-5)


def test_momentum_and_nesterov_are_torchs():
    own, plain = parameter(), parameter()
    ours = OPTIMIZERS["sgd"]([own], lr=0.01, momentum=0.9, nesterov=True)
    torch.testing.assert_close(
        descend(ours, own), descend(torch.optim.SGD([plain], lr=0.01, momentum=0.9, nesterov=True), plain)
    )
    OPTIMIZERS["sgd"]([parameter()], momentum=0.0, nesterov=True)  # no effect, and no error


def test_constant_rises_over_its_warmup_and_stays():
    assert rates("constant", 8, warmup=0.5) == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0])
    assert rates("constant", 3) == [2.0, 2.0, 2.0]


def test_linear_falls_in_a_straight_line_that_ends_at_zero_after_the_last_step():
    assert rates("linear", 4) == pytest.approx([2.0, 1.5, 1.0, 0.5])
    assert rates("linear", 6, warmup=1 / 3) == pytest.approx([1.0, 2.0, 2.0, 1.5, 1.0, 0.5])


def test_cosine_is_half_way_down_in_the_middle_and_ends_at_its_final_share():
    found = rates("cosine", 100, final=0.1)
    assert found[0] == 2.0 and found[50] == pytest.approx(1.1) and found[25] > 1.1 > found[75]
    assert found[99] == pytest.approx(0.2, abs=1e-3)


def test_inverse_sqrt_peaks_at_the_end_of_its_warmup_and_halves_at_four_times_that_step():
    found = rates("inverse_sqrt", 100, warmup=0.1)
    assert max(found) == found[9] == pytest.approx(2.0)
    assert found[4] == pytest.approx(1.0) and found[39] == pytest.approx(1.0)


def test_one_cycle_goes_from_its_start_over_lr_to_its_final_share():
    found = rates("one_cycle", 100, warmup=0.2, start=0.1, final=0.01)
    assert found[0] == pytest.approx(0.2) and max(found) == found[19] == pytest.approx(2.0)
    assert found[99] == pytest.approx(0.02)


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"step", "plateau"}))
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25, 0.5, 0.999])
@pytest.mark.parametrize("total", [1, 2, 3, 4, 10])
def test_short_runs_have_rates_between_zero_and_lr(name, warmup, total):
    assert all(0 <= rate <= 2.0 + 1e-9 for rate in rates(name, total, warmup=warmup))


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"step", "plateau"}))
def test_a_run_longer_than_announced_keeps_a_low_rate(name):
    built = OPTIMIZERS["adamw"]([parameter()], lr=2.0)
    schedule = made(name, built, 5, "max")
    for _ in range(12):
        built.step()
        schedule.step()
    assert 0 <= built.param_groups[0]["lr"] <= 2.0 and math.isfinite(built.param_groups[0]["lr"])


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_one_cycle_serves_every_optimizer_with_momentum_or_without(optimizer):
    rates("one_cycle", 10, optimizer=optimizer)


def test_a_schedule_goes_on_where_its_state_was_saved():
    def make():
        built = OPTIMIZERS["adamw"]([parameter()], lr=1.0)
        return built, made("one_cycle", built, 20, "max")

    first, scheduler = make()
    for _ in range(7):
        first.step()
        scheduler.step()
    second, resumed = make()
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    for built, clock in ((first, scheduler), (second, resumed)):
        built.step()
        clock.step()
    assert first.param_groups[0]["lr"] == second.param_groups[0]["lr"]


def test_step_multiplies_after_every_so_many_epochs():
    built = OPTIMIZERS["sgd"]([parameter()], lr=1.0)
    schedule = made("step", built, 100, "max", every_epochs=2, factor=0.5)
    assert interval(schedule) == "epoch"
    found = []
    for _ in range(5):
        found.append(built.param_groups[0]["lr"])
        built.step()
        schedule.step()
    assert found == [1.0, 1.0, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(("mode", "better"), [("max", 1.0), ("min", -1.0)])
def test_plateau_waits_for_its_patience_and_knows_what_is_better(mode, better):
    built = OPTIMIZERS["sgd"]([parameter()], lr=1.0)
    schedule = made("plateau", built, 100, mode, factor=0.25, patience=1)
    assert interval(schedule) == "plateau"
    found = []
    for score in (1.0, 2.0, 2.0, 2.0, 3.0):
        built.step()
        schedule.step(better * score)
        found.append(built.param_groups[0]["lr"])
    assert found == [1.0, 1.0, 1.0, 0.25, 0.25]
