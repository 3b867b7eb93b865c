"""SequenceModel, its inputs and its pooling, by hand arithmetic."""

import pytest
import torch

from rnnzoo.architectures.base import make_architecture
from rnnzoo.architectures.encoded import Encoded
from rnnzoo.architectures.pooling import Pool
from rnnzoo.batch import PAD, UNK, Batch, DataSpec, Field
from rnnzoo.engine.sequences import Sequences
from rnnzoo.inputs.base import Input
from rnnzoo.inputs.tokens import TokenEmbedding
from rnnzoo.model import SequenceModel, build_model
from rnnzoo.tasks.classification import Classification
from rnnzoo.tasks.next_word import NextWord
from rnnzoo.tasks.sentiment import Sentiment
from rnnzoo.tasks.translation import Translation

WORDS = Field("tokens", tuple("abcdefghij"))
LABELLED = DataSpec("labelled_text", {"tokens": WORDS}, Field("label", ("bad", "good")))
STREAM = DataSpec("text_stream", {"tokens": WORDS}, WORDS)
PAIRS = DataSpec("text_pairs", {"tokens": WORDS}, Field("tokens", tuple("uvwxyz")))
LENGTHS = torch.tensor([4, 1, 0])


def batch():
    tokens = torch.tensor([[4, 5, 6, 7], [8, PAD, PAD, PAD], [PAD] * 4])
    return Batch({"tokens": tokens}, LENGTHS, torch.tensor([1, 0, 1]))


def encoded():
    outputs = torch.tensor([[1.0, -2.0], [3.0, 0.0], [-5.0, -1.0], [2.0, 7.0]])
    x = torch.stack([outputs, outputs, outputs])
    return Encoded(Sequences.of(x, LENGTHS), torch.full((3, 2), 9.0), None)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("last", [[9, 9], [9, 9], [9, 9]]),
        ("mean", [[0.25, 1], [1, -2], [0, 0]]),
        ("max", [[3, 7], [1, -2], [0, 0]]),
        ("max_mean", [[3, 7, 0.25, 1], [1, -2, 1, -2], [0, 0, 0, 0]]),
    ],
)
def test_pooling_counts_real_steps_only(name, wanted):
    torch.testing.assert_close(Pool(name, 2)(encoded()), torch.tensor(wanted, dtype=torch.float32))


def test_attention_pooling_is_a_mean_weighted_by_softmax_over_real_steps():
    pool, steps = Pool("attention", 2), encoded()
    weights = pool.score(steps.outputs[0]).softmax(0)
    torch.testing.assert_close(pool(steps)[0], (weights * steps.outputs[0]).sum(0))
    torch.testing.assert_close(pool(steps)[1], steps.outputs[1, 0])
    assert not pool(steps)[2].any()


def test_word_dropout_replaces_words_by_unk_in_training_and_never_padding():
    part = TokenEmbedding(Field("tokens", tuple(map(str, range(50)))), 8, word_dropout=0.5)
    tokens = torch.full((1, 4000), 7)
    tokens[:, 2000:] = PAD
    x = part(tokens)[0]
    is_unk = (x == part.embedding.weight[UNK]).all(-1)
    assert 800 < int(is_unk[:2000].sum()) < 1200 and not x[2000:].any()
    torch.testing.assert_close(part.eval()(tokens), part.embedding(tokens))


def test_dropout_of_an_embedding_drops_a_feature_of_a_whole_sequence():
    part = TokenEmbedding(WORDS, 64, dropout=0.5)
    tokens = torch.randint(4, 10, (3, 20))
    ratio = part(tokens) / part.embedding(tokens)
    assert torch.equal(ratio.amin(1), ratio.amax(1))
    assert set(ratio.unique().tolist()) == {0.0, 2.0}


def test_a_many_to_one_model_gives_one_row_of_logits_a_text_whatever_the_batch():
    model = build_model(
        LABELLED, Sentiment(LABELLED), {"name": "bidirectional", "hidden_size": 6}, {"tokens": {"size": 5}}
    ).eval()
    logits = model.sequence_logits(batch())
    assert logits.shape == (3, 2)
    alone = Batch({"tokens": torch.tensor([[8]])}, torch.tensor([1]))
    torch.testing.assert_close(model.sequence_logits(alone)[0], logits[1])


def test_tied_weights_are_one_tensor_and_sizes_that_differ_are_refused():
    tied = build_model(
        STREAM,
        NextWord(STREAM),
        {"name": "lstm", "hidden_size": 5},
        {"tokens": {"size": 5}},
        head={"tie_weights": True},
    )
    assert tied.head.weight is tied.inputs[0].embedding.weight
    with pytest.raises(ValueError, match=r"the embedding's shape \(10, 5\), got \(10, 6\)"):
        build_model(
            STREAM,
            NextWord(STREAM),
            {"name": "lstm", "hidden_size": 6},
            {"tokens": {"size": 5}},
            head={"tie_weights": True},
        )


def test_a_translators_head_is_tied_to_the_target_embedding():
    tied = build_model(
        PAIRS,
        Translation(PAIRS),
        {"name": "encoder_decoder", "hidden_size": 5},
        {"tokens": {"size": 5}},
        head={"tie_weights": True},
    )
    assert tied.head.weight is tied.target_inputs.embedding.weight
    assert tied.head.weight is not tied.inputs[0].embedding.weight


def test_several_inputs_stand_side_by_side():
    spec = DataSpec("labelled_text", {"tokens": WORDS, "values": Field("values", size=3)}, LABELLED.target)
    model = build_model(spec, Sentiment(spec), {"name": "gru", "hidden_size": 6}, {"tokens": {"size": 5}})
    assert model.architecture.input_size == 8
    both = Batch({"tokens": batch().inputs["tokens"], "values": torch.randn(3, 4, 3)}, LENGTHS)
    assert model.sequence_logits(both).shape == (3, 2)


def test_settings_for_a_field_that_the_data_do_not_have_are_refused():
    spec = DataSpec("labelled_series", {"values": Field("values", size=3)}, LABELLED.target)
    with pytest.raises(ValueError, match="no field of the data is named 'tokens'; it has values"):
        build_model(spec, Classification(spec), "gru", {"tokens": {"size": 5}})
    with pytest.raises(ValueError, match="tie_weights needs an input of tokens, and the data are read by Values"):
        build_model(spec, Classification(spec), "gru", head={"tie_weights": True})


def test_a_model_is_made_of_parts_that_are_built_already():
    class Lengths(Input):
        """A word's number, as a feature."""

        output_size = 1

        def forward(self, x):
            return x.unsqueeze(-1).float()

    architecture = make_architecture({"name": "gru", "hidden_size": 6}, 1)
    model = SequenceModel({"tokens": Lengths()}, architecture, torch.nn.Linear(6, 2), Pool("mean", 6))
    assert model.sequence_logits(batch()).shape == (3, 2)
    built = build_model(LABELLED, Sentiment(LABELLED), {"name": "gru", "hidden_size": 6}, {"tokens": Lengths()})
    assert built.architecture.input_size == 1 and isinstance(built.input_of("tokens"), Lengths)
