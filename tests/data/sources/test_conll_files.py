"""Own files of tagged words, and CoNLL-2003 and UD EWT of the Hub."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import TaggedText
from rnnzoo.data.sources.conll2003 import Conll2003
from rnnzoo.data.sources.conll_files import ConllFiles
from rnnzoo.errors import DataError
from rnnzoo.testing import dataset_tests

HUB = Path(__file__).parents[3].parent / "shared" / "hub"
CONLL = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O

\u2028 : O O
Peter NNP I-NP I-PER
"""
CONLLU = """# text = I don't
1\tI\tI\tPRON\tPRP\t_\t2\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\t_\t0\troot\t_\t_
3\tn't\tnot\tPART\tRB\t_\t2\tadvmod\t_\t_
3.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t_\t_

1\t#\t#\tSYM\tNN\t_\t0\troot\t_\t_
"""


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def columns(path, **options):
    return ConllFiles(path, dev=path, **options).read()["train"]


def refused(path, **options):
    with pytest.raises(DataError) as error:
        columns(path, **options)
    assert all(len(message.splitlines()) <= 5 for message in error.value.messages)
    return str(error.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n \n", "\n\n\n"])
def test_the_first_column_is_the_word_and_the_last_its_tag(tmp_path, end):
    text = CONLL.replace("\n\n", end if end.strip("\r\n") else "\n\n").replace("\n", "\r\n" if end == "\r\n" else "\n")
    found = columns(write(tmp_path / "a.txt", text + end))
    assert found == {
        "words": [["EU", "rejects"], ["\u2028", "Peter"]],
        "tags": [["I-ORG", "O"], ["O", "I-PER"]],
    }


def test_columns_may_be_named_by_number(tmp_path):
    path = write(tmp_path / "a.txt", CONLL)
    assert columns(path, tag_column=2)["tags"] == [["NNP", "VBZ"], [":", "NNP"]]
    assert columns(path, word_column=4, tag_column=1)["words"][0] == ["I-ORG", "O"]


def test_words_in_columns_of_tabs_may_hold_blanks(tmp_path):
    assert columns(write(tmp_path / "a.tsv", "New York\tB-LOC\nwins\tO\n"))["words"] == [["New York", "wins"]]


def test_blanks_around_a_tab_belong_to_no_word_and_no_tag(tmp_path):
    found = columns(write(tmp_path / "a.tsv", "EU \t B-ORG\nNew York\tB-LOC \n"))
    assert found == {"words": [["EU", "New York"]], "tags": [["B-ORG", "B-LOC"]]}


@pytest.mark.parametrize(
    ("line", "told"), [("call\t", "column 2 is empty, where tags"), ("\tO", "column 1 is empty, where words")]
)
def test_a_word_or_a_tag_that_is_not_there_is_told_with_its_line(tmp_path, line, told):
    assert f"a.tsv, line 2: {told} stand." in refused(write(tmp_path / "a.tsv", f"EU\tB-ORG\n{line}\n"))


def test_conll_u_has_words_and_universal_tags_without_comments_contractions_and_empty_words(tmp_path):
    assert columns(write(tmp_path / "a.conllu", CONLLU)) == {
        "words": [["I", "do", "n't"], ["#"]],
        "tags": [["PRON", "AUX", "PART"], ["SYM"]],
    }
    assert columns(write(tmp_path / "b.conllu", CONLLU), tag_column=5)["tags"][0] == ["PRP", "VBP", "RB"]


def test_comments_before_a_sentence_are_skipped_where_they_cannot_be_words_and_reported(tmp_path, caplog):
    multi = write(tmp_path / "a.txt", "# id 0\tdomain=train\nEU\tB-ORG\nwins\tO\n\n# id 1\tdomain=train\nHi\tO\n")
    assert columns(multi) == {"words": [["EU", "wins"], ["Hi"]], "tags": [["B-ORG", "O"], ["O"]]}
    assert "2 lines such as '# id 0\tdomain=train' are skipped as comments" in caplog.text
    universal = write(
        tmp_path / "b.conll", "# sent_id = 0\n# text = EU wins\nEU B-ORG\nwins O\n\n# sent_id = 1\nHi O\n"
    )
    assert columns(universal)["words"] == [["EU", "wins"], ["Hi"]]
    assert "3 lines such as '# sent_id = 0' are skipped as comments" in caplog.text


def test_a_number_sign_may_be_a_word_and_is_reported_where_it_could_be_a_comment(tmp_path, caplog):
    path = write(tmp_path / "a.txt", "# O\n1 O\n\nNo O\n# O\n#nlp O\n")
    assert columns(path)["words"] == [["#", "1"], ["No", "#", "#nlp"]]
    assert "line 1: '# O' is read as a word (1 such lines); `comment: \"#\"` skips them" in caplog.text
    assert columns(path, comment="# ")["words"] == [["1"], ["No", "#nlp"]]
    with pytest.raises(ValueError, match="comment must be what comments begin with"):
        ConllFiles(path, comment="")


def test_a_mistake_names_the_sentence_and_its_line(tmp_path):
    train, dev = write(tmp_path / "a.txt", "a X\n\nb Y\n"), write(tmp_path / "b.txt", "a X\n\na X\nb Z\n")
    with pytest.raises(DataError, match=r"b.txt, sentence 2 \(line 3\): column 'tags': .* no label 'Z'"):
        ZooData(ConllFiles(train, dev=dev), TaggedText()).prepare()


def test_a_ragged_row_is_told_with_its_file_and_line(tmp_path):
    message = refused(write(tmp_path / "a.txt", "a b O\n\nc O\n"))
    assert f"{tmp_path / 'a.txt'}, line 3: 2 columns, where line 1 has 3" in message


def test_a_column_that_is_not_there_is_told(tmp_path):
    path = write(tmp_path / "a.txt", "a O\nb O\n")
    assert "has no column 4: its lines have 2" in refused(path, tag_column=4)
    assert "has no column 2: its lines have 1" in refused(write(tmp_path / "b.txt", "a\nb\n"))
    with pytest.raises(ValueError, match="tag_column must be a whole number >= 1 or null, got 0"):
        ConllFiles(path, tag_column=0)


@pytest.mark.parametrize("content", ["", "\n\n", "-DOCSTART- -X- O O\n\n"])
def test_a_file_without_words_is_told(tmp_path, content):
    assert str(tmp_path / "a.txt") in refused(write(tmp_path / "a.txt", content))


def test_another_encoding_is_told_with_its_line_and_read_when_named(tmp_path):
    path = write(tmp_path / "a.txt", "ok O\ncaf\u00e9 O\n".encode("latin-1"))
    assert f"{path}, line 2: byte 8 (0xe9) is not utf-8" in refused(path)
    assert columns(path, encoding="latin-1")["words"] == [["ok", "caf\u00e9"]]


def test_a_missing_file_is_told(tmp_path):
    write(tmp_path / "train.conll", "a O\n")
    assert "train.conll'?" in refused(str(tmp_path / "trian.conll"))


def test_the_last_sentences_are_held_out_where_there_is_no_dev_part(tmp_path):
    path = write(tmp_path / "a.txt", "".join(f"w{k} X\n\n" for k in range(20)))
    parts = ConllFiles(path, dev_fraction=0.1).read()
    assert parts["dev"]["words"] == [["w18"], ["w19"]] and len(parts["train"]["words"]) == 18
    with pytest.raises(DataError, match="no two rows, so none can be held out"):
        ConllFiles(write(tmp_path / "b.txt", "a X\nb Y\n")).read()


def test_mistakes_name_the_file_they_are_in(tmp_path):
    path = write(tmp_path / "a.txt", "a X\n\nb Y\n")
    source = ConllFiles(path, dev=path)
    assert source.part_name("train") == path and source.part_name("test") == "test split"
    source.read()
    assert source.identity()["id"] == "a.txt, a.txt" and len(source.identity()["revision"]) == 64


def test_tags_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="tags must be ner, pos or chunk, got 'names'"):
        Conll2003(tags="names")


