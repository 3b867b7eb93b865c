import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_reviews

from rnnzoo import runs
from rnnzoo.cli import main
from rnnzoo.data.readers.fetch import digest
from rnnzoo.errors import DataError, RecipeError
from rnnzoo.experiment import build
from rnnzoo.inference import predictor

VECTORS = "good 1 2 3 4\nbad -1 -2 -3 -4\nFILM 9 9 9 9\nthe 5 5 5 5\n<pad> 7 7 7 7\n"


@pytest.fixture
def reviews(here: Path) -> Path:
    """A recipe whose words are "a", "good", "bad", "film", "number" and numbers; and vectors of some of them."""
    (here / "vectors.txt").write_text(VECTORS)
    return write_reviews(here)


def embedding_of(module, data, word: str) -> torch.Tensor:
    names = data.spec.inputs["tokens"].names
    return module.model.input_of("tokens").embedding.weight[names.index(word)]


def test_a_model_starts_from_the_vectors_of_its_words(reviews):
    module, data = build.from_recipe(reviews, "--model.inputs.tokens.vectors=vectors.txt")
    assert embedding_of(module, data, "good").tolist() == [1, 2, 3, 4]
    assert embedding_of(module, data, "bad").tolist() == [-1, -2, -3, -4]
    assert embedding_of(module, data, "<pad>").tolist() == [0, 0, 0, 0]
    assert module.model.input_of("tokens").embedding.weight.requires_grad


def test_words_without_a_vector_have_random_ones_of_the_same_spread(reviews):
    Path("vectors.txt").write_text(
        "".join(f"{word} {30 * n} {-30 * n} 0 0\n" for n, word in enumerate(("good", "bad")))
    )
    spread = np.std([0, 0, 0, 0, 30, -30, 0, 0])
    module, data = build.from_recipe(reviews, "--model.inputs.tokens.vectors=vectors.txt")
    names = data.spec.inputs["tokens"].names
    others = [n for n, name in enumerate(names) if name not in ("<pad>", "good", "bad")]
    rest = module.model.input_of("tokens").embedding.weight[others]
    assert len(rest.unique(dim=0)) == len(others) > 20
    assert rest.std().item() == pytest.approx(spread, rel=0.2) and rest.mean().abs() < 0.2 * spread


def test_a_word_takes_the_vector_of_its_lower_case_form_if_it_has_none_of_its_own(reviews):
    for name in ("train.csv", "dev.csv"):
        path = Path(name)
        path.write_text(path.read_text().replace("a good", "The Good").replace("film", "FILM"))
    module, data = build.from_recipe(reviews, "--model.inputs.tokens.vectors=vectors.txt", "--data.lowercase=false")
    assert embedding_of(module, data, "The").tolist() == [5, 5, 5, 5]
    assert embedding_of(module, data, "Good").tolist() == [1, 2, 3, 4]
    assert embedding_of(module, data, "FILM").tolist() == [9, 9, 9, 9]


def test_a_run_tells_the_coverage_and_its_model_needs_no_file_of_vectors(reviews, capsys):
    assert main(["fit", str(reviews), "--run_dir", "run", "--model.inputs.tokens.vectors", "vectors.txt"]) == 0
    told = runs.read("run")["summary"]["vectors"]
    _, data = build.from_recipe(reviews)
    words = data.spec.inputs["tokens"].names[4:]
    rows = data.parts["train"].tokens
    known = [words[token - 4] in ("good", "bad") for token in rows.flat]
    assert told["found"] == 2 and told["types"] == pytest.approx(2 / len(words), abs=1e-6)
    assert told["tokens"] == pytest.approx(np.mean(known), abs=1e-6)
    assert (told["file"], told["sha256"]) == ("vectors.txt", digest(Path("vectors.txt")))
    assert f"{100 * told['types']:.1f} % of the vocabulary" in capsys.readouterr().out
    Path("vectors.txt").unlink()
    assert predictor.load("run").predict(["a good film"])[0]["label"] == "positive"
    assert main(["validate", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["val/accuracy"] == 1


def test_frozen_vectors_stay_and_others_are_trained(reviews):
    def trained(*more: str) -> list[float]:
        arguments = [
            "fit",
            str(reviews),
            "--run_dir",
            f"run{len(more)}",
            "--model.inputs.tokens.vectors",
            "vectors.txt",
            *more,
        ]
        assert main([*arguments, "--trainer.max_epochs", "1"]) == 0
        model = predictor.load(f"run{len(more)}")
        return model.model.input_of("tokens").embedding.weight[model.spec.inputs["tokens"].names.index("good")].tolist()

    assert trained() != [1, 2, 3, 4]
    assert trained("--model.inputs.tokens.freeze_vectors", "true") == [1, 2, 3, 4]


@pytest.mark.parametrize("recipe", ["quickstart", "toy_text", "toy_tags", "toy_copy", "lectures/c_next_word"])
def test_any_recipe_of_words_starts_from_vectors_by_one_key(here, recipe):
    _, data = build.from_recipe(recipe)
    word = data.spec.inputs["tokens"].names[-1]
    (here / "vectors.txt").write_text(f"{word} 1 2 3 4\n")
    sizes = ["--model.inputs.tokens.size=4", "--model.head.tie_weights=false"]
    module, data = build.from_recipe(recipe, "--model.inputs.tokens.vectors=vectors.txt", *sizes)
    assert embedding_of(module, data, word).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["--model.inputs.tokens.size=3"], DataError, "vectors of 4 numbers, where model.inputs.tokens.size is 3"),
        (
            ["--model.inputs.tokens.vectors=vectors.tx"],
            DataError,
            "no file 'vectors.tx'.\n  Did you mean 'vectors.txt'",
        ),
        (["--data.unit=character"], DataError, "no vector for any of the"),
        (
            ["--model.inputs.tokens.vectors=null", "--model.inputs.tokens.freeze_vectors=true"],
            RecipeError,
            "freeze_vectors needs vectors",
        ),
    ],
)
def test_vectors_that_do_not_fit_are_refused_before_anything_is_written(reviews, overrides, error, message, here):
    with pytest.raises(error) as told:
        build.from_recipe(reviews, "--model.inputs.tokens.vectors=vectors.txt", *overrides)
    assert message in str(told.value)
    assert main(["fit", str(reviews), "--model.inputs.tokens.vectors", "vectors.txt", *overrides]) == 2
    assert not (here / "runs").exists()


def test_vectors_of_words_are_refused_for_numbers(here):
    (here / "vectors.txt").write_text("the 1 2 3 4\n")
    with pytest.raises(RecipeError, match=r"model\.inputs\.tokens: the data have no such field"):
        build.from_recipe("adding_lstm", "--model.inputs.tokens.vectors=vectors.txt", "--data.examples=100")
