"""Tests of rnnzoo.runs.tracking: the metrics file, and W&B that never stops a run."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from conftest import records
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader
from wandb_server import AUTHORIZATION, KEY, recording

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs import tracking
from rnnzoo.runs.trackers import wandb_run
from rnnzoo.runs.trackers.metrics_file import MetricsFile
from rnnzoo.tasks.sentiment import Sentiment
from rnnzoo.training.callbacks.finite import Finite

LOSS, RATE = "train/loss_step", "lr"


@pytest.fixture
def run(tmp_path: Path, monkeypatch) -> runs.Run:
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(runs.SHARED, "")
    return runs.create("imdb", tmp_path / "run", seed=1)


class Tiny(LightningModule):
    """One weight; logs its loss in training and validation."""

    def __init__(self):
        super().__init__()
        self.model = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        loss = self.model(batch).square().mean()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.model(batch).square().mean(), batch_size=len(batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self):
        return DataLoader(torch.ones(4, 1), batch_size=2)

    val_dataloader = train_dataloader


def train(loggers) -> torch.Tensor:
    torch.manual_seed(0)
    module = Tiny()
    trainer = Trainer(
        max_epochs=2,
        logger=loggers,
        log_every_n_steps=1,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module)
    return module.model.weight.detach()


def offline_records(run: runs.Run) -> list:
    import wandb

    wandb.teardown()  # as at the exit of the process: what its service still holds is written
    (path,) = run.path.glob("wandb/offline-run-*/*.wandb")
    return records(path)


def opened(run: runs.Run):
    """What an offline run was opened with."""
    (found,) = [record.run for record in offline_records(run) if record.WhichOneof("record_type") == "run"]
    return found


def summary(run: runs.Run) -> dict:
    """The summary of an offline run, as W&B's own reader tells it."""
    import wandb

    wandb.teardown()
    (path,) = run.path.glob("wandb/offline-run-*/*.wandb")
    read = subprocess.run(["wandb", "leet", "inspect", "--summary", "--json", path], capture_output=True, check=True)
    return json.loads(read.stdout)["summary"]


def history(run: runs.Run) -> list[dict]:
    """What an offline run has logged, a mapping a call."""
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in offline_records(run)
        if record.WhichOneof("record_type") == "history"
    ]


def told(caplog) -> list[str]:
    """The warnings that rnnzoo itself gave."""
    return [record.getMessage() for record in caplog.records if record.name == "rnnzoo"]


# -- the metrics file -----------------------------------------------------------------------------------------------


def test_each_call_is_one_line_of_strict_json(run):
    logger = MetricsFile(run.metrics)
    logger.log_metrics({"train/loss": torch.tensor(0.5), "epoch": 1.0}, step=7)
    logger.log_metrics({"val/loss": float("nan"), "val/best": float("-inf")}, step=8)
    first, second = [json.loads(line, parse_constant=pytest.fail) for line in run.metrics.read_text().splitlines()]
    assert (first["step"], first["epoch"], first["train/loss"]) == (7, 1, 0.5)
    assert 0 <= first["time"] <= second["time"]
    assert (second["val/loss"], second["val/best"]) == (None, None)
    assert second["not_finite"] == {"val/loss": "nan", "val/best": "-inf"}


def test_a_trainer_writes_its_metrics_by_step(run):
    train(tracking.make_loggers({"mode": "disabled"}, run, {}))
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [line["step"] for line in lines if "train/loss" in line] == [0, 1, 2, 3]
    assert [line["epoch"] for line in lines if "val/loss" in line] == [0, 1]


def test_a_metrics_file_that_cannot_be_written_is_one_warning(run, caplog):
    logger = MetricsFile(run.path / "gone" / "metrics.jsonl")
    logger.log_metrics({"a": 1.0}, step=1)
    logger.log_metrics({"a": 1.0}, step=2)
    assert len(told(caplog)) == 1


# -- W&B ------------------------------------------------------------------------------------------------------------


