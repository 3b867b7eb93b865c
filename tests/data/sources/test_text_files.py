import json
from collections import Counter
from datetime import date, datetime, time
from decimal import Decimal

import pyarrow
import pyarrow.parquet
import pytest

from rnnzoo.data.forms import LabelledText
from rnnzoo.data.sources.text_files import TextFiles
from rnnzoo.errors import DataError

ROWS = [("good", "pos"), ("bad", "neg"), ('says "no", twice', "neg"), ("fine\u2028really 😀", "pos")]


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def saved(folder, ending):
    path = folder / f"reviews.{ending}"
    if ending == "csv":
        return write(path, "text,label\n" + "".join('"{}",{}\n'.format(t.replace('"', '""'), y) for t, y in ROWS))
    if ending == "tsv":
        return write(path, "label\ttext\n" + "".join(f"{label}\t{text}\n" for text, label in ROWS))
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.table({"text": [t for t, _ in ROWS], "label": [y for _, y in ROWS]}), path)
        return str(path)
    return write(path, "".join(json.dumps({"text": text, "label": label, "stars": 3}) + "\n" for text, label in ROWS))


def columns(path, **options):
    return TextFiles(path, dev=path, **options).read()["train"]


def refused(path, **options):
    with pytest.raises(DataError) as error:
        columns(path, **options)
    assert all(len(message.splitlines()) <= 5 for message in error.value.messages)
    return str(error.value)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path, ending):
    assert columns(saved(tmp_path, ending)) == {"text": [t for t, _ in ROWS], "label": [y for _, y in ROWS]}


def test_columns_are_found_by_name_and_labels_may_be_numbers(tmp_path):
    path = write(tmp_path / "a.csv", "stars,id,review\n5,1,great\n1,2,awful\n")
    assert columns(path, text_column="review", label_column="stars") == {
        "text": ["great", "awful"],
        "label": ["5", "1"],
    }
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": true}\n')
    assert columns(path)["label"] == ["1", "true"]


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_carriage_returns_a_byte_order_mark_and_blank_lines_are_no_part_of_the_text(tmp_path, ending):
    between = {"csv": ",", "tsv": "\t"}[ending]
    lines = ["text", "label"], ["a b", "x"], ["c", "y"]
    content = "\ufeff" + "\r\n".join(between.join(values) for values in lines) + "\r\n\r\n"
    assert columns(write(tmp_path / f"a.{ending}", content)) == {"text": ["a b", "c"], "label": ["x", "y"]}


def test_quoted_text_may_hold_line_feeds_and_be_a_book(tmp_path):
    book = "word, " * 100_000
    path = write(tmp_path / "a.csv", f'text,label\n"one\ntwo",x\n"{book}",y\n')
    assert columns(path)["text"] == ["one\ntwo", book]


def test_nul_stays_in_json_text_and_is_refused_in_a_table(tmp_path):
    assert columns(write(tmp_path / "a.jsonl", '{"text": "a\\u0000b", "label": "x"}\n'))["text"] == ["a\0b"]
    for ending, between in {"csv": ",", "tsv": "\t"}.items():
        path = write(tmp_path / f"a.{ending}", f"text{between}label\ngood{between}x\nb\0d{between}y\n")
        assert "line 3: a NUL" in refused(path)


