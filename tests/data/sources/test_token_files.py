"""Token files: the same batches and weights as from the text; another vocabulary and strangers' files are refused."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnzoo import recipe as recipes
from rnnzoo.data.prepared import Prepared
from rnnzoo.data.store import INDEX, Mapped, Store
from rnnzoo.errors import DataError, RecipeError
from rnnzoo.experiment import evaluate
from rnnzoo.experiment.build import make_data
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.prepare import prepare
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs import checkpoint

FAST = ("--trainer.max_epochs=1", "--trainer.enable_progress_bar=false", "--tracking.mode=disabled")
FOX = "the quick brown fox jumps over the lazy dog\n" * 20
FAST += ("--trainer.accelerator=cpu", "--model.architecture.hidden_size=8")


def recipe(*words):
    return resolve(recipes.read("toy_text", ["--data.examples=200", *FAST, *words]))


def of_files(folder, *words):
    data = f"--data={{name: token_files, folder: {folder}, batch_size: 8, tbptt_steps: 32}}"
    return resolve(recipes.read("toy_text", [data, *FAST, *words]))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "toy"
    prepare(recipe(), folder)
    return folder


def of_text(path: Path, text: str, *words):
    """A recipe of a text of one's own."""
    path.write_text(text)
    return resolve(recipes.read("toy_text", [own_text(path), *FAST, *words]))


def own_text(path: Path) -> str:
    return f"--data={{name: text_lines, train: {path}, batch_size: 2, tbptt_steps: 4}}"


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_those_of_the_text(tokens, workers):
    text, mapped = make_data(recipe()), make_data(of_files(tokens, f"--data.num_workers={workers}"))
    assert mapped.spec == text.spec and mapped.sizes == text.sizes
    assert (mapped.fingerprint, mapped.scored_rows) == (text.fingerprint, text.scored_rows)
    assert mapped.identity == text.identity and mapped.unknown_share == text.unknown_share
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for one, other in zip(getattr(text, loader)(), getattr(mapped, loader)(), strict=True):
            assert torch.equal(one.inputs["tokens"], other.inputs["tokens"]) and torch.equal(one.target, other.target)


def test_nothing_is_read_before_it_is_needed_and_workers_get_names_alone(tokens):
    data = make_data(of_files(tokens))
    data.prepare()
    examples = data.parts["train"]
    assert isinstance(examples.ids, Mapped) and examples.ids.dtype == np.uint16
    assert len(pickle.dumps(examples)) < 1000


def test_a_training_gives_the_same_weights_and_scores(tokens, tmp_path):
    found = {}
    for name, made in {"text": recipe(), "files": of_files(tokens)}.items():
        summary, run = fit(made, tmp_path / name, show=False)
        weights = (checkpoint.locate(run.path) / checkpoint.WEIGHTS).read_bytes()
        found[name] = (weights, summary["metrics"], summary["data"])
    assert found["text"] == found["files"]
    scores = evaluate.evaluate(tmp_path / "files", "test", {"trainer": {"enable_progress_bar": False}})
    assert scores["test/loss"] == pytest.approx(found["text"][1]["test/loss"], abs=1e-6)


def test_another_vocabulary_is_refused_with_both_sizes_and_the_first_word_that_differs(tokens, tmp_path):
    _, run = fit(of_files(tokens), tmp_path / "run", show=False)
    prepare(of_text(tmp_path / "a.txt", FOX), tmp_path / "fox")
    words = make_data(recipe()).spec.inputs["tokens"].names
    for refused in (
        lambda: evaluate.evaluate(run.path, "test", {"data": {"folder": str(tmp_path / "fox")}}),
        lambda: fit(of_files(tmp_path / "fox", f"--init_from={run.path}"), tmp_path / "next", show=False),
    ):
        with pytest.raises(DataError) as caught:
            refused()
        first, second, remedy = str(caught.value).splitlines()
        assert first.endswith(f"another vocabulary than the model: 12 words, and the model knows {len(words)}.")
        assert (words[4], words[5]) == ("the", "and")
        assert second == "  They differ first at number 5: 'brown' in the files, 'and' in the model."
        assert "--vocabulary" in remedy
    assert not (tmp_path / "next").exists()


def test_the_words_of_a_model_can_be_taken(tokens, tmp_path):
    _, run = fit(of_files(tokens), tmp_path / "run", show=False)
    made = prepare(of_text(tmp_path / "a.txt", FOX), tmp_path / "fox", str(run.path))
    assert made.spec.inputs["tokens"].names == make_data(recipe()).spec.inputs["tokens"].names
    assert made.parts["train"]["unknown"] > 0
    fit(of_files(tmp_path / "fox", f"--init_from={run.path}", "--data.batch_size=2"), tmp_path / "next", show=False)