def test_an_offline_run_holds_its_config_once_its_metrics_and_its_place(run, wandb):
    config = {"seed": 1, "model": {"architecture": {"name": "bidirectional", "hidden_size": 128}}}
    loggers = tracking.make_loggers({"project": "zoo", "group": "imdb", "tags": ["fast"]}, run, config)
    train(loggers)
    tracking.finish(loggers)
    found = offline_records(run)
    (opened,) = [r.run for r in found if r.WhichOneof("record_type") == "run"]
    assert (opened.project, opened.run_group, opened.display_name, list(opened.tags)) == (
        "zoo",
        "imdb",
        run.id,
        ["fast"],
    )
    given = {item.key: json.loads(item.value_json) for item in opened.config.update}
    assert {key: given[key] for key in config} == config
    assert tracking.where(loggers) == {
        "id": opened.run_id,
        "mode": "offline",
        "path": str(next(run.path.glob("wandb/offline-run-*")).relative_to(run.path)),
    }
    rows = [
        {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in r.history.item}
        for r in found
        if r.WhichOneof("record_type") == "history"
    ]
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [row["val/loss"] for row in rows if "val/loss" in row] == [n["val/loss"] for n in lines if "val/loss" in n]


def test_every_runs_summary_has_one_number_a_name_the_last_of_its_curve(tmp_path, wandb, monkeypatch):
    monkeypatch.setenv(runs.SHARED, "")
    found = []
    for number in range(4):  # W&B sorts its globs anew in each run: two that overlap show within a few
        run = runs.create("imdb", tmp_path / f"run{number}", seed=1)
        loggers = tracking.make_loggers({}, run, {})
        for step, accuracy in enumerate((0.5, 0.75, 0.25)):
            loggers[1].log_metrics({"val/accuracy": accuracy, "val/loss": 1 - accuracy}, step)
        loggers[1].log_metrics({"test/accuracy": 0.625}, 3)
        tracking.summarise(loggers, {"best/accuracy": 0.75})
        tracking.finish(loggers)
        found.append({name: value for name, value in summary(run).items() if "/" in name and name[0] != "_"})
    assert found == 4 * [
        {
            "val/accuracy": 0.25,
            "val/loss": 0.75,
            "test/accuracy": 0.625,
            "best/accuracy": 0.75,
            "trainer/global_step": 3,
        }
    ]


def test_no_secret_reaches_any_byte_of_the_run(run, wandb, monkeypatch, capfd):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", KEY)
    monkeypatch.setattr(sys, "argv", ["rnnzoo", "--data.password", KEY])
    config = {"data": {"url": f"https://me:{KEY}@host/x?token={KEY}", "hf_token": KEY}, "api_key": KEY}
    loggers = tracking.make_loggers({}, run, config)
    loggers[1].log_metrics({"val/accuracy": 1.0}, step=1)
    run.write_summary({"wandb": tracking.where(loggers), "config": config})
    tracking.finish(loggers)
    wandb.teardown()
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in "".join(capfd.readouterr())


def test_wandb_changes_no_weight(run, wandb):
    loggers = tracking.make_loggers({}, run, {})
    with_wandb = train(loggers)
    tracking.finish(loggers)
    assert torch.equal(with_wandb, train(False))


def test_a_run_goes_on_when_the_service_of_wandb_dies(run, wandb, caplog):
    loggers = tracking.make_loggers({}, run, {})
    (service,) = [int(p.name) for p in Path("/proc").glob("[0-9]*") if _is_service(p)]
    os.kill(service, signal.SIGKILL)
    os.waitpid(service, 0)
    assert torch.equal(train(loggers), train(False))
    tracking.finish(loggers, timeout=5)
    assert len(told(caplog)) == 1
    assert len(run.metrics.read_text().splitlines()) == 6


def _is_service(process: Path) -> bool:
    try:
        parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
        return parent == os.getpid() and "wandb-core" in (process / "cmdline").read_text()
    except OSError:
        return False


def test_a_run_goes_on_when_wandb_cannot_start(run, wandb, monkeypatch, caplog):
    monkeypatch.setattr(wandb, "init", lambda **_: sys.exit("no space left"))
    loggers = tracking.make_loggers({}, run, {})
    assert [type(item).__name__ for item in loggers] == ["MetricsFile"]
    assert tracking.where(loggers) == {"mode": "disabled"}
    assert "no space left" in caplog.text and len(told(caplog)) == 1


@pytest.mark.parametrize(
    ("in_recipe", "in_environment", "mode"),
    [
        ("auto", "", "offline"),  # there is no key
        ("online", "offline", "offline"),
        ("online", "disabled", "disabled"),
        ("disabled", "online", "disabled"),
    ],
)
def test_the_mode_of_the_environment_goes_before_that_of_the_recipe(
    in_recipe, in_environment, mode, run, wandb, monkeypatch, caplog
):
    monkeypatch.setenv("WANDB_MODE", in_environment)
    if not in_environment:
        monkeypatch.delenv("WANDB_MODE")
    loggers = tracking.make_loggers({"mode": in_recipe}, run, {})
    tracking.finish(loggers)
    assert tracking.where(loggers)["mode"] == mode
    assert not told(caplog)


