import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnzoo.cli import main
from rnnzoo.data.sources.toy_text import ToyText
from rnnzoo.vectors.files import read_vectors
from rnnzoo.vectors.train import sentences

SMALL = ["--size", "16", "--epochs", "20", "--min_count", "1", "--window", "2"]
FRUIT, ROADS = ("apple", "pear", "plum", "cherry"), ("car", "lorry", "tram", "train")


@pytest.fixture
def corpus(here: Path) -> Path:
    """Sentences of which each is about fruit, or about what drives."""
    generator = np.random.default_rng(0)
    lines = []
    for number in range(600):
        words, verb = ((FRUIT, "eats"), (ROADS, "drives"))[number % 2]
        lines.append(f"She {verb} " + " ".join(generator.choice(words, 3)))
    (here / "corpus.txt").write_text("\n".join(lines))
    return here


def test_text_is_cut_into_the_tokens_that_a_model_reads(corpus):
    assert sentences("corpus.txt")[0][:2] == ["She", "eats"]
    assert sentences("toy_text")[0] == ToyText().read()["train"]["text"][0].split()
    assert all(word == word.lower() for row in sentences("toy_reviews")[:20] for word in row)
    assert sentences("toy_tags")[0] and sentences("toy_pairs")[0]


def test_numbers_have_no_words(here, capsys):
    assert main(["vectors", "train", "--data", "adding", "--out", "out.txt"]) == 2
    assert "has no words to learn vectors of" in capsys.readouterr().err


def test_a_data_set_of_ones_own_files_is_asked_for_by_path(here, capsys):
    assert main(["vectors", "train", "--data", "text_lines", "--out", "out.txt"]) == 2
    assert "data set 'text_lines' needs train.\n  Give the path of a text file" in capsys.readouterr().err


def test_a_number_out_of_range_is_refused(here, capsys):
    assert main(["vectors", "train", "--data", "toy_text", "--out", "out.txt", "--size", "0"]) == 2
    assert "--size must be a whole number >= 1, got 0" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["skipgram", "cbow"])
def test_words_of_one_subject_are_nearer_than_words_of_two(corpus, method):
    pytest.importorskip("gensim", reason="word2vec needs gensim")
    assert main(["vectors", "train", "--data", "corpus.txt", "--out", "out.txt", "--method", method, *SMALL]) == 0
    vectors = read_vectors(Path("out.txt"))
    assert vectors.size == 16 and set(vectors.words) == {*FRUIT, *ROADS, "She", "eats", "drives"}
    unit = vectors.rows / np.linalg.norm(vectors.rows, axis=1, keepdims=True)
    fruit, roads = (unit[vectors.find(words)] for words in (FRUIT, ROADS))
    within = np.concatenate([(words @ words.T)[np.triu_indices(4, 1)] for words in (fruit, roads)])
    assert within.min() > (fruit @ roads.T).max()


def test_the_same_seed_gives_the_same_file(corpus):
    pytest.importorskip("gensim", reason="word2vec needs gensim")
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert main(["vectors", "train", "--data", "corpus.txt", "--out", name, "--seed", seed, *SMALL]) == 0
    assert Path("a").read_bytes() == Path("b").read_bytes() != Path("c").read_bytes()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_file_however_the_process_hashes(corpus):
    pytest.importorskip("gensim", reason="word2vec needs gensim")
    for name in ("1", "2"):
        command = [sys.executable, "-m", "rnnzoo", "vectors", "train", "--data", "corpus.txt", "--out", name, *SMALL]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": name})
    assert Path("1").read_bytes() == Path("2").read_bytes()


def test_a_file_that_exists_is_not_written_over(corpus, capsys):
    pytest.importorskip("gensim", reason="word2vec needs gensim")
    assert main(["vectors", "train", "--data", "corpus.txt", "--out", "corpus.txt"]) == 2
    assert "'corpus.txt' exists" in capsys.readouterr().err


def test_words_that_are_all_rare_are_refused(corpus, capsys):
    pytest.importorskip("gensim", reason="word2vec needs gensim")
    assert main(["vectors", "train", "--data", "corpus.txt", "--out", "out.txt", "--min_count", "10000"]) == 2
    assert "no word of the text occurs 10000 times or more" in capsys.readouterr().err
    assert not Path("out.txt").exists()


def test_without_gensim_its_extra_is_named(corpus, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim", None)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    assert main(["vectors", "train", "--data", "corpus.txt", "--out", "out.txt"]) == 2
    assert "pip install 'rnnzoo[vectors]'" in capsys.readouterr().err
