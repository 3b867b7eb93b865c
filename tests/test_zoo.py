"""The whole zoo: every cell in every architecture solves every task that it can be asked.

    pytest tests/test_zoo.py -s        prints the table

"Solved" is far above what a model without a memory reaches, as tests/data/sources/test_embedded.py measures it:

    sentiment   accuracy >= 0.95             single words: 0.50; pairs of neighbouring words: below 0.60
    tagging     accuracy >= 0.99             each word's most frequent tag: below 0.85
    next_word   perplexity <= 1.05 x ideal   the grammar's own is ideal; a model of neighbouring words: above 1.20
    copy        exact match >= 0.95          no string is there twice: who ignores the source gets one in 1000 at most
    reverse     exact match >= 0.95          as copy
"""

import shlex

import pytest

from rnnzoo import recipe as recipes
from rnnzoo.data.sources.toy_text import ToyText
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve

pytestmark = pytest.mark.slow
CELLS = ("vanilla", "lstm", "gru")
TASKS = {  # the shipped recipe, and in which size it is run here
    "sentiment": "quickstart --model.pooling max --data.batch_size 32 --trainer.max_epochs 7 --optimizer.lr 0.003",
    "tagging": "toy_tags --trainer.max_epochs 3 --optimizer.lr 0.005",
    "next_word": "toy_text --data.batch_size 8 --trainer.max_epochs 6 --optimizer.lr 0.01",
    "copy": "toy_copy --trainer.max_epochs 4 --optimizer.lr 0.005",
    "reverse": "toy_reverse --trainer.max_epochs 4 --optimizer.lr 0.005",
}
LONGER = {("sentiment", "vanilla"): "--trainer.max_epochs 10", ("copy", "vanilla"): "--trainer.max_epochs 6"}
ARCHITECTURES = {
    "preset": "{name: CELL, hidden_size: 64}",  # one layer, one direction
    "bidirectional": "{name: bidirectional, cell: CELL, hidden_size: 64}",
    "stacked": "{name: stacked, cell: CELL, hidden_size: 64, residual: true}",
    "encoder_decoder": "{name: encoder_decoder, cell: CELL, hidden_size: 64}",
}
REASONS = {  # why a task cannot be asked of an architecture
    ("sentiment", "encoder_decoder"): "cannot answer many_to_one",
    ("tagging", "encoder_decoder"): "cannot answer many_to_many",
    ("next_word", "encoder_decoder"): "cannot answer causal",
    ("next_word", "bidirectional"): "a backward direction would see the answer",
    **{
        (task, architecture): "writes a sequence whose length is its own, which takes a decoder"
        for task in ("copy", "reverse")
        for architecture in ("preset", "bidirectional", "stacked")
    },
}
NEEDS = {
    "sentiment": "many_to_one",
    "tagging": "many_to_many",
    "next_word": "causal",
    "copy": "sequence_to_sequence",
    "reverse": "sequence_to_sequence",
}
POSSIBLE = [(task, name) for task in TASKS for name in ARCHITECTURES if (task, name) not in REASONS]
SCORES: dict[tuple[str, str, str], str] = {}


def resolved(task: str, architecture: str, cell: str, *overrides: str) -> dict:
    recipe, *words = shlex.split(TASKS[task])
    words += ["--model.architecture", ARCHITECTURES[architecture].replace("CELL", cell)]
    words += [
        "--model.inputs.tokens.size",
        "64",
        "--trainer.enable_progress_bar",
        "false",
        "--tracking.mode",
        "disabled",
    ]
    words += shlex.split(LONGER.get((task, cell), ""))
    return resolve(recipes.read(recipe, [*words, *overrides]))


@pytest.fixture(scope="module", autouse=True)
def table():
    """Print what was scored, when all is done."""
    yield
    if not SCORES:
        return
    print(f"\n\n{'task':11}{'cell':9}" + "".join(f"{name:>17}" for name in ARCHITECTURES))
    for task in TASKS:
        for cell in CELLS:
            scores = (SCORES.get((task, name, cell), "-" if (task, name) in REASONS else "") for name in ARCHITECTURES)
            print(f"{task:11}{cell:9}" + "".join(f"{score:>17}" for score in scores))
    print("accuracy; for next_word perplexity, times the ideal; for copy and reverse exact match; CPU seconds to train")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("task", "architecture"), POSSIBLE, ids=str)
def test_it_solves_the_task(task, architecture, cell, tmp_path):
    recipe = resolved(task, architecture, cell)
    summary, _ = fit(recipe, tmp_path / "run")
    metrics = summary["metrics"]
    if task == "next_word":
        score = metrics["test/perplexity"] / ToyText().ideal_perplexity(ToyText().read()["test"]["text"])
        solved = score <= 1.05
    elif task in ("sentiment", "tagging"):
        score = metrics["test/accuracy"]
        solved = score >= (0.95 if task == "sentiment" else 0.99)
    else:
        score = metrics["test/exact_match"]
        solved = score >= 0.95
    SCORES[task, architecture, cell] = f"{score:.3f} {summary['cpu_seconds']:4.1f} s"
    assert solved, f"{task} by {architecture} of {cell}: {score:.4f}"


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("task", "architecture"), REASONS, ids=str)
def test_it_is_refused_with_the_reason(task, architecture, cell):
    with pytest.raises(RecipeError) as error:
        resolved(task, architecture, cell)
    first, why, able = str(error.value).split("\n")
    assert first.startswith("command line: model.architecture: ") and f"cannot answer {NEEDS[task]}" in first
    assert REASONS[task, architecture] in first + why
    possible = {name for other, name in POSSIBLE if other == task}
    told = able.partition(": ")[2].rstrip(".").split(", ")
    assert possible - {"preset"} <= set(told) and architecture not in told
    assert ({*CELLS} <= set(told)) == ("preset" in possible)


def test_layers_in_both_directions_cannot_predict_the_next_word_either():
    with pytest.raises(RecipeError, match="a backward direction would see the answer"):
        resolved("next_word", "stacked", "gru", "--model.architecture.bidirectional", "true")
