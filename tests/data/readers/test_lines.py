"""Files of any size are read some rows at a time as they are read as a whole."""

import json

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnzoo.data.readers import arrow, lines, tables
from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.readers.lines import text_lines
from rnnzoo.errors import DataError
from rnnzoo.system import files

TEXT = st.text(st.sampled_from("ab é😀\n\n\r\t,\"'€\ufeff"), min_size=1, max_size=60)
HEALTH = [HealthCheck.function_scoped_fixture]


def whole(path, encoding):
    text = decoded(path, encoding)
    return text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")


@settings(deadline=None, suppress_health_check=HEALTH)
@given(text=TEXT, encoding=st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]), block=st.integers(1, 9))
def test_the_lines_of_a_file_are_those_of_its_text(text, encoding, block, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    read_as = "utf-8" if encoding == "utf-16" else encoding  # its mark goes before
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK", max(block, 4))
        try:
            expected = whole(path, read_as)
        except DataError as error:
            assert "is empty" in str(error)
            with pytest.raises(DataError, match="is empty"):
                list(text_lines(path, read_as))
            return
        assert list(text_lines(path, read_as)) == expected


@pytest.mark.parametrize("bad", [b"one\ntwo\xff three", b"one\ntwo\xe2\x82", b"\xffone"])
@pytest.mark.parametrize("block", [4, 2**20])
def test_a_byte_that_is_no_text_is_named_as_for_a_whole_file(bad, block, tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_bytes(bad)
    with pytest.raises(DataError) as of_whole:
        decoded(path, "utf-8")
    monkeypatch.setattr(files, "BLOCK", block)
    with pytest.raises(DataError) as of_lines:
        list(text_lines(path, "utf-8"))
    assert str(of_lines.value).splitlines()[0] == str(of_whole.value).splitlines()[0]


def test_a_line_that_never_ends_is_refused_by_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "LONGEST", 50)
    monkeypatch.setattr(files, "BLOCK", 16)
    path = tmp_path / "a.txt"
    path.write_text("short\nshort\n" + "x" * 1000)
    with pytest.raises(DataError, match=r"a.txt, line 3: it is longer than 50 characters"):
        list(text_lines(path, "utf-8"))


def joined(chunks):
    found = {}
    for chunk in chunks:
        for name, values in chunk.items():
            found.setdefault(name, []).extend(values)
    return found


CELL = st.text(st.sampled_from("ab é;\n\"',|"), max_size=12)


@settings(deadline=None, suppress_health_check=HEALTH)
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=20), delimiter=st.sampled_from(",;\t"))
def test_the_rows_of_a_csv_are_those_of_the_whole_table(rows, delimiter, tmp_path):
    path = tmp_path / "a.csv"
    quoted = [[f'"{value.replace(chr(34), chr(34) * 2)}"' for value in row] for row in [("text", "label"), *rows]]
    path.write_text("".join(delimiter.join(row) + "\n" for row in quoted))
    columns = ("label", "text")
    assert joined(tables.chunks(path, columns)) == tables.read_columns(path, columns)


def test_the_rows_of_other_tables_are_those_of_the_whole_table(tmp_path, monkeypatch):
    rows = [{"text": f"row {number}", "label": number % 3, "more": None} for number in range(50)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    (tmp_path / "a.tsv").write_text("sep=\t\nlabel\ttext\r\n" + "".join(f'{n}\ta "b {n}\r\n\n' for n in range(50)))
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=20)
    with pyarrow.ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=20)
    with pyarrow.ipc.new_stream(tmp_path / "b.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=20)
    monkeypatch.setattr(arrow, "ROWS", 7)
    for name in ("a.jsonl", "a.tsv", "a.parquet", "a.arrow", "b.arrow"):
        path, columns = tmp_path / name, ("text", "label")
        found = joined(tables.chunks(path, columns))
        assert found == tables.read_columns(path, columns), name
        assert len(found["text"]) == 50


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "text,label\na,b\na,b,c\n", r"a.csv, row 2 \(line 3\): 3 values, where the header has 2"),
        ("a.csv", "text,label\n", "a.csv has a header and no rows"),
        ("a.csv", "texts,label\na,b\n", "a.csv has no column 'text'.\n  Did you mean 'texts'"),
        ("a.csv", "text,label\na,\0\n", "a.csv, line 2: a NUL character"),
        ("a.csv", 'text,label\n"a,b\n', "a.csv, line 2: not CSV"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": 1}\n', "a.jsonl, line 2, has no column 'label'"),
        ("a.jsonl", "[1]\n", "a.jsonl, line 1: not an object"),
        ("a.parquet", "PAR1 no PAR1", "a.parquet: not Parquet that can be read"),
        ("a.arrow", "ARROW1 no", "a.arrow: not an Arrow file that can be read"),
        ("a.arrow", "no", "a.arrow: not an Arrow file that can be read"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_by_line_or_row(name, content, said, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        list(tables.chunks(tmp_path / name, ("text", "label")))


def test_a_quote_that_never_ends_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnzoo.data.readers.delimited.LONGEST", 1000)
    (tmp_path / "a.csv").write_text('text,label\na,b\n"c,d\n' + "e,f\n" * 10_000)
    with pytest.raises(DataError, match=r"a.csv, line \d+: not CSV: field larger than field limit"):
        list(tables.chunks(tmp_path / "a.csv", ("text", "label")))


def test_a_small_file_that_unpacks_to_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow, "LARGEST", 10**6)
    table = pyarrow.table({"text": ["x" * 10_000] * 1000, "label": ["y"] * 1000})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="unpacks to 10 MiB in 1000 rows"):
        list(tables.chunks(tmp_path / "a.parquet", ("text", "label")))


def test_lists_in_parquet_are_refused_by_name(tmp_path):
    table = pyarrow.table({"text": ["a"], "label": [["x"]]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'label' holds lists, which a stream does not read from Parquet"):
        list(tables.chunks(tmp_path / "a.parquet", ("text", "label")))
