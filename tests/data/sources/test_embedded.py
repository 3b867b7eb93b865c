"""What all data sets that code makes have in common."""

import os
import subprocess
import sys

import pytest

from rnnzoo.data.forms import FORMS
from rnnzoo.data.sources.toy_pairs import ToyPairs
from rnnzoo.data.sources.toy_reviews import ToyReviews
from rnnzoo.data.sources.toy_tags import ToyTags
from rnnzoo.data.sources.toy_text import ToyText
from rnnzoo.registry import load

SOURCES = (ToyReviews, ToyTags, ToyText, ToyPairs)


@pytest.mark.parametrize("source", SOURCES)
def test_the_seed_decides_the_examples(source):
    made = source(examples=40, seed=3)
    assert made.read() == made.read() == source(examples=40, seed=3).read()
    other = source(examples=40, seed=4)
    assert made.read() != other.read()
    assert made.identity() == source(examples=40, seed=3).identity() != other.identity()


def test_another_process_makes_the_same_examples():
    names = ("toy_reviews", "toy_tags", "toy_text", "toy_pairs", "toy_gaps", "adding", "copy_memory")
    code = (
        "import sys; from rnnzoo.registry import load\n"
        "for name in sys.argv[1:]: print(load('datasets', name)(40).identity())"
    )
    other = {**os.environ, "PYTHONHASHSEED": "7"}
    made = subprocess.run([sys.executable, "-c", code, *names], env=other, capture_output=True, text=True)
    assert made.stdout.splitlines() == [str(load("datasets", name)(40).identity()) for name in names], made.stderr


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("examples", "dev", "test"), [(80, 10, 20), (16, 2, 4)])
def test_dev_is_an_eighth_and_test_a_quarter_of_the_training_part(source, examples, dev, test):
    parts = source(examples).read()
    sizes = {part: len(next(iter(columns.values()))) for part, columns in parts.items()}
    assert sizes == {"train": examples, "dev": dev, "test": test}


@pytest.mark.parametrize("source", SOURCES)
def test_the_form_knows_every_word_and_label_of_the_test_part_from_training(source):
    parts, form = source().read(), FORMS[source.form]()
    spec = form.fit(parts["train"])
    assert form.encode(parts["test"], spec).unknown_share == 0


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("wrong", [{"examples": 0}, {"examples": True}, {"seed": -1}, {"seed": 0.5}])
def test_sizes_and_seeds_out_of_range_are_refused(source, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a whole number"):
        source(**wrong)
