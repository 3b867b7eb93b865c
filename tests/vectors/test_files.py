import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.errors import DataError
from rnnzoo.vectors.files import read_vectors

GLOVE = "the 0.1 -0.2\nof 1e-3 4\nLondon 5 6\n"
WORD2VEC = "3 2\nthe 0.1 -0.2 \nof 1e-3 4 \nLondon 5 6 \n"  # word2vec ends each line in a blank


@pytest.fixture
def write(tmp_path: Path):
    def write(content: str | bytes, name: str = "vectors.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize(
    "content", [GLOVE, WORD2VEC, GLOVE.replace("\n", "\r\n"), GLOVE[:-1], GLOVE.replace(" ", "\t")]
)
def test_the_files_of_glove_and_word2vec_hold_the_same(write, content):
    vectors = read_vectors(write(content))
    assert vectors.words == ["the", "of", "London"] and vectors.rows.dtype == np.float32
    np.testing.assert_array_equal(vectors.rows, np.float32([[0.1, -0.2], [0.001, 4], [5, 6]]))


@pytest.mark.parametrize("content", [f"\ufeff{GLOVE}", f"\ufeff{WORD2VEC}", f"{GLOVE}\n", f"{WORD2VEC} \r\n\n"])
def test_a_byte_order_mark_and_blank_lines_at_the_end_belong_to_no_word(write, content):
    vectors = read_vectors(write(content))
    assert vectors.words == ["the", "of", "London"] and vectors.rows[0].tolist() == np.float32([0.1, -0.2]).tolist()


def test_the_vector_of_a_blank_is_read(write):
    vectors = read_vectors(write("2 2\n  1 2\nof 3 4\n"))
    assert vectors.words == [" ", "of"] and vectors.rows.tolist() == [[1, 2], [3, 4]]
    assert read_vectors(write("the 1 2\n\t3\t4\n")).words == ["the", " "]
    assert read_vectors(write("  1 2\nthe 3 4\n")).rows.tolist() == [[1, 2], [3, 4]]


def test_a_file_may_be_compressed(write):
    assert read_vectors(write(gzip.compress(GLOVE.encode()), "vectors.txt.gz")).words == ["the", "of", "London"]
    with pytest.raises(DataError, match=r"cannot read .*vectors.txt.gz"):
        read_vectors(write(gzip.compress(GLOVE.encode())[:-9], "vectors.txt.gz"))
    with pytest.raises(DataError, match=r"cannot read .*vectors.txt.gz"):
        read_vectors(write(GLOVE, "vectors.txt.gz"))


def test_only_the_wanted_words_are_kept_and_read_as_numbers(write):
    vectors = read_vectors(write("the x y\nof 1 2\nNaN nan nan\n"), {"of", "absent"})
    assert vectors.words == ["of"] and vectors.rows.tolist() == [[1, 2]]
    assert read_vectors(write(GLOVE), {"absent"}).rows.shape == (0, 2)


def test_the_first_of_equal_words_counts(write):
    vectors = read_vectors(write("caf\u00e9 1 2\ncafe\u0301 3 4\ncaf\u00e9 5 6\n"))
    assert vectors.words == ["caf\u00e9"] and vectors.rows.tolist() == [[1, 2]]


def test_a_word_may_hold_blanks_and_bytes_that_are_no_text(write):
    vectors = read_vectors(write(b"the 1 2\n. . . 3 4\nbad\xff 5 6\nno\xc2\xa0break 7 8\n"))
    assert vectors.words == ["the", ". . .", "bad\ufffd", "no\u00a0break"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("the 1 2\nof 3\n", "line 2: 1 numbers, where line 1 has 2"),
        ("the 1 2\nof 3 4 5\n", "line 2: 3 numbers, where line 1 has 2"),
        ("2 2\nthe 1 2\nof 3 4 5\n", "line 3: 3 numbers, where line 1 has 2"),
        ("the 1 2\n\nof 3 4\n", "line 2: 0 numbers"),
        ("the 1 2\nof 3 x\n", "line 2: the vector of 'of' has what is no number"),
        ("the 1 2\nof 3 nan\n", "line 2: the vector of 'of' has a number that is not finite"),
        ("the 1 2\nof 3 1e39\n", "line 2: the vector of 'of' has a number that is not finite"),
        ("3 2\nthe 1 2\nof 3 4\n", "has 2 vectors, where line 1 says 3"),
        ("", "line 1: neither a word and its numbers, nor two counts"),
        ("the\nof\n", "line 1: neither a word and its numbers, nor two counts"),
        ("3 0\nthe\nof\n", "line 1: neither a word and its numbers, nor two counts"),
    ],
)
def test_a_file_that_is_wrong_is_told_by_its_line(write, content, message):
    with pytest.raises(DataError, match=message):
        read_vectors(write(content))


def test_a_binary_file_is_told(write):
    content = b"2 2\nthe " + np.float32([1, 2]).tobytes() + b"\nof " + np.float32([3, 4]).tobytes()
    with pytest.raises(DataError, match="binary is not read"):
        read_vectors(write(content))


@given(st.binary(max_size=200))
def test_any_bytes_are_vectors_or_a_mistake_of_the_file(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "vectors.txt"
    path.write_bytes(content)
    try:
        vectors = read_vectors(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert len(vectors.words) == len(vectors.rows) and np.isfinite(vectors.rows).all()
