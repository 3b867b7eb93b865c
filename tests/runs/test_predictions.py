"""The file of single results: what is written is read; what is no such file is refused in words."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnnzoo.errors import RunError
from rnnzoo.runs import predictions
from rnnzoo.runs.predictions import Block, CountedMetric, Header, joined, read, write

METRIC = CountedMetric("ratio", ("accuracy.correct", "accuracy.total"), "max")
HEADER = Header("sentiment", "example", "abc", {"accuracy": METRIC}, ("bad", "good"), scored_rows="def")
BLOCK = Block(
    np.arange(3),
    np.array([[1.0, 1], [0, 1], [1, 1]]),
    {"input": ["a" * 1000, "\ud800b", ""], "truth": ["good", "bad", "good"]},
    np.array([0.5, 1, 0.25]),
)


def test_what_is_written_is_read(tmp_path):
    write(tmp_path / predictions.FILE, HEADER, BLOCK)
    found = read(tmp_path)
    assert found.header == HEADER and found.ids.tolist() == [0, 1, 2]
    assert found.counts("accuracy").tolist() == BLOCK.counts.tolist()
    assert found.texts("input") == ["a" * 500, "?b", ""] and found.texts("truth") == ["good", "bad", "good"]
    assert found.texts("prediction") is None and found.confidence.tolist() == [0.5, 1, 0.25]


def test_units_in_pieces_are_added_and_repeated_ones_are_kept_once():
    one = Block(np.array([5, 1]), np.array([[1.0], [2.0]]), {"truth": ["c", "a"]})
    two = Block(np.array([5, 3]), np.array([[10.0], [4.0]]), {"truth": ["d", "b"]})
    added, first = joined([one, two], add=True), joined([one, two])
    assert added.ids.tolist() == first.ids.tolist() == [1, 3, 5]
    assert added.counts[:, 0].tolist() == [2, 4, 11] and added.texts == {"truth": ["a", "b", "c d"]}
    assert first.counts[:, 0].tolist() == [2, 4, 1] and first.texts == {"truth": ["a", "b", "c"]}


def test_it_is_read_without_torch(tmp_path):
    write(tmp_path / predictions.FILE, HEADER, BLOCK)
    code = (
        "import sys, pathlib; from rnnzoo.runs.predictions import read;"
        "found = read(pathlib.Path(sys.argv[1])); found.counts('accuracy'), found.texts('input'), found.confidence;"
        "print(sorted({'torch', 'pandas', 'datasets'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def table(**changes):
    columns = {
        "id": pa.array([0, 1], pa.int64()),
        "accuracy.correct": pa.array([1.0, 0.0]),
        "accuracy.total": pa.array([1.0, 1.0]),
    }
    facts = {
        "format": 1,
        "split": "test",
        "unit": "example",
        "task": "sentiment",
        "fingerprint": "abc",
        "rows": 2,
        "labels": [],
        "metrics": {
            "accuracy": {"statistic": "ratio", "columns": ["accuracy.correct", "accuracy.total"], "mode": "max"}
        },
    }
    facts |= {key: value for key, value in changes.items() if key in facts}
    columns |= {key: value for key, value in changes.items() if key not in facts and key != "raw"}
    return pa.table(columns).replace_schema_metadata({b"rnnzoo": changes.get("raw", json.dumps(facts).encode())})


def test_a_file_made_elsewhere_is_read(tmp_path):
    pq.write_table(table(), tmp_path / predictions.FILE)
    assert len(read(tmp_path)) == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"raw": b""}, "header"),
        ({"raw": b"[" * 100_000}, "header"),
        ({"raw": b'{"format": 1}'}, "header"),
        ({"raw": b"\xff"}, "header"),
        ({"format": 2}, "format is 2"),
        ({"rows": 3}, "header"),
        ({"task": ["a"]}, "header"),
        ({"metrics": {"accuracy": {"statistic": "ratio", "columns": ["absent"], "mode": "max"}}}, "header"),
        ({"metrics": {"accuracy": {"statistic": "ratio", "columns": ["id"], "mode": "max"}}}, "header"),
        ({"metrics": {"accuracy": {"statistic": "ratio", "columns": ["accuracy.total"], "mode": "up"}}}, "header"),
        ({"id": pa.array([1, 1], pa.int64())}, "do not rise"),
        ({"id": pa.array([None, 1], pa.int64())}, "missing"),
        ({"id": pa.array([0.0, 1.0])}, "is double"),
        ({"input": pa.array([b"a", b"b"])}, "is binary"),
        ({"accuracy.total": pa.array(["a", "b"])}, "is string"),
        ({"accuracy.total": pa.array([[1.0], [2.0]])}, "is list"),
        ({f"c{number}": pa.array([0.0, 0.0]) for number in range(1001)}, "columns"),
    ],
)
def test_what_is_not_as_it_is_written_is_refused(tmp_path, changes, told):
    pq.write_table(table(**changes), tmp_path / predictions.FILE)
    with pytest.raises(RunError, match=told):
        read(tmp_path)


@pytest.mark.parametrize("values", [[np.nan, 1.0], [np.inf, 1.0]])
def test_counts_are_finite_numbers(tmp_path, values):
    pq.write_table(table(**{"accuracy.total": pa.array(values, pa.float64())}), tmp_path / predictions.FILE)
    with pytest.raises(RunError, match="not a finite number"):
        read(tmp_path).counts("accuracy")


def test_a_file_that_was_cut_or_changed_is_refused_or_read_and_never_breaks(tmp_path):
    write(tmp_path / predictions.FILE, HEADER, BLOCK)
    whole = (tmp_path / predictions.FILE).read_bytes()
    random = np.random.default_rng(0)
    spoiled = [whole[:length] for length in range(0, len(whole), 97)]
    for place in random.integers(0, len(whole), 200):
        spoiled.append(whole[:place] + bytes([random.integers(256)]) + whole[place + 1 :])
    refused = 0
    for content in spoiled:
        (tmp_path / predictions.FILE).write_bytes(content)
        try:
            found = read(tmp_path)
            [found.counts(name) for name in found.header.metrics], found.texts("input"), found.confidence
        except RunError as error:
            assert len(str(error).splitlines()) < 5
            refused += 1
    assert refused > 50


def test_a_file_that_is_not_there_or_is_no_file_is_told(tmp_path):
    with pytest.raises(RunError, match="No such file"):
        read(tmp_path)
    (tmp_path / predictions.FILE).mkdir()
    with pytest.raises(RunError, match="folder"):
        read(tmp_path)
