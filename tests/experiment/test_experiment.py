"""A run from recipe to numbers: what it leaves, that it can be repeated, and that its numbers are true."""

import json
import math
import os
import signal

import pytest
import torch
import torch.nn.functional as F
import yaml
from conftest import no_compiler, records
from lightning.pytorch import Trainer

from rnnzoo import load, runs
from rnnzoo import recipe as recipes
from rnnzoo.batch import Batch, DataSpec
from rnnzoo.cli import main
from rnnzoo.data.sources.toy_reviews import ToyReviews
from rnnzoo.errors import RecipeError, RunError, Stopped
from rnnzoo.experiment import build, facts
from rnnzoo.experiment.evaluate import evaluate
from rnnzoo.experiment.fit import fit as fit_recipe
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs import checkpoint
from rnnzoo.system.plain import plain
from rnnzoo.tasks.calibration import Calibration
from rnnzoo.training.callbacks.throughput import Throughput

SMALL = (
    *(
        "--data.examples=96",
        "--data.batch_size=16",
        "--model.architecture.hidden_size=8",
        "--model.inputs.tokens.size=8",
    ),
    *("--trainer.max_epochs=2", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"),
)
UNTRACKED = (*SMALL, "--tracking.mode=disabled")
SGD = ("--optimizer.name=sgd", "--schedule.name=constant", "--optimizer.momentum=0", "--trainer.gradient_clip_val=null")


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """A folder of its own."""
    monkeypatch.chdir(tmp_path)


def resolved(*overrides: str, name: str = "quickstart", small: tuple[str, ...] = UNTRACKED) -> dict:
    return resolve(recipes.read(name, (*small, *overrides)))


def fit(*overrides: str, name: str = "quickstart") -> tuple[dict, runs.Run]:
    return fit_recipe(resolved(*overrides, name=name))


def last(run: runs.Run) -> dict[str, torch.Tensor]:
    return checkpoint.load(checkpoint.follow(run.checkpoints / "last")).weights


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One finished run, with its W&B log: (summary, run)."""
    import wandb

    wandb.teardown()  # a service of its own: what it holds is written when it goes
    recipe = resolved("--tracking.mode=offline", "--tracking.tags=[fast]", small=SMALL)
    yield fit_recipe(recipe, tmp_path_factory.mktemp("done") / "run")
    wandb.teardown()


# What a run leaves


def test_a_run_folder_holds_its_recipe_its_numbers_its_summary_and_whole_checkpoints(done):
    summary, run = done
    written = json.loads(run.summary.read_text())
    assert {key: written[key] for key in summary} == plain(summary)
    assert (written["status"], written["recipe"], written["seed"]) == ("finished", "quickstart", 1)
    assert yaml.safe_load(run.config.read_text())["name"] == "quickstart"
    for pointer in ("best", "last"):
        kept = checkpoint.load(checkpoint.follow(run.checkpoints / pointer))  # checks every file's sha256
        assert kept.meta["recipe"] == yaml.safe_load(run.config.read_text())
        named = {"toy_reviews", "sentiment", "tokens", "bidirectional", "lstm", "adam", "one_cycle"}
        assert {part["name"] for part in kept.meta["parts"]} == named
    assert kept.meta["step"] == summary["steps"] == 2 * 96 / 16
    assert not list(run.checkpoints.glob(".tmp-*"))


def test_the_summary_tells_what_ran_where_on_what_and_how_fast(done):
    summary, run = done
    assert set(summary["metrics"]) == {
        f"{part}/{name}" for part in ("best", "test") for name in ("accuracy", "auroc", "f1", "loss")
    }
    assert summary["parameters"] == sum(tensor.numel() for tensor in last(run).values())
    path = "fused" if no_compiler() else "native"
    assert [(layer["cell"], layer["direction"], layer["path"]) for layer in summary["engine"]] == [
        ("LSTMCell", "forward", path),
        ("LSTMCell", "backward", path),
    ]
    assert {"python", "torch", "lightning", "rnnzoo"} == summary["versions"].keys()
    data = summary["data"]
    assert data["sizes"] == {"train": 96, "dev": 12, "test": 24}
    assert data["id"] == "rnnzoo/ToyReviews" and data["revision"] == ToyReviews(96).identity()["revision"]
    assert len(data["fingerprint"]) == 64
    speed = summary["throughput"]
    assert all(
        speed[f"{what}_per_{clock}"] > 0 for what in ("examples", "tokens") for clock in ("second", "cpu_second")
    )
    assert 0 < summary["train_seconds"] < json.loads(run.summary.read_text())["seconds"]
    assert summary["cpu_seconds"] > 0 and json.loads(run.summary.read_text())["peak_memory_bytes"] > 10**7


def test_the_metrics_file_has_each_epochs_dev_score_and_the_summary_that_of_the_best(done):
    summary, run = done
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    scores = [line["val/accuracy"] for line in lines if "val/accuracy" in line]
    assert len(scores) == 2 and [line["epoch"] for line in lines if "train/loss" in line] == [0, 1]
    assert summary["best"]["score"] == summary["metrics"]["best/accuracy"] == max(scores)
    assert summary["best"]["epoch"] == scores.index(max(scores)) and summary["best"]["monitor"] == "val/accuracy"
    assert [line["test/accuracy"] for line in lines if "test/accuracy" in line] == [summary["metrics"]["test/accuracy"]]


def test_an_offline_run_of_wandb_has_the_nested_recipe_and_a_name_that_tells_it_from_others(done):
    import wandb

    summary, run = done
    wandb.teardown()
    (path,) = run.path.glob("wandb/offline-run-*/*.wandb")
    found = records(path)
    (opened,) = [r.run for r in found if r.WhichOneof("record_type") == "run"]
    told = {i.key: json.loads(i.value_json) for r in found for i in r.summary.update}
    assert {name: told[name] for name in summary["metrics"]} == pytest.approx(summary["metrics"])
    given = {item.key: json.loads(item.value_json) for item in opened.config.update}
    recipe = yaml.safe_load(run.config.read_text())
    assert {key: given[key] for key in recipe} == recipe and isinstance(given["model"]["architecture"], dict)
    assert opened.display_name == "quickstart-bidirectional-lstm-seed1"
    assert (opened.project, opened.run_group, list(opened.tags)) == ("rnnzoo", "toy", ["fast"])
    assert summary["wandb"] == {"id": opened.run_id, "mode": "offline", "path": f"wandb/{path.parent.name}"}


def test_a_runs_name_tells_its_recipe_architecture_cell_and_seed():
    assert facts.run_name(resolved("--model.architecture={name: gru}", "--seed=7")) == "quickstart-gru-seed7"
    wrapped = {"name": "x", "seed": 1, "model": {"architecture": {"name": "odd", "cell": ["lstm"]}}}
    assert facts.run_name(wrapped) == "x-odd-seed1"


def test_tracking_that_is_disabled_leaves_no_trace_of_wandb(tmp_path):
    summary, run = fit("--trainer.max_epochs=1")
    assert summary["wandb"] == {"mode": "disabled"} and not list(tmp_path.rglob("wandb*"))
    assert run.metrics.read_text().count("\n") >= 3


# The same again


def test_a_runs_config_runs_again_to_the_same_weights_and_metrics(done):
    summary, run = done
    again = resolve(recipes.read(run.config, ["--tracking.mode=disabled"]))
    second, other = fit_recipe(again)
    assert second["metrics"] == summary["metrics"] and second["digest"] == summary["digest"]
    assert equal(last(run), last(other))


def test_another_seed_gives_other_weights_and_the_same_data(done):
    summary, run = done
    second, other = fit("--seed=2")
    assert second["data"]["fingerprint"] == summary["data"]["fingerprint"] and second["digest"] != summary["digest"]
    assert not any(torch.equal(a, b) for a, b in zip(last(run).values(), last(other).values(), strict=True))


def test_dropout_is_drawn_from_the_seed_too():
    dropping = ("--trainer.max_epochs=1", "--model.head.dropout=0.5", "--model.inputs.tokens.word_dropout=0.2")
    first, second, third = (last(fit(*dropping, f"--seed={seed}")[1]) for seed in (3, 3, 4))
    assert equal(first, second) and not equal(first, third)


# The numbers are true


def test_the_test_metrics_are_those_of_the_kept_weights_evaluated_again(done):
    summary, run = done
    for part, prefix in (("test", "test/"), ("dev", "best/")):
        again = runs.scores(evaluate(run.path, part))
        assert again == {name: value for name, value in summary["metrics"].items() if name.startswith(prefix)}


def test_the_test_accuracy_is_the_share_of_predictions_that_are_right(done):
    summary, run = done
    test = ToyReviews(96).read()["test"]
    model = load(run.path)
    model.task.calibration = Calibration()  # reported losses are of temperature 1
    answers = model.predict(test["text"])
    right = [answer["label"] == label for answer, label in zip(answers, test["label"], strict=True)]
    assert summary["metrics"]["test/accuracy"] == pytest.approx(sum(right) / 24)
    nll = [-math.log(a["probabilities"][label]) for a, label in zip(answers, test["label"], strict=True)]
    assert summary["metrics"]["test/loss"] == pytest.approx(sum(nll) / 24, rel=1e-5)


@pytest.mark.parametrize("size", [1, 3])
def test_the_perplexity_of_windows_with_carried_state_is_that_of_the_stream_run_at_once(size):
    small = ("--data.examples=40", "--data.tbptt_steps=7", f"--data.eval_batch_size={size}")
    summary, run = fit(*small, "--model.architecture.hidden_size=16", name="toy_text")
    kept = checkpoint.load(checkpoint.follow(run.checkpoints / "best"))
    spec = DataSpec.from_json(kept.spec)
    module = build.make_module(kept.meta["recipe"], spec)
    checkpoint.apply(module.model, kept)
    data = build.make_data(kept.meta["recipe"], spec)
    data.prepare()
    ids = torch.from_numpy(data.parts["test"].ids).long()
    with torch.no_grad():
        logits, _ = module.model.eval().step_logits(Batch({"tokens": ids[None, :-1]}, torch.tensor([len(ids) - 1])))
        perplexity = F.cross_entropy(logits[0], ids[1:]).exp().item()
    assert summary["metrics"]["test/perplexity"] == pytest.approx(perplexity, rel=1e-5)


# What a recipe asks for is what happens


def test_the_engine_that_a_recipe_names_is_the_one_that_ran(done):
    summary, _ = fit("--engine=reference")
    assert {layer["path"] for layer in summary["engine"]} == {"reference"}
    assert {layer["why"] for layer in summary["engine"]} == {"forced"}
    assert summary["metrics"]["test/loss"] == pytest.approx(done[0]["metrics"]["test/loss"], rel=1e-4)  # one truth


def test_mixed_bfloat16_trains_to_finite_numbers():
    summary, run = fit("--trainer.precision=bf16-mixed")
    assert all(math.isfinite(value) for value in summary["metrics"].values())
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in last(run).values())


def test_two_accumulated_batches_of_four_are_one_of_eight():
    one = ("--data.examples=8", "--trainer.max_epochs=1", "--optimizer.lr=1.0", *SGD)
    whole, run = fit(*one, "--data.batch_size=8")
    parts, other = fit(*one, "--data.batch_size=4", "--trainer.accumulate_grad_batches=2")
    assert whole["steps"] == parts["steps"] == 1
    for a, b in zip(last(run).values(), last(other).values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_no_step_is_longer_than_the_clipped_gradient():
    recipe = resolved("--optimizer.lr=1.0", *SGD, "--trainer.gradient_clip_val=0.01", "--trainer.max_epochs=1")
    summary, run = fit_recipe(recipe)
    data = build.make_data(recipe)
    build.seed_everything(recipe["seed"])
    begin = build.make_module(recipe, data.spec).model.state_dict()
    moved = math.sqrt(sum((tensor - begin[name]).square().sum().item() for name, tensor in last(run).items()))
    assert 0 < moved <= 0.01 * summary["steps"] * (1 + 1e-4)


def test_thirty_epochs_learn_thirty_two_reviews_by_heart():
    _, run = fit("--data.examples=32", "--trainer.max_epochs=30", "--optimizer.lr=0.02", "--schedule.name=constant")
    train = ToyReviews(32).read()["train"]
    model = load(run.path)
    model.model.load_state_dict(last(run))
    answers = model.predict(train["text"])
    right = sum(answer["label"] == label for answer, label in zip(answers, train["label"], strict=True))
    assert right >= 30  # guessing gets 16, and 30 or more once in 8 million times


# What goes wrong


def test_a_training_that_breaks_is_failed_and_keeps_its_numbers():
    recipe = resolved("--optimizer.lr=1e39", *SGD)
    with pytest.raises(RunError, match="training broke at step"):
        fit_recipe(recipe)
    (path,) = (runs.ROOT / "quickstart").iterdir()
    summary = runs.read(path)["summary"]
    assert summary["status"] == "failed" and summary["parameters"] > 0 and summary["data"]["sizes"]["train"] == 96
    assert "metrics" not in summary


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_ctrl_c_and_sigterm_leave_an_interrupted_run_and_work_again_afterwards(number, monkeypatch):
    def press(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch == 1:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Throughput, "on_train_batch_end", press)
    before = signal.getsignal(number)
    with pytest.raises(
        Stopped, match=r"stopped in epoch 2 of 2, after 7 steps.\n  Go on from here: .*\n  Kept: the best checkpoint"
    ) as stop:
        fit_recipe(resolved())
    assert stop.value.number == number and signal.getsignal(number) == before
    (path,) = (runs.ROOT / "quickstart").iterdir()
    assert runs.read(path)["summary"]["status"] == "interrupted"
    assert checkpoint.load(checkpoint.locate(path)).meta["epoch"] == 0  # what was saved before still answers
    assert load(path).predict(["good"])[0]["label"] in ("positive", "negative")


def test_nothing_is_written_for_a_recipe_that_cannot_run(tmp_path):
    with pytest.raises(RecipeError, match=r"the model cannot be built: model\.head\.tie_weights needs"):
        fit_recipe(resolved("--model.head.tie_weights=true", "--model.inputs.tokens.size=5", name="toy_text"))
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(RunError, match="it is not empty"):
        fit_recipe(resolved(), tmp_path / "used")
    assert not (tmp_path / "runs").exists()


# Under one's own Trainer


def test_a_recipes_module_and_data_run_under_a_plain_trainer(done):
    module, data = build.from_recipe("quickstart", *UNTRACKED)
    trainer = Trainer(
        max_epochs=2,
        gradient_clip_val=1.0,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        num_sanity_val_steps=0,
    )
    trainer.fit(module, data)
    assert trainer.callback_metrics["val/accuracy"].isfinite() and trainer.global_step == 12
    (scores,) = trainer.test(module, data, verbose=False)
    assert {"test/accuracy", "test/loss"} <= scores.keys()
    answers = trainer.predict(module, data.test_dataloader())
    assert sum(map(len, answers)) == 24


def test_a_trainer_without_a_last_step_is_told_what_to_give():
    module, data = build.from_recipe("quickstart", *UNTRACKED)
    trainer = Trainer(max_epochs=-1, logger=False, enable_checkpointing=False, accelerator="cpu", barebones=False)
    with pytest.raises(RecipeError, match="Give the Trainer max_epochs or max_steps"):
        trainer.fit(module, data)


class Hungry(torch.nn.Module):
    """A head for which there is no memory: what torch says on a CPU."""

    def forward(self, x):
        return torch.empty(2**50)


def test_where_memory_runs_out_the_size_of_the_batch_is_told(monkeypatch):
    make = build.make_module

    def hungry(*args):
        module = make(*args)
        module.model.head = Hungry()
        return module

    monkeypatch.setattr(build, "make_module", hungry)
    with pytest.raises(
        RunError, match=r"out of memory in training, step 0: a batch of \d+ sequences, .* \d+ steps"
    ) as told:
        fit("--data.batch_size=5")
    assert len(str(told.value).splitlines()) <= 5


# -- the data of a run, later ---------------------------------------------------------------------------------------


def test_a_run_finds_its_data_from_anywhere_and_says_if_they_are_others(tmp_path, monkeypatch, caplog):
    project = tmp_path / "project"
    project.mkdir()
    rows = [f"{word} day {number},{label}" for number in range(10) for word, label in (("good", "x"), ("bad", "y"))]
    for name in ("train.csv", "test.csv"):
        (project / name).write_text("\n".join(["text,label", *rows]) + "\n")
    monkeypatch.chdir(project)
    data = "{name: text_files, train: train.csv, test: test.csv}"
    (project / "mine.yaml").write_text(f"data: {data}\ntask: sentiment\ntrainer: {{max_epochs: 1}}\n")
    words = ["--run_dir=runs/one", "--tracking.mode=disabled", "--trainer.enable_progress_bar=false"]
    assert main(["fit", "mine.yaml", *words]) == 0
    assert main(["test", "runs/one"]) == 0
    assert "not those of the run" not in caplog.text
    moved = tmp_path / "elsewhere"
    project.rename(moved)  # the project moves with its runs
    monkeypatch.chdir(tmp_path)
    assert main(["test", "elsewhere/runs/one"]) == 0
    assert "not those of the run" not in caplog.text
    (moved / "test.csv").write_text(
        (moved / "test.csv").read_text().replace(",x", ",z").replace(",y", ",x").replace(",z", ",y")
    )
    assert main(["test", "elsewhere/runs/one"]) == 0
    assert "the data are not those of the run: train.csv, test.csv was changed" in caplog.text