def test_another_encoding_is_read_when_named_and_told_with_its_place_when_not(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\nok,x\ncaf\u00e9,y\n".encode("latin-1"))
    assert columns(path, encoding="latin-1")["text"] == ["ok", "café"]
    message = refused(path)
    assert "line 3: byte 19 (0xe9) is not utf-8" in message and "`encoding: cp1252`" in message and "'é'" in message
    with pytest.raises(ValueError, match="got 'utf-88'"):
        TextFiles(path, encoding="utf-88")


@pytest.mark.parametrize("between", [";", "\t", "|", ","])
def test_the_delimiter_of_a_csv_is_found_in_its_header_and_reported(tmp_path, caplog, between):
    content = "".join(
        between.join(values) + "\n" for values in [("id", "text", "label"), ("1", "a b", "x"), ("2", "c", "y")]
    )
    path = write(tmp_path / "a.csv", content)
    assert columns(path) == columns(path, delimiter=between) == {"text": ["a b", "c"], "label": ["x", "y"]}
    assert ("its values are separated by" in caplog.text) == (between != ",")


def test_a_delimiter_is_not_guessed_where_columns_may_be_separated_by_two(tmp_path):
    path = write(tmp_path / "a.csv", "a,b;c\n1,2;3\n")
    assert "has no column 'text'.\n  Found: a, b;c." in refused(path)
    assert columns(path, delimiter=";", text_column="a,b", label_column="c") == {"text": ["1,2"], "label": ["3"]}
    path = write(tmp_path / "b.csv", "id,text;label\n1,a, b;x\n")
    assert columns(path, text_column="id,text")["text"] == ["1,a, b"]  # only semicolons make both columns
    with pytest.raises(ValueError, match="delimiter must be one character"):
        TextFiles(path, delimiter=";;")


def test_excels_own_line_names_the_delimiter(tmp_path):
    assert columns(write(tmp_path / "a.csv", "sep=|\r\ntext|label\r\na;b|x\r\n"))["text"] == ["a;b"]
    assert "has no header and no rows" in refused(write(tmp_path / "b.csv", "sep=;\n"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path, encoding, ending):
    wanted = columns(saved(tmp_path, ending))
    text = (tmp_path / f"reviews.{ending}").read_text(encoding="utf-8")
    assert columns(write(tmp_path / f"A.{ending.upper()}", text.encode(encoding))) == wanted


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_lines_may_end_at_carriage_returns_alone(tmp_path, ending):
    between = {"csv": ",", "tsv": "\t"}[ending]
    path = write(tmp_path / f"a.{ending}", f"text{between}label\ra{between}x\rb{between}y\r")
    assert columns(path) == {"text": ["a", "b"], "label": ["x", "y"]}


def test_bytes_of_windows_are_told_by_the_quotes_and_dashes_that_they_are(tmp_path, caplog):
    path = write(tmp_path / "a.csv", "text,label\nit’s – fine,x\nb,y\n".encode("cp1252"))
    assert "`encoding: cp1252`, of Windows and Excel, that is '’'" in refused(path)
    assert columns(path, encoding="cp1252")["text"][0] == "it’s – fine" and not caplog.text
    columns(path, encoding="latin-1")
    assert "byte 0x92 is a control character in latin-1; in cp1252, of Windows, it is '’'" in caplog.text


def test_no_encoding_is_advised_for_bytes_that_windows_lacks(tmp_path):
    message = refused(write(tmp_path / "a.csv", b"text,label\na\x81\xff,x\n"))
    assert "cp1252" not in message and "latin-1" not in message and "Name the file's encoding" in message


def test_a_missing_file_is_told_with_its_nearest_neighbour(tmp_path):
    write(tmp_path / "reviews.csv", "text,label\n")
    message = refused(str(tmp_path / "review.csv"))
    assert message.startswith("data.train: there is no file") and "reviews.csv'?" in message


def test_all_unreadable_paths_are_told_at_once(tmp_path):
    write(tmp_path / "a.xls", "")
    source = TextFiles(str(tmp_path / "a.xls"), dev=str(tmp_path), test=str(tmp_path / "none.csv"))
    with pytest.raises(DataError) as error:
        source.read()
    assert [message.split(":")[0] for message in error.value.messages] == ["data.train", "data.dev", "data.test"]
    assert ".csv, .tsv, .jsonl, .json, .parquet" in error.value.messages[0]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_a_missing_column_is_told_with_those_found(tmp_path, ending):
    message = refused(saved(tmp_path, ending), label_column="lable")
    assert "no column 'lable'" in message and "Did you mean 'label'?" in message
    assert "text" in message and message.endswith("\n  text_column and label_column name the two to read.")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", "", "is empty"),
        ("a.jsonl", "\n\n", "is empty"),
        ("a.csv", "text,label\n", "a header and no rows"),
        ("a.tsv", "text\tlabel\n", "a header and no rows"),
        ("a.csv", "text,label,text\na,b,c\n", "column 'text'.\n  Found: text, label, text.\n  Give each column"),
        ("a.csv", "text,label\na,x\nb\n", "row 2 (line 3): 1 values, where the header has 2"),
        ("a.csv", 'text,label\n"a\nb",x\nc,y,z\n', "row 2 (line 4): 3 values, where the header has 2"),
        ("a.tsv", "text\tlabel\na\tx\nb\ty\tz\n", "row 2 (line 3): 3 values, where the header has 2"),
        ("a.csv", 'text,label\n"a,x\n', "not CSV"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n\n{"text": \n', "line 3: not JSON"),
        ("a.jsonl", "[" * 100_000 + "\n", "line 1: nested more than 100 levels deep"),
        ("a.jsonl", '["a", "x"]\n', "line 1: not an object"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"}\n', "line 2, has no column 'label'"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": null, "label": "x"}\n', "row 2: 'text' is None, not text"),
        ("a.jsonl", '{"text": "a", "label": null}\n', "row 1: 'label' is None, not a label"),
        ("a.parquet", "text,label\n", "not Parquet"),
    ],
)
def test_a_broken_file_is_told_with_the_place(tmp_path, name, content, told):
    message = refused(write(tmp_path / name, content))
    assert told in message and name in message


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", "text,label\na,x\nb,\nc,\n", "row 2: 'label' is '', not a label (2 rows have none)"),
        ("a.csv", "text,label\na,x\nb,  \n", "row 2: 'label' is '  ', not a label (1 rows have none)"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": NaN}\n', "row 2: 'label' is nan, not a label"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": null}\n', "row 2: 'label' is None, not a label"),
        ("a.jsonl", '{"text": "a", "label": [1]}\n', "row 1: 'label' is [1], not a label"),
    ],
)
def test_a_label_that_is_missing_is_refused_with_its_row_or_given_a_name(tmp_path, name, content, told):
    path = write(tmp_path / name, content)
    assert told in refused(path)
    if "[1]" not in content:
        assert "y" in columns(path, missing_label="y")["label"] and "" in columns(path, missing_label="")["label"]