def test_text_that_was_cut_otherwise_is_refused(tokens, tmp_path):
    prepare(recipe("--data.unit=character"), tmp_path / "characters")
    with pytest.raises(DataError, match="unit is 'character' in the files, and 'space' in the model"):
        Prepared(Store.at(tmp_path / "characters")).check_words(Prepared(Store.at(tokens)).spec)


def test_a_vocabulary_beyond_16_bits_is_written_in_32(tmp_path):
    text = "\n".join(" ".join(f"w{row}x{word}" for word in range(100)) for row in range(800))
    large = of_text(tmp_path / "a.txt", text, "--data.vocab_size=100000")
    made = prepare(large, tmp_path / "large")
    assert made.store["train"].dtype == np.uint32 and made.spec.inputs["tokens"].size > 2**16
    text, mapped = make_data(large), make_data(of_files(tmp_path / "large"))
    assert mapped.fingerprint == text.fingerprint


def test_a_folder_is_made_once_and_never_of_two_texts(tmp_path):
    path, text, folder = tmp_path / "a.txt", "a b c\n" * 40, tmp_path / "t"
    assert prepare(of_text(path, text), folder).new
    same, other = (
        resolve(recipes.read("toy_text", [own_text(path), *FAST, *words]))
        for words in (("--data.tbptt_steps=7", "--data.num_workers=1"), ("--data.min_freq=3",))
    )
    assert not prepare(same, folder).new
    with pytest.raises(DataError, match=r"made from something else: form\.min_freq"):
        prepare(other, folder)
    with pytest.raises(DataError, match=r"made from something else: rows\."):
        prepare(of_text(path, text.replace("c", "d")), folder)


def test_what_cannot_be_prepared_says_so(tokens, tmp_path):
    with pytest.raises(RecipeError, match="token_files are prepared already"):
        prepare(of_files(tokens), tmp_path / "t")
    with pytest.raises(RecipeError, match="labelled_text are no stream of tokens"):
        prepare(resolve(recipes.read("quickstart")), tmp_path / "t")
    with pytest.raises(DataError, match="there are no prepared data"):
        make_data(of_files(tmp_path / "nowhere")).prepare()
    with pytest.raises(DataError, match="holds numbers, not the text"):
        make_data(of_files(tokens)).source.read()


def _facts(folder: Path, **change: object) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["facts"] |= change
    (folder / INDEX).write_text(json.dumps(index))


def _spec(folder: Path, **change: object) -> None:
    spec = json.loads((folder / INDEX).read_text())["facts"]["spec"]
    spec["inputs"]["tokens"] |= change
    _facts(folder, spec=spec)


STRANGE = {
    "no facts": (lambda folder: _facts(folder, spec=None), "holds no prepared examples"),
    "no parts": (lambda folder: _facts(folder, parts={}), "holds no prepared examples"),
    "an odd identity": (lambda folder: _facts(folder, identity={"id": 3, "revision": None}), "holds no prepared"),
    "an odd part": (lambda folder: _facts(folder, parts={"train": {}, "dev": {}}), "does not hold what text_stream"),
    "odd words": (lambda folder: _spec(folder, names=["a", "b", "c", "d", "e"]), "the special tokens"),
    "words that are none": (lambda folder: _spec(folder, names=[1, 2]), "holds no prepared examples"),
    "another form": (
        lambda folder: _facts(
            folder, spec=json.loads((folder / INDEX).read_text())["facts"]["spec"] | {"form": "masked_text"}
        ),
        "holds masked_text, and the task reads text_stream",
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_files_of_strangers_are_refused_in_words(tmp_path, name):
    change, problem = STRANGE[name]
    prepare(of_text(tmp_path / "a.txt", "a b c\n" * 40), tmp_path / "t")
    change(tmp_path / "t")
    with pytest.raises(DataError, match=problem):
        make_data(of_files(tmp_path / "t")).prepare()


def test_a_number_that_no_word_has_is_told_when_it_is_read(tmp_path):
    prepare(of_text(tmp_path / "a.txt", "a b c\n" * 40), tmp_path / "t")
    with open(tmp_path / "t" / "train.bin", "r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(b"\xff\xff")
    data = make_data(of_files(tmp_path / "t"))
    with pytest.raises(DataError, match="a word number 65535, and the vocabulary has 7 words"):
        list(data.train_dataloader())
