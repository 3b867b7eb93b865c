import json
import subprocess
import sys
from pathlib import Path

import pytest

from rnnzoo.data.sources.multi30k import Multi30k
from rnnzoo.data.sources.pair_files import PairFiles
from rnnzoo.errors import DataError

HUB = Path(__file__).parents[3].parent / "shared" / "hub"
ENGLISH = ["a house", "a dog runs", "two cats"]
GERMAN = ["ein Haus", "ein Hund läuft", "zwei Katzen"]


def parallel(folder, english=ENGLISH, german=GERMAN):
    for name, lines in {"en": english, "de": german}.items():
        (folder / f"train.{name}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return PairFiles(str(folder / "train"), source="en", target="de", dev_fraction=0.34)


def test_line_n_of_one_file_is_the_translation_of_line_n_of_the_other(tmp_path):
    parts = parallel(tmp_path).read()
    assert parts["train"] == {"source": ENGLISH[:2], "target": GERMAN[:2]}
    assert parts["dev"] == {"source": ENGLISH[2:], "target": GERMAN[2:]}


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_two_columns_of_a_table_are_the_same_as_two_files(tmp_path, ending):
    rows = list(zip(ENGLISH, GERMAN, strict=True))
    between = {"csv": ",", "tsv": "\t"}.get(ending)
    lines = [json.dumps({"de": b, "en": a}) for a, b in rows]
    if between:
        lines = [f"en{between}de", *(f"{a}{between}{b}" for a, b in rows)]
    table = tmp_path / f"pairs.{ending}"
    table.write_text("\n".join(lines), encoding="utf-8")
    found = PairFiles(str(table), dev=str(table), source="en", target="de").read()
    assert found["train"] == found["dev"] == {"source": ENGLISH, "target": GERMAN}


def test_files_of_unequal_numbers_of_lines_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"train\.en has 3 lines and .*train\.de has 2"):
        parallel(tmp_path, german=GERMAN[:2]).read()


@pytest.mark.parametrize(("side", "name"), [("english", "en"), ("german", "de")])
def test_a_row_without_one_of_its_texts_is_refused_by_its_number(tmp_path, side, name):
    with pytest.raises(DataError, match=f"row 2: '{name}' is empty"):
        parallel(tmp_path, **{side: ["a", " ", "b"]}).read()


def test_a_target_that_is_null_or_a_number_is_refused_by_its_row(tmp_path):
    table = tmp_path / "pairs.jsonl"
    for value, told in (("null", "is empty"), ("7", "is 7, not text")):
        table.write_text(f'{{"source": "a", "target": "b"}}\n{{"source": "a", "target": {value}}}\n')
        with pytest.raises(DataError, match=f"row 2: 'target' {told}"):
            PairFiles(str(table)).read()


def test_a_file_that_is_not_there_is_named(tmp_path):
    source = parallel(tmp_path)
    (tmp_path / "train.de").unlink()
    with pytest.raises(DataError, match=r"data\.train: there is no file .*train\.de"):
        source.read()


@pytest.mark.parametrize(("ending", "content"), [("csv", "en,de\na,b\n"), ("jsonl", '{"en": "a", "de": "b"}\n')])
def test_a_wrong_column_is_told_with_the_keys_that_name_columns(tmp_path, ending, content):
    table = tmp_path / f"pairs.{ending}"
    table.write_text(content)
    with pytest.raises(DataError, match=r"no column 'fr'.\n  Found: en, de.\n  source and target name the two to read"):
        PairFiles(str(table), source="en", target="fr").read()


def test_the_ending_of_a_files_name_is_no_path_and_a_column_may_have_any_name(tmp_path):
    for names in ({"source": "x/en"}, {"target": "x\\de"}):
        with pytest.raises(ValueError, match=r"(source|target) is the ending of a file's name, .* got 'x"):
            PairFiles(str(tmp_path / "train"), **names)
    (tmp_path / "pairs.csv").write_text("x/en,de\na house,ein Haus\na dog,ein Hund\n")
    parts = PairFiles(str(tmp_path / "pairs.csv"), source="x/en", target="de").read()
    assert parts["train"] == {"source": ["a house"], "target": ["ein Haus"]}


@pytest.mark.parametrize("path", [".", "/"])
def test_a_folder_is_no_pair_of_files(path):
    with pytest.raises(DataError, match="there is no file"):
        PairFiles(path).read()


def test_a_single_pair_cannot_be_split(tmp_path):
    with pytest.raises(DataError, match="no two rows"):
        parallel(tmp_path, ENGLISH[:1], GERMAN[:1]).read()


def test_a_language_is_not_translated_into_itself():
    with pytest.raises(ValueError, match="the same language, 'de'"):
        Multi30k(source="de")
    with pytest.raises(ValueError, match="source and target are both 'en'"):
        PairFiles("pairs", source="en", target="en")


@pytest.mark.slow
@pytest.mark.skipif(not HUB.is_dir(), reason="needs the folder ../shared/hub beside the repository")
def test_the_hub_gives_captions_in_two_languages_in_either_direction():
    code = (
        "import json\n"
        "from rnnzoo.data.sources.multi30k import Multi30k\n"
        "there, back = Multi30k().read(), Multi30k(source='de', target='en').read()\n"
        "sizes = {part: len(columns['target']) for part, columns in there.items()}\n"
        "print(json.dumps([sizes, there['test']['source'] == back['test']['target'], there['train']['target'][0]]))"
    )
    command = [sys.executable, str(HUB / "serve_hub.py"), "--", sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    sizes, turned, first = json.loads(found.stdout.splitlines()[-1])
    assert sizes == {"train": 29000, "dev": 1014, "test": 1000} and turned
    assert first.startswith("Zwei junge weiße Männer")
