"""A run that starts from another: what it tells, what it refuses, and that it goes on without the other."""

import json
import shutil

import pytest
import torch

from rnnzoo import from_recipe, load, runs
from rnnzoo import recipe as recipes
from rnnzoo.cli import main
from rnnzoo.errors import RecipeError, RunError, Stopped
from rnnzoo.experiment import resume
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs import checkpoint
from rnnzoo.system import files

SMALL = (
    *("--data.examples=64", "--data.batch_size=16", "--model.architecture.hidden_size=8"),
    *("--model.inputs.tokens.size=8", "--trainer.max_epochs=2", "--trainer.accelerator=cpu"),
    *("--trainer.enable_progress_bar=false", "--tracking.mode=disabled"),
)
CSV = "text,label\n" + "".join(f"the film {word},{label}\n" for word, label in (("zing", "yes"), ("dull", "no")) * 8)


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """A folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def source() -> runs.Run:
    return fit(resolve(recipes.read("quickstart", SMALL)))[1]


def starting(source, *overrides: str) -> dict:
    return resolve(recipes.read("quickstart", [*SMALL, f"--init_from={source.path}", "--seed=5", *overrides]))


def last(run: runs.Run) -> dict[str, torch.Tensor]:
    return checkpoint.load(checkpoint.follow(run.checkpoints / "last")).weights


def test_a_run_says_what_it_started_from(source, capsys):
    summary, run = fit(starting(source))
    weights = checkpoint.locate(source.path) / "weights.safetensors"
    facts = summary["init_from"]
    assert facts == json.loads(run.summary.read_text())["init_from"]
    assert facts["weights_sha256"] == files.sha256(weights)
    assert facts["recipe_digest"] == json.loads(source.summary.read_text())["digest"]
    assert (facts["recipe"], facts["seed"]) == ("quickstart", 1) and "rnnzoo" in facts["versions"]
    assert {part["outcome"] for part in facts["parts"]} == {"taken"}
    assert checkpoint.load(checkpoint.locate(run.path)).meta["init_from"] == facts
    printed = capsys.readouterr().out
    assert "quickstart, seed 1" in printed or "recipe quickstart, seed 1" in printed
    assert "architecture.layers.1  taken" in printed


def test_own_texts_keep_the_words_of_the_trained_model(source, tmp_path):
    """Words that its own few texts lack are read as before, in words that the model knows from its first data."""
    (tmp_path / "mine.csv").write_text(CSV)
    module, data = from_recipe(
        "quickstart",
        *SMALL[2:],
        "--data={name: text_files, train: mine.csv}",
        f"--init_from={source.path}",
    )
    trained = load(source.path)
    known = trained.spec.inputs["tokens"].names
    own = data.spec.inputs["tokens"].names
    assert "zing" in own and set(known) < set(own)
    rows = module.model.inputs[0].embedding.weight
    theirs = trained.model.inputs[0].embedding.weight
    assert all(torch.equal(rows[own.index(word)], theirs[number]) for number, word in enumerate(known))
    assert torch.equal(rows[own.index("zing")], theirs[known.index("<unk>")])


def test_a_recipe_that_starts_from_nothing_has_no_new_key():
    assert not {"init_from", "freeze", "layer_decay"} & resolve(recipes.read("quickstart")).keys()


def test_a_recipe_that_starts_from_a_model_has_another_digest(source):
    plain = resolve(recipes.read("quickstart", [*SMALL, "--seed=5"]))
    assert recipes.digest(plain) != recipes.digest(starting(source))
    assert resolve(recipes.of(starting(source), "quickstart")) == starting(source)


def test_a_stopped_run_goes_on_without_the_model_that_it_started_from(source, tmp_path, monkeypatch):
    (tmp_path / "mine.csv").write_text(CSV)
    settings = ["--data={name: text_files, train: mine.csv}", "--freeze.inputs=1", "--layer_decay=0.5"]
    recipe = resolve(
        recipes.read("quickstart", [*SMALL[2:], "--trainer.max_epochs=3", f"--init_from={source.path}", *settings])
    )
    _, full = fit(recipe)
    from rnnzoo.training.callbacks import snapshots

    agree = snapshots.Snapshots._agree
    calls = []

    def stopping(self, trainer, module):
        calls.append(trainer.current_epoch)
        return (15, False) if len(calls) == 2 else agree(self, trainer, module)

    with monkeypatch.context() as patched:
        patched.setattr(snapshots.Snapshots, "_agree", stopping)
        with pytest.raises(Stopped):
            fit(recipe, tmp_path / "stopped")
    shutil.rmtree(source.path)
    resumption = resume.prepare(tmp_path / "stopped")
    summary, run = fit(resumption.recipe, resumption=resumption)
    assert all(torch.equal(tensor, last(run)[name]) for name, tensor in last(full).items())
    assert summary["init_from"] == json.loads(full.summary.read_text())["init_from"]


def test_what_a_run_started_from_cannot_change_when_it_goes_on(source):
    _, run = fit(starting(source))
    for change in ("--init_from=null", "--freeze.inputs=1", "--layer_decay=0.5"):
        with pytest.raises(RecipeError, match="cannot change when a run goes on"):
            resume.prepare(run.path, ["--trainer.max_epochs=9", change])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--init_from=sentimnt"], "init_from: no run at sentimnt"),
        (["--init_from=https://org/name"], "init_from: 'https://org/name' is an address"),
        (["--init_from=hf://name"], "init_from: 'hf://name' is no address"),
        (["--layer_decay=2"], r"layer_decay: must be a number in \(0, 1\]"),
    ],
)
def test_a_model_that_cannot_be_had_is_refused_in_words(overrides, message):
    with pytest.raises((RecipeError, RunError), match=message):
        from_recipe("quickstart", *SMALL, *overrides)


def test_a_model_of_which_nothing_fits_is_refused_with_both_sides(source, capsys):
    sizes = ["--model.inputs.tokens.size=9", "--model.architecture.hidden_size=7"]
    assert main(["fit", "quickstart", *SMALL, *sizes, "--init_from", str(source.path)]) == 2
    message = capsys.readouterr().err
    assert f"quickstart: init_from: nothing of '{source.path}' fits this model." in message
    assert "9), and the trained model's" in message and "Traceback" not in message


def test_texts_that_are_cut_otherwise_are_told(source, caplog):
    from_recipe("quickstart", *SMALL, "--data.unit=character", f"--init_from={source.path}")
    assert "They are cut by 'character' here, and by 'word' there (data.unit)." in caplog.text


def test_the_shipped_model_reads_own_reviews_as_before(tmp_path):
    (tmp_path / "reviews.csv").write_text(CSV.replace("yes", "pos").replace(",no", ",neg"))
    module, data = from_recipe("reviews_from_sentiment")
    trained = load("sentiment")
    examples = data.form.ask(["a zing of a film", "a dull, dull thing"], data.spec)
    answers = module.task.predictions(module.model.eval(), examples[[0, 1]])
    expected = trained.task.predictions(
        trained.model, trained.form.ask(["a zing of a film", "a dull, dull thing"], trained.spec)[[0, 1]]
    )
    assert [answer["label"] for answer in answers] == [answer["label"] for answer in expected]
    for answer, other in zip(answers, expected, strict=True):
        assert answer["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
