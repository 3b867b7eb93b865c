"""Which words are hidden from a model in training."""

import pytest
import torch

from rnnzoo.batch import PAD, UNK, Field
from rnnzoo.data.forms.tagged import TaggedText
from rnnzoo.inputs.tokens import TokenEmbedding
from rnnzoo.model import build_model
from rnnzoo.tasks.tagging import Tagging

NAMES = ("<pad>", "<unk>", "<bos>", "<eos>", "often", "twice", "once")
COUNTED = Field("tokens", NAMES, counts=(0, 0, 0, 0, 999, 2, 1))


def hidden(token, **settings):
    """The share of the word's places where training reads <unk>."""
    torch.manual_seed(0)
    part = TokenEmbedding(COUNTED, 3, **settings).train()
    with torch.no_grad():
        part.embedding.weight[UNK] = 7.0
    return (part(torch.full((100, 200), token)) == 7).all(-1).float().mean().item()


@pytest.mark.parametrize(("word", "count"), [("often", 999), ("twice", 2), ("once", 1)])
def test_a_word_that_occurs_n_times_is_hidden_with_probability_a_of_a_plus_n(word, count):
    assert hidden(NAMES.index(word), rare_word_dropout=0.5) == pytest.approx(0.5 / (0.5 + count), abs=0.01)


def test_a_rare_word_may_be_hidden_as_any_other_word_may_and_padding_never_is():
    both = {"rare_word_dropout": 1.0, "word_dropout": 0.2}
    assert hidden(NAMES.index("once"), **both) == pytest.approx(0.2 + 0.8 * 0.5, abs=0.01)
    assert hidden(NAMES.index("often"), word_dropout=0.2) == pytest.approx(0.2, abs=0.01)
    assert hidden(PAD, **both) == 0


def test_data_that_do_not_count_their_words_hide_none_for_being_rare():
    with pytest.raises(ValueError, match="needs to know how often each word occurs"):
        TokenEmbedding(Field("tokens", NAMES), 3, rare_word_dropout=0.5)


def test_a_model_reads_every_input_that_the_data_give():
    rows = {"words": [["Ann", "sat"], ["Bob", "Li", "ran"]], "tags": [["N", "V"], ["N", "N", "V"]]}
    form = TaggedText(characters=True, case=True)
    spec = form.fit(rows)
    torch.manual_seed(0)
    inputs = {"tokens": {"size": 5}, "characters": {"filters": 3}, "case": {"size": 2}}
    model = build_model(spec, Tagging(spec), {"name": "gru", "hidden_size": 4}, inputs)
    assert model.architecture.input_size == 5 + 2 * 3 + 2
    batch = form.encode(rows, spec).collate([0, 1])
    logits, _ = model.step_logits(batch)
    for name, tensor in batch.inputs.items():
        other = form.encode(rows, spec).collate([0, 1])
        other.inputs[name] = torch.where(tensor == tensor[0, 0], tensor[0, 2], tensor)
        assert not torch.allclose(model.step_logits(other)[0], logits), name
