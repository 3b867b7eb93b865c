"""Every option of the trainer and every callback works with every kind of recipe, or is refused before a run begins."""

import dataclasses

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.errors import RecipeError
from rnnzoo.experiment import build
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe.sections import TrainerOptions
from rnnzoo.training.checks import check_options
from rnnzoo.training.trainer import make_trainer

RECIPES = ("quickstart", "toy_text")  # rows of their own, and one stream
WORKS: dict[str, list[object]] = {
    "max_epochs": [1],
    "max_steps": [2],
    "max_time": ["00:00:00:01"],
    "accelerator": ["cpu"],
    "devices": ["auto", 1],
    "num_nodes": [1],
    "strategy": ["auto"],
    "precision": ["auto", "bf16-mixed", "bf16-true", "64-true"],
    "gradient_clip_val": [0.1],
    "gradient_clip_algorithm": ["value"],
    "accumulate_grad_batches": [2],
    "limit_train_batches": [2, 0.5],
    "limit_val_batches": [0, 1, 0.5],
    "limit_test_batches": [0, 1, 0.5],
    "overfit_batches": [1, 2, 0.5],
    "val_check_interval": [1, 0.5],
    "check_val_every_n_epoch": [2],
    "log_every_n_steps": [1],
    "deterministic": [True],
    "detect_anomaly": [True],
    "fast_dev_run": [True, 2],
    "enable_progress_bar": [True],
    "exact": [True],
}
WORKING_CALLBACKS: dict[str, dict[str, object]] = {
    "early_stopping": {"patience": 1},
    "ema": {"decay": 0.5},
    "gradient_flow": {"every_n_steps": 2, "share": 1.0},
    "lr_monitor": {"interval": "epoch"},
    "nt_asgd": {"interval": 1},
    "swa": {"lr": 0.01, "start": 0.5},
}
REFUSED = {
    "devices": ({"devices": [0]}, "trainer"),  # a processor has no numbers
    "limit_val_batches": ({"limit_val_batches": 0.001}, "less than one"),
    "limit_test_batches": ({"limit_test_batches": 0.001}, "less than one"),
    "overfit_batches": ({"overfit_batches": 0.0001}, "less than one"),
    "max_epochs": ({"max_epochs": 0}, "must be a whole number >= 1"),
    "max_steps": ({"max_steps": 0}, "nothing would be trained"),
    "limit_train_batches": ({"limit_train_batches": 0}, "nothing would be trained"),
    "val_check_interval": ({"val_check_interval": 100_000}, "an epoch has"),
    "max_time": ({"max_time": "00:00:00:00"}, "nothing would be trained"),
    "num_nodes": ({"num_nodes": 2}, "no launcher"),
    "check_val_every_n_epoch": (
        {"check_val_every_n_epoch": 5, "max_epochs": 2, "overfit_batches": 2, "limit_val_batches": 0},
        "overfit_batches",
    ),
    "log_every_n_steps": ({"log_every_n_steps": -1}, "trainer"),
    "accumulate_grad_batches": ({"accumulate_grad_batches": 0}, "trainer"),
    "gradient_clip_val": ({"gradient_clip_val": -1.0}, "trainer"),
}
SMALL = {
    "max_epochs": 2,
    "limit_train_batches": 3,
    "limit_val_batches": 1,
    "limit_test_batches": 1,
    "accelerator": "cpu",
    "enable_progress_bar": False,
}


def resolved(name, **sections):
    """A recipe with its trainer's options and other sections laid on it."""
    words = [f"--{section}.{key}={value!r}" for section, given in sections.items() for key, value in given.items()]
    return resolve(recipes.read(name, ["--tracking.mode=disabled", *words]))


def test_the_table_has_every_option_and_every_callback():
    assert WORKS.keys() == {field.name for field in dataclasses.fields(TrainerOptions)}
    assert {*WORKING_CALLBACKS, "attention", "samples"} == {entry.name for entry in registry.entries("callbacks")}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("key", REFUSED)
