import json
import subprocess
import sys
from pathlib import Path

import pytest

from rnnzoo import recipe as recipes
from rnnzoo.batch import EOS, UNK
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import TextStream
from rnnzoo.data.sources.text_lines import TextLines
from rnnzoo.errors import DataError
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve

HUB = Path(__file__).parents[3].parent / "shared" / "hub"


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def refused(*arguments, **options):
    with pytest.raises(DataError) as error:
        TextLines(*arguments, **options).read()
    assert all(len(message.splitlines()) <= 5 for message in error.value.messages)
    return str(error.value)


def test_lines_of_a_file_end_at_a_line_feed_and_blank_ones_stay(tmp_path):
    path = write(tmp_path / "a.txt", "\ufeffone two\r\n\r\nthree\u2028four\n")
    assert TextLines(path, dev=path).read()["train"] == {"text": ["one two", "", "three\u2028four"]}


def test_without_a_dev_file_the_end_of_the_training_text_is_held_out(tmp_path):
    path = write(tmp_path / "a.txt", "".join(f"{n}\n" for n in range(10)))
    parts = TextLines(path, dev_fraction=0.2).read()
    assert parts == {"train": {"text": [*"01234567"]}, "dev": {"text": ["8", "9"]}}
    two = write(tmp_path / "two.txt", "a\nb")
    for fraction in (0.01, 0.99):
        assert TextLines(two, dev_fraction=fraction).read() == {"train": {"text": ["a"]}, "dev": {"text": ["b"]}}


def test_a_file_of_any_encoding_is_read_if_it_is_named(tmp_path):
    path = write(tmp_path / "a.text", "né\nêtre\n".encode("latin-1"))
    assert TextLines(path, encoding="latin-1").read()["train"]["text"] == ["né"]
    assert "line 1: byte 1 (0xe9) is not utf-8" in refused(path)
    with pytest.raises(ValueError, match="encoding must be a text encoding that Python knows, got 'utf-9'"):
        TextLines(path, encoding="utf-9")


def test_files_that_are_missing_empty_or_one_line_long_are_refused(tmp_path):
    path = write(tmp_path / "novel.txt", "one line\n")
    told = refused(str(tmp_path / "novle.txt"), test=str(tmp_path))
    assert f"data.train: there is no file '{tmp_path / 'novle.txt'}'" in told
    assert f"Did you mean '{path}'?" in told and f"data.test: '{tmp_path}' is not a file" in told
    assert "has no two rows, so none can be held out" in refused(path)
    assert "is empty" in refused(write(tmp_path / "empty.txt", "\n \n"))


def test_words_that_a_corpus_writes_for_unknown_and_end_are_those_tokens():
    form = TextStream()
    spec = form.fit({"text": ["the <unk> cat <eos>"]})
    assert spec.target.names[4:] == ("cat", "the")
    assert form.encode({"text": ["<unk> <eos> the"]}, spec).ids.tolist() == [UNK, EOS, 5, EOS]


@pytest.mark.slow
@pytest.mark.skipif(not HUB.is_dir(), reason="needs the folder ../shared/hub beside the repository")
def test_the_corpora_have_the_tokens_and_types_that_papers_count():
    code = (
        "import json\n"
        "from rnnzoo.data.forms import TextStream\n"
        "from rnnzoo.data.sources.ptb import Ptb\n"
        "from rnnzoo.data.sources.tiny_shakespeare import TinyShakespeare\n"
        "from rnnzoo.data.sources.wikitext2 import WikiText2\n"
        "for source, unit in ((Ptb(), 'space'), (WikiText2(), 'space'), (TinyShakespeare(), 'character')):\n"
        "    form, parts = TextStream(unit=unit), source.read()\n"
        "    spec = form.fit(parts['train'])\n"
        "    examples = [form.encode(columns, spec) for columns in parts.values()]\n"
        "    used = set(examples[0].ids.tolist())\n"
        "    print(json.dumps([[len(part.ids) for part in examples], len(used), len(spec.target.names)]))\n"
    )
    command = [sys.executable, str(HUB / "serve_hub.py"), "--", sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    ptb, wikitext, shakespeare = map(json.loads, result.stdout.splitlines()[-3:])
    assert ptb == [[929_589, 73_760, 82_430], 10_000, 10_002]  # <pad> and <bos> are never written
    assert wikitext == [[2_088_628, 217_646, 245_569], 33_278, 33_280]
    assert shakespeare[0] == [1_003_854 + 1, 55_770 + 1, 55_770 + 1]  # characters, and the end of each part


def test_a_text_with_nothing_to_predict_is_refused_with_its_place(tmp_path):
    train, blank = write(tmp_path / "a.txt", "a b\n"), write(tmp_path / "b.txt", "c\n\n")
    data = ZooData(TextLines(blank, dev_fraction=0.5), TextStream(batch_size=1))
    with pytest.raises(DataError, match=r"dev split: the text has one token, which there is nothing to predict from"):
        data.prepare()
    short = ZooData(TextLines(train, dev=train), TextStream(batch_size=20))
    with pytest.raises(DataError, match=r"3 tokens, too few for 20 columns side by side"):
        short.train_dataloader()


def test_a_text_of_a_single_word_is_learnt_by_heart(tmp_path):
    path = write(tmp_path / "a.txt", "la " * 400)
    fixed = [f"--data={{name: text_lines, train: {path}, dev: {path}, batch_size: 4}}", "--trainer.max_epochs=3"]
    fixed += ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--tracking.mode=disabled"]
    summary, _ = fit(resolve(recipes.read("toy_text", fixed)), tmp_path / "run")
    assert summary["metrics"]["best/perplexity"] < 1.5
