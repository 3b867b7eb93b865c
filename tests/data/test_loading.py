"""Worker processes make the batches that this process would, and none of them is left behind."""

import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch

from rnnzoo.data.base import Source
from rnnzoo.data.encoding.text import Ragged
from rnnzoo.data.forms import LabelledText, TextStream
from rnnzoo.data.forms.rows import RowExamples
from rnnzoo.data.loading import Loader
from rnnzoo.errors import DataError, RunError

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # of torch, where there are few cores


class Reviews(Source):
    form = "labelled_text"

    def read(self):
        rows = {"text": ["word " * (1 + row % 7) for row in range(41)], "label": ["ab"[row % 2] for row in range(41)]}
        return {"train": rows, "dev": rows}


class Lines(Source):
    form = "text_stream"

    def read(self):
        rows = {"text": [f"line {row}" for row in range(41)]}
        return {"train": rows, "dev": rows}


def epochs(data, part):
    """Every tensor of two epochs."""
    loader = {"train": data.train_dataloader, "dev": data.val_dataloader}[part]()
    tensors = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            tensors += [*batch.inputs.values(), batch.lengths, batch.target, batch.index, torch.tensor(batch.fresh)]
    return tensors


def processes():
    return [process.pid for process in multiprocessing.active_children()]


@pytest.mark.parametrize(
    ("source", "form"), [(Reviews(), LabelledText(batch_size=8)), (Lines(), TextStream(batch_size=3, tbptt_steps=5))]
)
def test_two_workers_make_the_batches_of_none_in_their_order_and_are_gone_after(source, form):
    from rnnzoo.data.datamodule import ZooData  # here: workers import this file, and need no Lightning

    for part in ("train", "dev"):
        alone, together = (epochs(ZooData(source, form, num_workers=workers), part) for workers in (0, 2))
        assert len(alone) > 20 and all(torch.equal(*pair) for pair in zip(alone, together, strict=True))
    assert processes() == []


class Broken(RowExamples):
    def collate(self, window):
        if 3 in window:
            raise DataError("row 4 cannot be read.\n  Mend it.")
        return super().collate(window)


def loader(cls, workers):
    examples = cls(Ragged.of(np.full(820, 5, np.int32), range(1, 41)), np.zeros(40, np.int64))
    return Loader(examples, LabelledText(batch_size=2).batches(examples, training=False), workers)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_mistake_in_a_row_is_told_in_the_same_words_with_workers(workers):
    with pytest.raises(DataError) as mistake:
        list(loader(Broken, workers))
    assert mistake.value.messages == ("row 4 cannot be read.\n  Mend it.",)
    assert processes() == []


@pytest.mark.skipif(not hasattr(os, "setsid"), reason="this system has no process groups")
def test_workers_go_on_where_all_are_sent_a_signal_and_end_with_the_process_that_they_work_for():
    """A terminal sends Ctrl-C to a whole group of processes; the training saves its state first."""
    batches = iter(loader(RowExamples, 2))
    next(batches), next(batches)  # one of each worker: both have begun
    assert all(os.getpgid(pid) != os.getpgrp() for pid in processes())
    for pid in processes():
        os.kill(pid, signal.SIGINT)
    assert len(list(batches)) == 18
    del batches
    assert processes() == []


@pytest.mark.slow  # torch looks after its workers every five seconds
def test_a_worker_that_is_killed_is_told_in_words():
    batches = iter(loader(RowExamples, 1))
    next(batches)
    (pid,) = processes()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RunError, match=r"\(a worker\) was killed") as gone:
        list(batches)
    assert "Lower data.num_workers, which is 1" in str(gone.value)
    assert processes() == []
