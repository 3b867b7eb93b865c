import numpy as np
import pytest

from rnnzoo.batch import IGNORE, PAD, UNK
from rnnzoo.data.forms import FORMS
from rnnzoo.data.forms.masked import GAP, MaskedText
from rnnzoo.errors import DataError

LINES = [" ".join(f"w{(7 * row + k) % 23}" for k in range(1 + row % 30)) for row in range(200)] + ["zebra", ""]


def made(**settings):
    form = MaskedText(**settings)
    spec = form.fit({"text": LINES[:200]})
    return form, spec, form.encode({"text": LINES}, spec)


def seen(form, examples, **how):
    """Each row's masked tokens and its targets, of one epoch, by row number."""
    rows = {}
    for window in form.batches(examples, **how):
        batch = examples[window]
        for place, row in enumerate(batch.index.tolist()):
            length = int(batch.lengths[place])
            assert (batch.inputs["tokens"][place, length:] == PAD).all()
            assert (batch.target[place, length:] == IGNORE).all()
            rows[row] = batch.inputs["tokens"][place, :length].tolist(), batch.target[place, :length].tolist()
    return rows


def test_a_gap_shows_the_mask_and_asks_for_the_word_and_other_words_are_as_they_were():
    form, spec, examples = made()
    gap = spec.inputs["tokens"].names.index(GAP)
    assert gap == len(spec.inputs["tokens"].names) - 1
    rows = seen(form, examples, training=True)
    assert len(rows) == len(LINES)
    for row, (tokens, target) in rows.items():
        whole = [t if t != IGNORE else w for w, t in zip(tokens, target, strict=True)]
        assert whole == examples.tokens[row].tolist()
        assert [w == gap for w in tokens] == [t != IGNORE for t in target]


def test_a_line_has_its_share_of_gaps_one_at_least_and_none_at_what_is_unknown():
    form, _, examples = made(rate=0.2)
    rows = seen(form, examples, training=False)
    for row, line in enumerate(LINES[:200]):
        assert sum(t != IGNORE for t in rows[row][1]) == max(1, round(0.2 * len(line.split())))
    assert rows[200] == ([UNK], [IGNORE]) and rows[201] == ([UNK], [IGNORE])


def test_gaps_of_evaluation_are_the_same_for_any_batch_size_and_processes():
    form, _, examples = made(eval_batch_size=64)
    whole = seen(form, examples, training=False, seed=1)
    other, _, again = made(eval_batch_size=3)
    assert seen(other, again, training=False, seed=2) == whole
    parts = [seen(form, examples, training=False, rank=rank, world_size=3) for rank in range(3)]
    assert parts[0] | parts[1] | parts[2] == whole


def test_gaps_of_training_are_new_in_each_epoch_and_follow_the_seed():
    form, _, examples = made()

    def epoch(number, seed):
        batches = form.batches(examples, training=True, seed=seed)
        batches.set_epoch(number)
        return {
            row: tuple(np.flatnonzero(examples[w].target[place] != IGNORE))
            for w in batches
            for place, row in enumerate(examples[w].index.tolist())
        }

    assert epoch(0, 1) == epoch(0, 1)
    assert epoch(0, 1) != epoch(1, 1) and epoch(0, 1) != epoch(0, 2)


@pytest.mark.parametrize("unit", ["space", "word"])
def test_a_gap_is_typed_as_two_underscores_or_more_wherever_it_stands(unit):
    _, spec, _ = made(unit=unit)
    gap = spec.inputs["tokens"].names.index(GAP)
    again = FORMS["masked_text"].from_spec(spec)
    examples = again.ask(["w1 ____ w2", "__ w1 ________", "w1____w2"], spec)
    assert [np.flatnonzero(examples.tokens[row] == gap).tolist() for row in range(3)] == [[1], [0, 2], [1]]


def test_a_text_without_a_gap_is_refused():
    form, spec, _ = made()
    with pytest.raises(DataError, match="there is no gap among its first 100 tokens in 'w1 w2'"):
        form.ask(["w1 ____", "w1 w2"], spec)


def test_a_gap_that_is_written_in_a_training_text_is_never_asked_for():
    form = FORMS["masked_text"](unit="space", rate=0.9)
    rows = {"text": ["w1 ____ w2 w1", "w2 w2 w1 w1"]}
    spec = form.fit(rows)
    examples = form.encode(rows, spec)
    target = examples.collate(next(iter(form.batches(examples, training=False)))).target
    assert (target != IGNORE).sum() > 2
    assert spec.inputs["tokens"].names.index(GAP) not in target


@pytest.mark.parametrize("rate", [-0.1, 1.0, "many"])
def test_a_rate_that_is_no_share_is_refused(rate):
    with pytest.raises(ValueError, match="rate must be a number in"):
        MaskedText(rate=rate)