def test_what_would_train_nothing_or_fail_later_is_refused_before_there_is_a_folder(name, key, tmp_path):
    given, why = REFUSED[key]
    with pytest.raises(RecipeError, match=why):
        fit(resolved(name, trainer=SMALL | given), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_all_that_waits_for_a_validation_that_never_comes_is_refused_at_once(tmp_path):
    recipe = resolved("quickstart", trainer=SMALL | {"limit_val_batches": 0}, schedule={"name": "plateau"})
    recipe["callbacks"] = {"early_stopping": {"patience": 2, "min_delta": 0.0}}
    with pytest.raises(RecipeError) as told:
        fit(recipe, tmp_path / "run")
    assert [m.partition(":")[2].split(":")[0].strip() for m in told.value.messages] == [
        "callbacks.early_stopping",
        "schedule",
    ]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"overfit_batches": 2, "val_check_interval": 3, "limit_val_batches": 1.0}, "and an epoch has 2"),
        ({"max_time": "an hour"}, "trainer"),
        ({"check_val_every_n_epoch": 5, "max_epochs": 2}, "no epoch that is trained ends with one"),
    ],
    ids=str,
)
def test_options_that_do_not_go_together_are_refused_before_there_is_a_folder(given, why, tmp_path):
    recipe = resolved("quickstart", trainer=SMALL | given, schedule={"name": "plateau"})
    with pytest.raises(RecipeError, match=why):
        fit(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", RECIPES)
def test_pictures_of_attention_are_refused_where_there_is_none(name, tmp_path):
    with pytest.raises(RecipeError, match="attends to nothing"):
        fit(resolved(name, trainer=SMALL, callbacks={"attention": {}}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("amount", [1, 2])
def test_overfitting_sees_the_same_batches_in_every_epoch(name, amount, tmp_path):
    recipe = resolved(name, trainer=SMALL | {"overfit_batches": amount, "max_epochs": 2})
    data = build.make_data(recipe)
    data.repeat = True
    first, again = ([batch.target.tolist() for batch in data.train_dataloader()] for _ in range(2))
    assert first == again


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WORKS.items() for value in values], ids=str)
def test_an_option_works(name, key, value, tmp_path):
    recipe = resolved(name, trainer=SMALL | {key: value})
    summary = fit(recipe, tmp_path / "run")[0]
    assert summary["status"] == "finished" and summary["steps"] >= 1
    if key == "overfit_batches" and isinstance(value, int):
        assert summary["steps"] == 2 * value
    if key not in ("limit_test_batches", "fast_dev_run"):
        assert any(metric.startswith("test/") for metric in summary["metrics"])


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("callback", WORKING_CALLBACKS)
def test_a_callback_works(name, callback, tmp_path):
    given = {callback: WORKING_CALLBACKS[callback]}
    recipe = resolved(name, trainer=SMALL | {"max_epochs": 4}, callbacks=given)
    assert fit(recipe, tmp_path / "run")[0]["status"] == "finished"


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(
    "given", [{"check_val_every_n_epoch": 2}, {"val_check_interval": 0.5}, {"val_check_interval": 1}], ids=str
)
def test_a_plateau_schedule_steps_where_there_is_a_score(name, given, tmp_path):
    recipe = resolved(name, trainer=SMALL | {"max_epochs": 4} | given, schedule={"name": "plateau"})
    assert fit(recipe, tmp_path / "run")[0]["status"] == "finished"


def in_job(monkeypatch, **values):
    """The cluster environment of a Trainer in a SLURM job of two nodes, and the Trainer's number of processes."""
    shell = {"JOB_NAME": "interactive", "NTASKS": "2", "NTASKS_PER_NODE": "1", "PROCID": "0", "LOCALID": "0"}
    for name, value in (shell | {"NODEID": "0", "NNODES": "2"} | values).items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    trainer = make_trainer(resolve(recipes.read("quickstart", ["--trainer.accelerator=cpu"])))
    return trainer._accelerator_connector.cluster_environment, trainer.world_size


def test_in_a_slurm_job_lightning_saves_nothing_within_a_signal_and_requeues_nothing(monkeypatch):
    step = {"STEP_NUM_TASKS": "2", "STEP_NUM_NODES": "2", "STEP_TASKS_PER_NODE": "1(x2)"}
    environment, processes = in_job(monkeypatch, **step)
    assert isinstance(environment, SLURMEnvironment) and not environment.auto_requeue and processes == 2


def test_the_shell_of_a_slurm_job_trains_alone(monkeypatch):
    environment, processes = in_job(monkeypatch)
    assert isinstance(environment, LightningEnvironment) and processes == 1


@pytest.mark.parametrize("strategy", ["fsdp", "fsdp_cpu_offload", "deepspeed", "deepspeed_stage_3_offload"])
def test_a_strategy_without_whole_checkpoints_is_refused_with_the_part_and_what_to_take(strategy, here):
    recipe = resolve(recipes.read("quickstart", [f"--trainer.strategy={strategy}"]))
    with pytest.raises(
        RecipeError, match=f"trainer.strategy: '{strategy}' does not work with checkpoints: (?s:.*)fsdp2"
    ):
        fit(recipe)
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--callbacks={ema: {}}", "callbacks.ema: averages whole weights"),
        ("--callbacks={swa: {lr: 0.1}}", "callbacks.swa: averages whole weights"),
        ("--callbacks={nt_asgd: {}}", "callbacks.nt_asgd: averages whole weights"),
        ("--callbacks={gradient_flow: {}}", "callbacks.gradient_flow: differentiates"),
        ("--freeze={inputs: 1}", "freeze.inputs: fsdp2 cannot share out weights that thaw"),
        ("--bad_numbers.policy=rollback", "bad_numbers.policy: rollback keeps copies"),
        ("--trainer.precision=16-mixed", "trainer.precision: 16-mixed was not tried"),
        ("--trainer.accelerator=mps", "trainer.accelerator: fsdp2 runs on cpu and cuda"),
    ],
)
def test_what_fsdp2_cannot_share_out_is_refused_by_its_part(override, message):
    with pytest.raises(RecipeError, match=message):
        check_options(resolve(recipes.read("quickstart", ["--trainer.strategy=fsdp2", override])))


@pytest.mark.parametrize(
    "override", ["--freeze={inputs: always}", "--bad_numbers.policy=skip", "--trainer.precision=auto"]
)
def test_what_fsdp2_can_share_out_is_not_refused(override):
    check_options(resolve(recipes.read("quickstart", ["--trainer.strategy=fsdp2", override])))


def test_an_unknown_strategy_is_refused_with_the_nearest_name():
    with pytest.raises(RecipeError, match=r"trainer\.strategy(?s:.*)'ddp_fork'"):
        resolve(recipes.read("quickstart", ["--trainer.strategy=ddp_frok"]))
