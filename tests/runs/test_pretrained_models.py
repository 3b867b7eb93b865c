"""The shipped models answer at once and offline, are small, and say where they come from."""

import json
import re
import shlex
import shutil

import pytest
import torch
from test_packaging import ROOT, loaded_by
from torch import nn

import rnnzoo
from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.cli import main
from rnnzoo.errors import RunError, UnknownName
from rnnzoo.experiment.evaluate import evaluate
from rnnzoo.results import ship
from rnnzoo.results.manifests import chosen, metric
from rnnzoo.results.tables import score
from rnnzoo.runs import checkpoint, pretrained_models
from rnnzoo.system.shipped import models

README = (ROOT / "README.md").read_text(encoding="utf-8")
SHIPPED = models()
REVIEWS = {
    "One of the best films I have seen. The acting is superb and the story moved me to tears.": "pos",
    "What a waste of time. The plot is stupid, the acting is terrible and the jokes are not funny.": "neg",
    "I expected nothing and got a wonderful, warm and funny film; go and see it.": "pos",
    "Boring, badly written and far too long. I left before the end.": "neg",
}


def summary(name):
    return json.loads((SHIPPED[name] / ship.FACTS).read_text(encoding="utf-8"))


# -- what is shipped ------------------------------------------------------------------------------------------------


def test_the_weights_take_twenty_megabytes_at_most_and_all_else_two_more():
    weights = sum((folder / checkpoint.WEIGHTS).stat().st_size for folder in SHIPPED.values())
    everything = sum(path.stat().st_size for folder in SHIPPED.values() for path in folder.iterdir())
    assert {"quickstart", "imdb_bilstm"} <= SHIPPED.keys() and weights <= ship.LIMIT == 20e6 and everything <= 22e6


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_is_in_half_precision_of_a_recipe_that_may_be_shipped_and_names_no_path(name):
    kept = checkpoint.load(SHIPPED[name])
    assert {tensor.dtype for tensor in kept.weights.values()} == {torch.float16}
    assert name in ship.SHIPPABLE and name in recipes.shipped()
    assert not re.search(r"/(home|root|work|tmp|Users)/", json.dumps([kept.meta, summary(name)]))
    assert not {"host", "pid", "wandb"} & summary(name).keys()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_tells_the_data_the_licence_the_scores_and_the_recipe_of_its_run(name):
    facts = summary(name)
    card = (SHIPPED[name] / ship.CARD).read_text(encoding="utf-8")
    assert card == ship.card(facts)
    told = dict(re.findall(r"^- (.+?): (.+)$", card, re.MULTILINE))
    assert told.keys() == {
        "Data",
        "Licence",
        "Scores",
        "Half precision",
        "Recipe",
        "Made by",
        "Limits",
        "Other names",
    }
    assert facts["data"]["id"] in told["Data"] and facts["digest"] in told["Recipe"]
    assert re.fullmatch("[0-9a-f]{64}", facts["digest"]) and f"--seed {facts['seed']}" in told["Recipe"]
    assert score(facts["metrics"][f"test/{metric(facts)}"], None) in told["Scores"]


@pytest.mark.parametrize("name", SHIPPED)
def test_half_precision_changes_the_dev_score_by_a_tenth_of_a_point_at_most(name):
    facts = summary(name)
    scored = f"val/{metric(facts)}"
    before, half = runs.scores(facts["metrics"])[chosen(facts)], facts["half"][scored]
    allowed = 1e-3 if facts["best"]["mode"] == "max" else 1e-3 * before
    assert abs(half - before) <= allowed


def test_other_names_stand_for_models_that_may_be_shipped():
    assert {*pretrained_models.ALIASES.values()} <= ship.SHIPPABLE.keys()
    assert not pretrained_models.ALIASES.keys() & recipes.shipped().keys()
    assert pretrained_models.find("sentiment") == SHIPPED["imdb_bilstm"] == pretrained_models.find("imdb_bilstm")
    assert {*pretrained_models.names()} >= {"quickstart", "imdb_bilstm", "sentiment"}


def test_naming_the_models_needs_no_torch():
    assert not loaded_by("from rnnzoo.runs import pretrained_models\npretrained_models.names()") & {
        "torch",
        "lightning",
        "numpy",
    }


# -- what they answer -----------------------------------------------------------------------------------------------


def test_the_quickstart_scores_what_its_card_says():
    scores = evaluate("quickstart", "test", {"trainer": {"enable_progress_bar": False}})
    assert scores["test/accuracy"] == pytest.approx(summary("quickstart")["metrics"]["test/accuracy"], abs=1e-3)