COUNTS = """
import json
from collections import Counter
from rnnzoo.data.encoding import spans
from rnnzoo.data.sources.conll2003 import Conll2003
from rnnzoo.data.sources.ud_ewt import UdEwt

def size(columns):
    return len(columns["words"]), sum(map(len, columns["words"]))

ner, ud = Conll2003().read(), UdEwt().read()
kinds = Counter(span.type for tags in ner["test"]["tags"] for span in spans.read(tags))
tags = {tag for columns in ud.values() for row in columns["tags"] for tag in row}
told = [{part: size(columns) for part, columns in data.items()} for data in (ner, ud)]
chunks = {tag for row in Conll2003(tags="chunk").read()["dev"]["tags"] for tag in row}
print(json.dumps([*told, kinds, sorted(tags), "B-NP" in chunks, UdEwt().identity()["revision"]]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not HUB.is_dir(), reason="needs the folder ../shared/hub beside the repository")
def test_the_hub_gives_the_shared_tasks_sentences_and_names():
    command = [sys.executable, str(HUB / "serve_hub.py"), "--", sys.executable, "-c", COUNTS]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    ner, ud, kinds, tags, has_chunks, revision = json.loads(result.stdout.splitlines()[-1])
    assert ner == {"train": [14041, 203621], "dev": [3250, 51362], "test": [3453, 46435]}  # without -DOCSTART-
    assert kinds == {"LOC": 1668, "MISC": 702, "ORG": 1661, "PER": 1617}  # of the shared task's description
    assert [ud[part][0] for part in ("train", "dev", "test")] == [12544, 2001, 2077]
    assert len(tags) == 17 and "PROPN" in tags and has_chunks
    assert revision == "refs/convert/parquet"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    rows = "".join(f"w{k} {'XY'[k % 2]}\n" + "\n" * (k % 3 == 0) for k in range(90))
    return write(tmp_path_factory.mktemp("own") / "a.txt", rows)


def test_own_files_keep_what_every_data_set_promises(own):
    from rnnzoo.testing import check_dataset

    check_dataset({"name": "conll_files", "train": own})


test_contract = dataset_tests("conll2003")
