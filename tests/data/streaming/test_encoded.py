"""Data that stream are the data in memory, whatever their form; and those that changed are refused."""

import errno
import logging
import pickle

import numpy as np
import pytest
import torch
from streamed import KINDS, TEXTS, csv_of, data_of, small  # noqa: F401  # a fixture

from rnnzoo.data import store
from rnnzoo.data.base import Source
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import FORMS, LabelledText, TaggedText
from rnnzoo.data.sources.conll_files import ConllFiles
from rnnzoo.data.sources.text_files import TextFiles
from rnnzoo.data.streaming.stream import Stream, cut
from rnnzoo.errors import DataError, Unwritable

pytestmark = pytest.mark.usefixtures("small")


def test_every_form_that_streams_is_tried():
    assert set(KINDS) == {name for name, form in FORMS.items() if form.unstreamable is None}


def equal(one, two):
    assert one.inputs.keys() == two.inputs.keys() and one.references == two.references and one.fresh == two.fresh
    pairs = [(one.inputs[name], two.inputs[name]) for name in one.inputs]
    pairs += [(getattr(one, name), getattr(two, name)) for name in ("lengths", "target", "target_lengths", "index")]
    return all(a is b is None or torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", KINDS)
def test_what_streams_is_what_would_be_in_memory_also_at_the_second_start(name, tmp_path):
    whole = data_of(name, tmp_path)
    for _ in range(2):
        streamed = data_of(name, tmp_path, streaming=True)
        assert streamed.spec == whole.spec
        assert streamed.fingerprint == whole.fingerprint
        assert streamed.scored_rows == whole.scored_rows
        assert streamed.identity == whole.identity
        for fact in ("sizes", "truncated", "notes", "unknown_share", "labels"):
            assert getattr(streamed, fact) == getattr(whole, fact), fact


@pytest.mark.parametrize("name", KINDS)
def test_the_batches_are_those_of_rows_in_memory_where_a_window_holds_all_rows(name, tmp_path):
    whole, streamed = data_of(name, tmp_path), data_of(name, tmp_path, streaming=True, window=1000)
    for part in ("train", "val"):
        loaders = [getattr(data, f"{part}_dataloader")() for data in (whole, streamed)]
        batches = [list(loader) for loader in loaders]
        assert len(batches[0]) == len(batches[1]) > 0
        assert all(equal(*pair) for pair in zip(*batches, strict=True))


def test_the_second_start_does_not_read_the_text(tmp_path, monkeypatch):
    first = data_of("labelled_text", tmp_path, streaming=True)
    first.prepare()
    source = TextFiles(str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"))
    monkeypatch.setattr(TextFiles, "chunks", lambda *_: pytest.fail("the text was read"))
    second = ZooData(source, first.form, streaming=True)
    assert second.fingerprint == first.fingerprint and second.identity == first.identity


def test_examples_are_sent_to_a_worker_as_the_names_of_their_files(tmp_path):
    data = data_of("labelled_text", tmp_path, streaming=True)
    examples = data.train_dataloader()._batches.dataset.examples
    assert len(examples.lengths) == 44  # so that they are made, and could be sent
    sent = pickle.dumps(examples)
    assert len(sent) < 2000 + 64
    assert np.array_equal(pickle.loads(sent).tokens.flat, examples.tokens.flat)


def test_rows_are_shuffled_within_a_window(tmp_path):
    source = TextFiles(csv_of(tmp_path), dev=csv_of(tmp_path, TEXTS[:9], "dev.csv"))
    data = ZooData(source, LabelledText(batch_size=5), streaming=True, window=10)
    rows = [batch.index.tolist() for batch in data.train_dataloader()]
    assert sorted(row for batch in rows for row in batch) == list(range(50))
    assert all(len({row // 10 for row in batch}) == 1 for batch in rows)


def test_a_trained_models_words_are_taken(tmp_path):
    spec = data_of("labelled_text", tmp_path).spec
    source = TextFiles(csv_of(tmp_path, ["a new word", "dog", "late"] * 3, "new.csv"))
    whole, streamed = (ZooData(source, LabelledText(), spec=spec, streaming=s) for s in (False, True))
    assert streamed.spec == spec and streamed.fingerprint == whole.fingerprint
    whole, streamed = (ZooData(source, LabelledText(), known=spec, streaming=s) for s in (False, True))
    assert streamed.spec == whole.spec and "new" in streamed.spec.inputs["tokens"].names


def test_a_form_that_cannot_stream_says_why(tmp_path):
    class Numbers(Source):
        form = "labelled_series"

        def read(self):
            raise AssertionError

    with pytest.raises(DataError, match="data of the form labelled_series cannot stream: its rows are arrays"):
        ZooData(Numbers(), FORMS["labelled_series"](), streaming=True).prepare()


# Rows that are not what they were


class Unsteady(Source, Stream):
    """Gives other rows at each reading of train: the numbers of rows, or the rows themselves."""

    form = "labelled_text"
    parts = ("train", "dev")

    def __init__(self, *readings):
        self.readings = list(readings)

    def read(self):
        raise AssertionError

    def stream(self):
        return self

    def key(self):
        return {"readings": str(self.readings)}

    def chunks(self, part):
        texts = TEXTS
        if part == "train":
            texts = self.readings.pop(0)
        yield from cut({"text": texts, "label": ["xy"[n % 2] for n in range(len(texts))]})


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (TEXTS[:30], "Now: 30 rows"),
        (TEXTS + TEXTS, "Now: 100 rows"),
        (TEXTS[::-1], "Now: 50 rows, SHA-256"),
    ],
    ids=["ends early", "repeats", "changes"],
)
def test_a_stream_that_gives_other_rows_at_the_second_reading_is_refused(second, said, tmp_path):
    data = ZooData(Unsteady(TEXTS, second), LabelledText(), streaming=True)
    with pytest.raises(DataError, match="train split: it had other rows when it was read again") as refused:
        data.prepare()
    assert "At first: 50 rows, SHA-256" in str(refused.value) and said in str(refused.value)
    assert not [path for path in (tmp_path / "cache" / "data").iterdir() if path.is_dir()]


def test_a_stream_that_breaks_leaves_nothing_and_can_be_begun_again(tmp_path):
    class Broken(Unsteady):
        def key(self):
            return {"same": 1}

        def chunks(self, part):
            yield from super().chunks(part)
            if part == "dev":
                raise DataError("the connection broke.")

    class Steady(Unsteady):
        key = Broken.key

    with pytest.raises(DataError, match="the connection broke"):
        ZooData(Broken(TEXTS, TEXTS), LabelledText(), streaming=True).prepare()
    data = ZooData(Steady(TEXTS, TEXTS), LabelledText(), streaming=True)
    assert data.sizes == {"train": 50, "dev": 50}


def test_a_file_that_is_written_to_while_it_is_read_is_refused_with_both_sides(tmp_path, monkeypatch):
    data = data_of("labelled_text", tmp_path, streaming=True)
    fit = LabelledText.fit_chunks

    def fit_and_change(self, chunks, **options):
        spec = fit(self, chunks, **options)
        csv_of(tmp_path, ["something else"] * 80)
        return spec

    monkeypatch.setattr(LabelledText, "fit_chunks", fit_and_change)
    with pytest.raises(DataError, match=r"train.csv has changed while it was read") as refused:
        data.prepare()
    assert "Before: " in str(refused.value) and "Now: " in str(refused.value)


def test_a_file_that_has_changed_since_is_read_again(tmp_path):
    first = data_of("labelled_text", tmp_path, streaming=True).fingerprint
    source = TextFiles(csv_of(tmp_path, TEXTS[::-1]), test=csv_of(tmp_path, TEXTS[:9], "test.csv"))
    assert ZooData(source, LabelledText(max_length=9), streaming=True).fingerprint != first


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store._Growing, "add", full)
    with pytest.raises(Unwritable, match="No space left"):
        data_of("labelled_text", tmp_path, streaming=True).prepare()
    assert not [path for path in (tmp_path / "cache" / "data").iterdir() if path.is_dir()]


def test_a_mistake_names_the_row_of_the_file(tmp_path):
    source = TextFiles(csv_of(tmp_path), dev=csv_of(tmp_path, TEXTS[:20], "dev.csv"))
    rows = (tmp_path / "dev.csv").read_text().splitlines()
    rows[18] = "new,unheard"
    (tmp_path / "dev.csv").write_text("\n".join(rows))
    for streaming in (False, True):
        with pytest.raises(DataError, match=r"dev.csv, row 18: column 'label': the training split has no label"):
            ZooData(source, LabelledText(), streaming=streaming).prepare()


def test_data_without_a_stream_of_their_own_are_read_as_a_whole_and_said_so(caplog):
    class Plain(Source):
        form = "labelled_text"

        def read(self):
            return {part: {"text": TEXTS, "label": ["xy"[n % 2] for n in range(50)]} for part in ("train", "dev")}

    with caplog.at_level(logging.WARNING, "rnnzoo"):
        whole, streamed = (ZooData(Plain(), LabelledText(), streaming=s) for s in (False, True))
        assert streamed.fingerprint == whole.fingerprint
    assert "Plain is read as a whole, and has to fit into memory" in caplog.text


def test_a_message_is_given_once_though_the_text_is_read_several_times(tmp_path, caplog):
    (tmp_path / "x.conll").write_text("# about this\na A\nb B\n\n" * 20)
    with caplog.at_level(logging.WARNING, "rnnzoo"):
        ZooData(ConllFiles(str(tmp_path / "x.conll")), TaggedText(), streaming=True).prepare()
    assert caplog.text.count("are skipped as comments") == 1