def test_sentiment_tells_reviews_apart_from_any_folder(here, capsys):
    assert main(["predict", "sentiment", *[word for text in REVIEWS for word in ("--text", text)]]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(REVIEWS.values())
    assert list(here.iterdir()) == []


def test_a_trained_model_answers_what_the_readme_prints(here, capsys):
    pattern = r"^\$ rnnzoo (predict sentiment .+)\n((?:[^$\n].*\n)+)```"
    command, printed = re.search(pattern, README, re.MULTILINE).groups()
    assert main(shlex.split(command)) == 0
    for line, wanted in zip(capsys.readouterr().out.splitlines(), printed.splitlines(), strict=True):
        (label, share, _), (wanted_label, wanted_share, _) = line.split(), wanted.split()
        assert label == wanted_label and float(share) == pytest.approx(float(wanted_share), abs=0.2)


def test_a_model_is_shown_and_loaded_by_its_name(capsys):
    assert main(["show", "sentiment"]) == 0 and "test/accuracy" in capsys.readouterr().out
    assert main(["show", "model", "sentiment"]) == 0
    assert capsys.readouterr().out == (SHIPPED["imdb_bilstm"] / ship.CARD).read_text(encoding="utf-8")
    assert main(["show", "model", "sentimant"]) == 2 and "Did you mean 'sentiment'?" in capsys.readouterr().err
    assert main(["list", "models", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == list(SHIPPED)
    assert rnnzoo.load("quickstart").predict(["the food was not bad at all"])[0]["label"] == "positive"


def test_a_run_of_the_users_own_comes_before_a_shipped_model(here):
    shutil.copytree(SHIPPED["quickstart"], here / "sentiment")
    assert runs.find("sentiment").absolute() == here / "sentiment"
    assert runs.find("quickstart") == SHIPPED["quickstart"]


def test_a_name_that_is_not_there_is_told_the_nearest(here, capsys):
    assert main(["predict", "sentimant", "--text", "good"]) == 2
    told = capsys.readouterr().err
    assert "Did you mean 'sentiment'?" in told and "imdb_bilstm" in told


# -- in Python ------------------------------------------------------------------------------------------------------


def test_create_model_gives_a_trained_model_in_single_precision_ready_to_answer():
    model = rnnzoo.create_model("imdb_bilstm", pretrained=True)
    kept = checkpoint.load(SHIPPED["imdb_bilstm"])
    assert isinstance(model, nn.Module) and not model.training
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, kept.weights[name].float())


def test_create_model_gives_the_same_model_untrained():
    torch.manual_seed(1)
    fresh = rnnzoo.create_model("quickstart")
    trained = rnnzoo.create_model("quickstart", pretrained=True)
    shapes = [{name: tensor.shape for name, tensor in model.state_dict().items()} for model in (fresh, trained)]
    assert shapes[0] == shapes[1] and fresh.training
    assert not torch.equal(fresh.head.weight, trained.head.weight)


def test_create_model_refuses_what_does_not_go_together():
    with pytest.raises(RunError, match="no trained model is shipped as 'lstm'"):
        rnnzoo.create_model("lstm", 5, pretrained=True)
    with pytest.raises(RunError, match="Did you mean 'imdb_bilstm'"):
        rnnzoo.create_model("imdb_bistm", pretrained=True)
    with pytest.raises(TypeError, match="needs the size of its input"):
        rnnzoo.create_model("lstm")
    with pytest.raises(TypeError, match="'quickstart' is a complete model"):
        rnnzoo.create_model("quickstart", 5)
    with pytest.raises(UnknownName, match="no architecture is named 'imdb_bistm'"):
        rnnzoo.create_model("imdb_bistm")


def test_a_vocabulary_that_is_not_the_weights_is_refused(tmp_path):
    kept = checkpoint.load(SHIPPED["quickstart"])
    words = kept.spec["inputs"]["tokens"]["names"]
    kept.spec["inputs"]["tokens"]["names"] = words[:-1]
    checkpoint.save(tmp_path / "run" / "other", *kept)
    message = f"the vocabulary of {len(words) - 1} does not match the weights, which are for {len(words)}"
    with pytest.raises(RunError, match=message):
        rnnzoo.inference.predictor.Predictor(checkpoint.load(tmp_path / "run" / "other"))


# -- shipping -------------------------------------------------------------------------------------------------------


def test_names_of_one_tensor_are_names_of_one_half():
    tied = torch.randn(3, 2)
    halves = ship.halved({"embedding": tied, "head": tied, "count": torch.tensor([70_000])})
    assert halves["embedding"] is halves["head"] and torch.equal(halves["head"], tied.half())
    assert halves["count"].dtype == torch.int64


def test_weights_out_of_half_precisions_range_are_refused():
    with pytest.raises(RunError, match="the weights big are not finite in half precision"):
        ship.halved({"big": torch.tensor([70_000.0])})


@pytest.mark.slow
def test_a_run_is_shipped_with_its_answers_and_only_once(tmp_path, monkeypatch):
    run = tmp_path / "run"
    assert main(["fit", "quickstart", "--run_dir", str(run), "--tracking.mode", "disabled"]) == 0
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setattr(ship, "FOLDER", shelf)
    with monkeypatch.context() as smaller, pytest.raises(RunError, match="the shipped weights would take"):
        smaller.setattr(ship, "LIMIT", 100_000)
        ship.export(run)
    assert list(shelf.iterdir()) == []
    assert main(["results", str(run), "--ship"]) == 0
    assert [path.name for path in shelf.iterdir()] == ["quickstart"]
    texts = ["the food was not bad at all", "i would never go there again"]
    before, after = (rnnzoo.load(place).predict(texts) for place in (run, shelf / "quickstart"))
    for one, other in zip(before, after, strict=True):
        assert one["label"] == other["label"] and one["confidence"] == pytest.approx(other["confidence"], abs=0.01)
    with pytest.raises(RunError, match="exists already"):
        ship.export(run)