def test_missing_labels_of_parquet_are_refused(tmp_path):
    for values in ([1.0, None], [1.0, float("nan")], ["x", None]):
        pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": values}), tmp_path / "a.parquet")
        assert "row 2: 'label' is n" in refused(str(tmp_path / "a.parquet")).replace("None", "none")


def test_numbers_truth_values_and_dates_of_parquet_are_labels(tmp_path):
    for given, wanted in (
        ([Decimal("1.50"), Decimal("2.00")], ["1.50", "2.00"]),
        ([date(2024, 1, 2), date(2024, 1, 3)], ["2024-01-02", "2024-01-03"]),
        ([datetime(2024, 1, 2, 3), datetime(2024, 1, 3)], ["2024-01-02T03:00:00", "2024-01-03T00:00:00"]),
        ([time(9, 30), time(10)], ["09:30:00", "10:00:00"]),
        ([True, False], ["true", "false"]),
        ([3, 4], ["3", "4"]),
    ):
        pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": given}), tmp_path / "a.parquet")
        assert columns(str(tmp_path / "a.parquet"))["label"] == wanted


def test_blanks_at_the_ends_of_a_label_are_cut_and_labels_alike_but_for_case_are_reported(tmp_path, caplog):
    path = write(tmp_path / "a.csv", "text,label\na,p \nb, P\nc,p\nd,n\ne,None\n")
    assert columns(path)["label"] == ["p", "P", "p", "n", "None"]
    assert "the blanks at the ends of 2 labels are cut, as in 'p '" in caplog.text
    LabelledText().fit(columns(path))
    assert "differ only by case or blanks are different labels: 'P' (1), 'p' (2)." in caplog.text
    assert "'None' (1) is a label like any other" in caplog.text


def test_without_a_dev_file_rows_are_held_out_and_without_a_test_file_there_is_no_test(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\n" + "".join(f"t{row},{'xy'[row % 2]}\n" for row in range(20)))
    parts = TextFiles(path, dev_fraction=0.2).read()
    assert set(parts) == {"train", "dev"}
    assert parts["dev"]["text"] == ["t16", "t17", "t18", "t19"]
    assert not set(parts["dev"]["text"]) & set(parts["train"]["text"])
    assert Counter(parts["train"]["label"]) == {"x": 8, "y": 8}


def test_the_identity_of_files_is_their_contents(tmp_path):
    source = TextFiles(saved(tmp_path, "csv"), test=saved(tmp_path, "jsonl"))
    assert source.identity() == {"id": "reviews.csv, reviews.jsonl", "revision": None}
    source.read()
    before = source.identity()["revision"]
    write(tmp_path / "reviews.csv", "text,label\na,x\nb,y\nc,x\n")
    source.read()
    assert len(before) == 64 and source.identity()["revision"] != before