def test_asking_for_online_without_a_key_warns_and_never_prompts(run, wandb, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a prompt"))
    loggers = tracking.make_loggers({}, run, {})
    tracking.finish(loggers)
    assert tracking.where(loggers)["mode"] == "offline"
    assert "no API key" in caplog.text and len(told(caplog)) == 1


@pytest.mark.parametrize("fault", [401, "stalls", "goes away"])
def test_a_server_that_does_not_work_makes_the_run_offline_with_one_warning(fault, run, recorder, monkeypatch, caplog):
    monkeypatch.setattr(wandb_run, "INIT_SECONDS", 1.0)
    monkeypatch.delenv("WANDB_MODE")
    recorder.fault = fault
    loggers = tracking.make_loggers({}, run, {})
    loggers[1].log_metrics({"val/accuracy": 1.0}, step=1)
    tracking.finish(loggers, timeout=5)
    assert tracking.where(loggers)["mode"] == "offline"
    assert len(told(caplog)) == 1
    assert KEY not in caplog.text
    assert any(r.WhichOneof("record_type") == "history" for r in offline_records(run))


@pytest.mark.parametrize("setting", ["base_url", "http_proxy"])
@pytest.mark.parametrize("folder", ["wandb", ".wandb"])
def test_a_settings_file_in_the_current_folder_sends_the_users_key_nowhere(
    setting, folder, run, here, wandb, monkeypatch
):
    monkeypatch.setattr(wandb_run, "INIT_SECONDS", 1.0)
    for name in ("WANDB_MODE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with recording() as home, recording() as elsewhere:
        home.fault = elsewhere.fault = 401
        Path(os.environ["WANDB_CONFIG_DIR"], "settings").write_text(f"[default]\nbase_url = {home.url}\n")
        (here / folder).mkdir()
        local = f"[default]\n{setting} = {elsewhere.url}\nproject = team\nx_extra_http_headers = {{}}\n"
        (here / folder / "settings").write_text(local)
        try:
            loggers = tracking.make_loggers({}, run, {})
            tracking.finish(loggers, timeout=5)
        finally:
            wandb.teardown()
    assert any(AUTHORIZATION.encode() in request for request in home.received) and not elsewhere.received
    assert opened(run).project == "team"  # which names nothing but a project


def test_wandbs_environment_goes_before_defaults_and_a_recipes_own_values_before_that(
    run, wandb, monkeypatch, tmp_path
):
    said = {
        "PROJECT": "theirs",
        "NAME": "me",
        "RUN_GROUP": "us",
        "TAGS": "a,b",
        "NOTES": "why",
        "RUN_ID": "id7",
        "ENTITY": "team",
    }
    for name, value in said.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    tracking.finish(tracking.make_loggers({}, run, {}, "a-default-name"))
    found = opened(run)
    assert (found.project, found.display_name, found.run_group, found.entity) == ("theirs", "me", "us", "team")
    assert (list(found.tags), found.notes, found.run_id) == (["a", "b"], "why", "id7")

    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv(runs.SHARED, "")
    other = runs.create("imdb", tmp_path / "other", seed=1)
    recipe = {"project": "mine", "run_name": "I", "group": "ours", "tags": ["c"], "entity": "guild"}
    loggers = tracking.make_loggers(recipe, other, {}, "a-default-name")
    tracking.finish(loggers)
    place = Path(tracking.where(loggers)["path"])
    assert place.parent == tmp_path / "elsewhere" / "wandb" and not list(other.path.glob("wandb*"))
    wandb.teardown()
    (found,) = [r.run for r in records(next(place.glob("*.wandb"))) if r.WhichOneof("record_type") == "run"]
    assert (found.project, found.display_name, found.run_group, found.entity) == ("mine", "I", "ours", "guild")
    assert (list(found.tags), found.run_id) == (["c"], "id7")


def test_wandb_init_and_wandb_offline_hold_here_where_the_environment_says_nothing(run, here, wandb, monkeypatch):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(wandb_run, "reachable", lambda _: pytest.fail("looked for a server"))
    (here / "wandb").mkdir()
    (here / "wandb" / "settings").write_text("[default]\nentity = team\nproject = theirs\nmode = offline\n")
    loggers = tracking.make_loggers({}, run, {}, "a-default-name")
    tracking.finish(loggers)
    found = opened(run)
    assert (found.project, found.entity, found.display_name) == ("theirs", "team", "a-default-name")
    assert tracking.where(loggers)["mode"] == "offline"


def test_finishing_a_hanging_upload_ends_in_time(run, wandb, monkeypatch, caplog):
    loggers = tracking.make_loggers({}, run, {})
    released = threading.Event()
    monkeypatch.setattr(loggers[1].tracker._experiment, "finish", lambda **_: released.wait(30))
    tracking.finish(loggers, timeout=0.05)
    released.set()
    assert "wandb sync" in caplog.text


def test_opening_a_run_imports_nothing_of_wandbs_launcher(run, wandb):
    code = "import sys; from rnnzoo import runs; from rnnzoo.runs import tracking; from pathlib import Path;"
    code += f"run = runs.Run(Path({str(run.path)!r}), 'imdb', 1); loggers = tracking.make_loggers({{}}, run, {{}});"
    code += (
        "tracking.finish(loggers); print(len(loggers), [name for name in sys.modules if 'wandb.sdk.launch' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == "2 []"


def test_only_the_first_process_opens_a_wandb_run(tmp_path, wandb):
    child = runs.Run(tmp_path / "run", "imdb", 1, writer=False)
    assert len(tracking.make_loggers({}, child, {})) == 1


# -- what a step logs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("every", "accumulated"), [(1, 1), (3, 1), (2, 2)])
def test_what_is_logged_at_a_step_is_that_steps_own_loss_and_learning_rate(
    every, accumulated, here, wandb, monkeypatch
):
    losses: dict[int, list[tuple[float, int]]] = {}  # by step: each batch's mean loss, and its reviews
    rates: dict[int, float] = {}
    loss_of, look = Sentiment.loss, Finite.on_before_optimizer_step

    def loss(self, model, output, batch):
        value = loss_of(self, model, output, batch)
        if torch.is_grad_enabled():
            losses.setdefault(len(rates), []).append((value.item(), len(batch)))
        return value

    def stepping(self, trainer, module, optimizer):
        rates[len(rates)] = optimizer.param_groups[0]["lr"]
        look(self, trainer, module, optimizer)

    monkeypatch.setattr(Sentiment, "loss", loss)
    monkeypatch.setattr(Finite, "on_before_optimizer_step", stepping)
    keys = (f"--trainer.log_every_n_steps={every}", f"--trainer.accumulate_grad_batches={accumulated}")
    small = (
        "--data.examples=48",
        "--data.batch_size=10",
        "--model.architecture.hidden_size=4",
        "--callbacks={lr_monitor: {}}",
    )
    shape = ("--trainer.max_epochs=3", "--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu")
    recipe = resolve(recipes.read("quickstart", [*keys, *small, *shape]))
    _, run = fit(recipe)

    true = {step: sum(v * n for v, n in parts) / sum(n for _, n in parts) for step, parts in losses.items()}
    assert len(true) == len(rates) == 3 * -(-5 // accumulated)  # 48 reviews in tens: the last batch is smaller
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    logged = {name: [(line["step"], line[name]) for line in lines if name in line] for name in (LOSS, RATE)}
    steps = [step for step in true if (step + 1) % every == 0]
    assert logged[LOSS] == [(step, pytest.approx(true[step], rel=1e-5)) for step in steps]
    assert logged[RATE] == [(step, pytest.approx(rates[step])) for step in steps]
    rows = history(run)
    for name in (LOSS, RATE):
        assert [(row["trainer/global_step"], row[name]) for row in rows if name in row] == logged[name]


@pytest.mark.parametrize("fault", [401, 429, 500, "stalls", "cuts", "rubbish", "null", "goes away"])
def test_a_server_that_fails_in_the_middle_of_a_run_changes_no_weight_and_loses_no_metric(fault, run, recorder, caplog):
    loggers = tracking.make_loggers({}, run, {})
    assert tracking.where(loggers)["mode"] == "online"
    recorder.fault = fault
    assert torch.equal(train(loggers), train(False))
    tracking.finish(loggers, timeout=1)
    assert len(run.metrics.read_text().splitlines()) == 6
    assert len(told(caplog)) <= 1 and KEY not in caplog.text
