from itertools import chain

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from rnnzoo.data.base import Source
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import LabelledText, TextStream
from rnnzoo.errors import DataError


class Counting(Source):
    """Rows of one to fifty words; remembers how often it was read."""

    form = "labelled_text"

    def __init__(self, **parts):
        sizes = {"train": 101, "dev": 7, "test": 10} | parts
        self.sizes = {part: size for part, size in sizes.items() if size is not None}
        self.reads = 0

    def read(self):
        self.reads += 1
        return {
            part: {
                "text": ["word " * (1 + row % 50) for row in range(size)],
                "label": ["ab"[row % 2] for row in range(size)],
            }
            for part, size in self.sizes.items()
        }


class Watching(LightningModule):
    """Learns nothing; keeps the row numbers of the batches it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": {}, "val": [], "test": []}

    def training_step(self, batch, _):
        self.seen["train"].setdefault(self.current_epoch, []).append(batch.index.tolist())
        return self.weight * len(batch)

    def validation_step(self, batch, _):
        self.seen["val"].append(batch.index.tolist())

    def test_step(self, batch, _):
        self.seen["test"].append(batch.index.tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def data(source=None, seed=1, **options):
    return ZooData(source or Counting(), LabelledText(batch_size=8, **options), seed)


def watched(module, **options):
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )
    model = Watching()
    trainer.fit(model, datamodule=module)
    return trainer, model


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_trainer_sees_every_row_in_every_epoch_in_an_order_of_its_own():
    trainer, model = watched(data(), max_epochs=3)
    epochs = model.seen["train"]
    assert [sorted(chain(*batches)) for batches in epochs.values()] == [list(range(101))] * 3
    assert len({str(batches) for batches in epochs.values()}) == 3
    assert trainer.num_training_batches == 13
    assert sorted(chain(*model.seen["val"])) == sorted([*range(7)] * 3)
    trainer.test(model, datamodule=data())
    assert sorted(chain(*model.seen["test"])) == list(range(10))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_seed_alone_fixes_the_order():
    orders = [watched(data(seed=seed), max_epochs=2)[1].seen["train"] for seed in (5, 5, 6)]
    assert orders[0] == orders[1] != orders[2]


class Ranked:
    def __init__(self, rank, world_size=3):
        self.global_rank, self.world_size = rank, world_size


def test_each_rank_has_its_share():
    seen = []
    for rank in range(3):
        module = data()
        module.trainer = Ranked(rank)
        assert len(module.train_dataloader()) == 5  # 13 batches, wrapped to 15
        seen += [batch.index.tolist() for batch in module.test_dataloader()]
    assert sorted(chain(*seen)) == list(range(10))


def test_ranks_without_a_row_to_score_have_no_batches_and_no_rank_says_how_many_it_has():
    seen = []
    for rank in range(10):
        module = data()
        module.trainer = Ranked(rank, world_size=10)
        loader = module.val_dataloader()
        with pytest.raises(TypeError, match="no length"):  # Lightning would leave out a rank of length 0
            len(loader)
        seen.append([row for batch in loader for row in batch.index.tolist()])
    assert sorted(seen) == [[]] * 3 + [[row] for row in range(7)]


@pytest.mark.parametrize("rank", [0, 9])
def test_fewer_rows_to_train_on_than_ranks_are_refused_on_every_rank(rank):
    module = data(Counting(train=9))
    module.trainer = Ranked(rank, world_size=10)
    with pytest.raises(DataError, match="the train split has 9 examples, too few to give each of 10 processes some"):
        module.train_dataloader()


def test_preparing_reads_once():
    module = data()
    for _ in range(2):
        module.prepare()
        module.setup("fit")
    assert module.source.reads == 1
    assert module.sizes == {"train": 101, "dev": 7, "test": 10}
    assert module.identity == {"id": "Counting", "revision": None}
    assert module.unknown_share == {"train": 0, "dev": 0, "test": 0}


def test_cut_rows_are_counted_by_part_and_reported_before_training(caplog):
    rows = [1 + row % 50 for row in range(101)]
    assert data(max_length=5).truncated == {"train": sum(n > 5 for n in rows), "dev": 2, "test": 5}
    assert "dev split: 2 of 7 rows are longer than max_length and were cut." in caplog.messages
    assert len(caplog.messages) == 3


def test_rows_without_a_text_are_counted_by_part_and_reported(caplog):
    class Blank(Counting):
        def read(self):
            parts = super().read()
            parts["train"]["text"][3:5] = ["", " \n"]
            return parts

    module = data(Blank())
    assert module.notes["train"] == {"empty": 2}
    assert caplog.messages == ["train split: 2 of 101 rows have no text, and are read as one <unk>."]


def test_the_digest_of_the_scored_rows_is_of_raw_rows_and_not_of_how_they_are_encoded():
    made = {}
    for name, one in {"plain": data(), "cut": data(max_length=5), "other": data(Counting(test=11))}.items():
        one.prepare()
        made[name] = one.scored_rows
    assert made["plain"] == made["cut"] != made["other"]


def test_the_fingerprint_is_of_the_examples_and_not_of_their_batches():
    assert data().fingerprint == data(batch_tokens=100, seed=7).fingerprint
    assert data().fingerprint != data(max_length=5).fingerprint
    assert data().fingerprint != data(Counting(dev=8)).fingerprint


@pytest.mark.parametrize("part", ["train", "dev", "test"])
def test_an_empty_part_is_refused(part):
    with pytest.raises(DataError, match=f"the {part} split of Counting is empty"):
        data(Counting(**{part: 0})).prepare()


def test_a_test_part_is_asked_for_only_when_there_is_one():
    module = data(Counting(test=None))
    assert list(module.sizes) == ["train", "dev"]
    with pytest.raises(DataError, match="has no test split"):
        module.test_dataloader()
    with pytest.raises(DataError, match="gives no dev split"):
        data(Counting(dev=None)).prepare()


def test_an_error_in_the_rows_says_in_which_part():
    class Wrong(Counting):
        def read(self):
            parts = super().read()
            parts["dev"]["label"][3] = "c"
            return parts

    with pytest.raises(DataError, match="dev split, row 4: column 'label': the training split has no label 'c'"):
        data(Wrong()).prepare()


def test_a_form_that_the_source_does_not_give_is_refused():
    with pytest.raises(DataError, match="Counting gives labelled_text, not text_stream"):
        ZooData(Counting(), TextStream())


def test_batches_reach_the_trainer_padded_and_whole():
    for batch in data().train_dataloader():
        assert batch.inputs["tokens"].shape == (len(batch), batch.lengths.max())
        assert np.array_equal(batch.lengths, 1 + batch.index % 50)
