import itertools
import json
import math

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from rnnzoo.cli import main
from rnnzoo.errors import DataError
from rnnzoo.vectors.evaluate import analogies, read_pairs, read_questions, similarity
from rnnzoo.vectors.files import Vectors

PAIRS = "# a remark\nKing\tqueen\t8.5\nking\tcabbage\t0.5\n\nqueen\tking\t8.5\r\nking\tabsent\t3\n"
QUESTIONS = ": family\nking queen Man woman\nman woman king queen\nking queen man absent\n: odd\nman king woman queen\n"
LATTICE = {"man": [1, 0, 0], "woman": [1, 1, 0], "king": [1, 0, 1], "queen": [1, 1, 1], "cabbage": [-1, 0, 0]}


def vectors_of(rows: dict[str, list[float]]) -> Vectors:
    return Vectors(list(rows), np.array(list(rows.values()), dtype=np.float32))


def test_pairs_and_questions_are_read_from_text_and_from_parquet(tmp_path):
    (tmp_path / "pairs.tsv").write_text(PAIRS)
    (tmp_path / "questions.txt").write_text(QUESTIONS)
    pairs, questions = read_pairs(tmp_path / "pairs.tsv"), read_questions(tmp_path / "questions.txt")
    assert pairs[:2] == [("King", "queen", 8.5), ("king", "cabbage", 0.5)] and len(pairs) == 4
    assert questions[0] == ("family", "king", "queen", "Man", "woman") and [row[0] for row in questions][3:] == ["odd"]
    for name, rows, columns in (
        ("pairs", pairs, ("word1", "word2", "score")),
        ("questions", questions, ("category", "word1", "word2", "word3", "word4")),
    ):
        table = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
        pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / f"{name}.parquet")
    assert read_pairs(tmp_path / "pairs.parquet") == pairs
    assert read_questions(tmp_path / "questions.parquet") == questions


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_pairs, "king\tqueen\t8\nking queen 8\n", "line 2: not two words and a score"),
        (read_pairs, "king\tqueen\thigh\n", "line 1: not two words and a score"),
        (read_pairs, "king\tqueen\t8\nking\tman\tnan\n", "line 2: not two words and a score, but 'king.*nan'"),
        (read_pairs, "# a remark\n", "set.txt has no pairs"),
        (read_questions, ": family\nking queen man\n", "line 2: not four words"),
        (read_questions, ": capitals\n", "set.txt has no questions"),
    ],
)
def test_a_set_that_is_wrong_is_told_by_its_line(tmp_path, read, content, message):
    (tmp_path / "set.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "set.txt")


@pytest.mark.parametrize(
    ("read", "column", "value", "message"),
    [
        (read_pairs, "word2", None, "row 2: 'word2' is None, not text"),
        (read_pairs, "score", None, "row 2: 'score' is None, not a finite number"),
        (read_pairs, "score", math.nan, "row 2: 'score' is nan, not a finite number"),
        (read_questions, "word4", None, "row 2: 'word4' is None, not text"),
        (read_questions, "category", None, "row 2: 'category' is None, not text"),
    ],
)
def test_a_table_with_what_is_no_word_or_score_is_told_by_its_row(tmp_path, read, column, value, message):
    table = {name: ["king", "queen"] for name in ("category", "word1", "word2", "word3", "word4")}
    table |= {"score": [1.0, 2.0]}
    table[column] = [table[column][0], value]
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "set.parquet")
    with pytest.raises(DataError, match=message):
        read(tmp_path / "set.parquet")


def test_an_analogy_is_the_word_nearest_to_the_offset_and_none_of_those_asked_with():
    questions = [("family", "man", "woman", "King", "queen"), ("family", "man", "woman", "king", "absent")]
    questions += [("wrong", "man", "woman", "king", "cabbage")]
    rows = analogies(vectors_of(LATTICE), questions)
    assert rows == [("family", 1, 1, 2), ("wrong", 0, 1, 1)]


