"""IMDB and its ways to hold rows out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnzoo.data.sources.imdb import Imdb
from rnnzoo.data.splits import drawn

HUB = Path(__file__).parents[3].parent / "shared" / "hub"


def reviews(rows):
    """A part of IMDB: the first half negative."""
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    labels = [int(row >= rows // 2) for row in range(rows)]
    return Dataset.from_dict({"text": [f"{rows}-{row}" for row in range(rows)], "label": labels}, features)


def test_a_drawn_dev_part_has_the_asked_size_and_shares_no_row_with_training():
    train, dev = drawn(101, 0.2, seed=123)
    assert len(dev) == 20 and sorted(train + dev) == list(range(101))
    assert (train, dev) == drawn(101, 0.2, seed=123) != drawn(101, 0.2, seed=124)


def test_imdb_may_be_split_at_random_or_validated_on_its_test_part():
    given = {"train": reviews(200), "test": reviews(50)}
    films, random, test = (Imdb(dev_split=how, dev_fraction=0.2).parts(given) for how in ("films", "random", "test"))
    assert [set(parts) for parts in (films, random, test)] == [{"train", "dev", "test"}] * 2 + [{"train", "dev"}]
    assert len(films["train"]["text"]) == 200 - 40 - 60  # without the gap of 30 of each label
    assert sorted(random["train"]["text"] + random["dev"]["text"]) == sorted(given["train"]["text"])
    assert len(random["dev"]["text"]) == 40 and random["dev"]["label"] != films["dev"]["label"]
    assert test["train"]["text"] == given["train"]["text"] and test["dev"] == films["test"]
    assert Imdb(dev_split="test").identity()["dev"] == "the test part" and "dev" not in Imdb().identity()


def python(code, *launcher, **environment):
    return subprocess.run(
        [*launcher, sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(not HUB.is_dir(), reason="needs the folder ../shared/hub beside the repository")
def test_imdb_keeps_its_films_together_and_its_halves_balanced():
    code = (
        "import json\n"
        "from collections import Counter\n"
        "from rnnzoo.data.sources.imdb import Imdb\n"
        "source = Imdb()\n"
        "parts = source.read()\n"
        "breaks = sum('<br />' in text for columns in parts.values() for text in columns['text'])\n"
        "counts = {name: Counter(columns['label']) for name, columns in parts.items()}\n"
        "print(json.dumps([counts, breaks, source.identity()]))"
    )
    result = python(code, sys.executable, str(HUB / "serve_hub.py"), "--")
    counts, breaks, identity = json.loads(result.stdout.splitlines()[-1])
    assert counts == {
        "train": {"neg": 11_220, "pos": 11_220},  # 12,500 less a tenth less the gap
        "dev": {"neg": 1250, "pos": 1250},
        "test": {"neg": 12_500, "pos": 12_500},
    }
    assert breaks == 0
    assert identity["id"] == "stanfordnlp/imdb" and len(identity["revision"]) == 40