def test_every_analogy_of_a_lattice_is_solved_by_its_offset():
    corners = {"".join(map(str, bits)): list(bits) for bits in itertools.product((-1, 1), repeat=4)}
    flip = {-1: 1, 1: -1}
    questions = []
    for word, other in itertools.permutations(corners, 2):
        if corners[word][0] == corners[other][0]:
            moved = ["".join(map(str, [flip[corners[w][0]], *corners[w][1:]])) for w in (word, other)]
            questions.append(("first", word, moved[0], other, moved[1]))
    assert analogies(vectors_of(corners), questions) == [("first", 112, 112, 112)]


def test_equal_cosines_and_equal_scores_share_their_ranks():
    vectors = vectors_of(LATTICE | {"twin": LATTICE["queen"]})
    pairs = [("king", "queen", 9.0), ("king", "twin", 9.0), ("man", "cabbage", 1.0), ("man", "absent", 5.0)]
    assert similarity(vectors, pairs) == (pytest.approx(1.0), 3, 4)
    ranks, scores = [2.5, 2.5, 1.0, 4.0], [1.0, 2.0, 3.0, 4.0]  # of cosines .816, .816, -1, 1; of the scores
    pairs = [("king", "queen", 1), ("king", "twin", 2), ("man", "cabbage", 3), ("twin", "queen", 4)]
    assert similarity(vectors, pairs).spearman == pytest.approx(np.corrcoef(ranks, scores)[0, 1])


def test_nothing_correlates_with_nothing():
    for pairs in ([("absent", "king", 1.0)], [("man", "king", 1.0)], [("man", "king", 1.0), ("king", "queen", 1.0)]):
        assert similarity(vectors_of(LATTICE), pairs).spearman is None
    assert analogies(vectors_of(LATTICE), [("odd", "absent", "man", "king", "queen")]) == [("odd", 0, 0, 1)]


def test_gensim_scores_the_same():
    pytest.importorskip("gensim", reason="the oracle is gensim")
    from gensim.models import KeyedVectors
    from gensim.test.utils import datapath

    questions = read_questions(datapath("questions-words.txt"))
    pairs = read_pairs(datapath("wordsim353.tsv"))
    words = sorted({word.lower() for *_, first, second in questions[::40] for word in (first, second)})
    words += sorted({word.lower() for first, *_ in pairs[::2] for word in [first]} - set(words))
    words += sorted({word.lower() for _, second, _ in pairs for word in [second]} - set(words))
    generator = np.random.default_rng(1)
    vectors = Vectors(words, generator.standard_normal((len(words), 3)).astype(np.float32))
    oracle = KeyedVectors(3)
    oracle.add_vectors(words, vectors.rows)

    _, (expected, _), unknown = oracle.evaluate_word_pairs(datapath("wordsim353.tsv"))
    found = similarity(vectors, pairs)
    assert found.spearman == pytest.approx(expected, abs=1e-6) and found.total == 353
    assert 100 * (1 - found.covered / found.total) == pytest.approx(unknown)

    _, sections = oracle.evaluate_word_analogies(datapath("questions-words.txt"))
    expected = {row["section"]: (len(row["correct"]), len(row["correct"]) + len(row["incorrect"])) for row in sections}
    rows = analogies(vectors, questions)
    assert {row.category: (row.correct, row.covered) for row in rows} == {
        name: counts for name, counts in expected.items() if name != "Total accuracy"
    }
    assert sum(row.correct for row in rows) > 5 and sum(row.total for row in rows) == 19_544


def test_the_command_scores_a_file_on_each_set(here, capsys):
    (here / "vectors.txt").write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in LATTICE.items()))
    (here / "pairs.tsv").write_text(PAIRS)
    (here / "questions.txt").write_text(QUESTIONS)
    sets = ["--wordsim353", "pairs.tsv", "--simlex999", "pairs.tsv", "--analogies", "questions.txt"]
    assert main(["vectors", "evaluate", "vectors.txt", *sets, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["wordsim353"] == {"spearman": pytest.approx(1), "covered": 3, "total": 4} == told["simlex999"]
    assert told["analogies"][-1] == {"category": "all", "correct": 3, "covered": 3, "total": 4}
    assert main(["vectors", "evaluate", "vectors.txt", *sets]) == 0
    assert "family     100.0 %  2 of 3" in capsys.readouterr().out
