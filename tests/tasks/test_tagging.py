"""Tagging: losses and counts by hand arithmetic, and the scores of whole spans against seqeval."""

import math
from types import SimpleNamespace

import pytest
import seqeval.metrics
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from rnnzoo.batch import IGNORE, Batch, DataSpec, Field
from rnnzoo.data.encoding.spans import LETTERS, letters
from rnnzoo.data.forms.tagged import TaggedText
from rnnzoo.layers.crf import CRF
from rnnzoo.model import build_model
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.metrics.entities import SpanScore
from rnnzoo.tasks.metrics.recall import Recall
from rnnzoo.tasks.tagging import Tagging
from rnnzoo.testing import task_tests

WORDS = Field("tokens", ("<pad>", "<unk>", "<bos>", "<eos>", *"abcdef"))
TAGGED = DataSpec("tagged_text", {"tokens": WORDS}, Field("tags", ("X", "Y", "Z")))
SPANS = ("O", *(f"{letter}-{kind}" for letter in "BIES" for kind in ("X", "Y")))
SPANNED = DataSpec("tagged_text", {"tokens": WORDS}, Field("tags", SPANS, options={"scheme": "bioes"}))

test_contract = task_tests({"name": "tagging", "crf": True})


def model_of(task):
    torch.manual_seed(0)
    return build_model(task.spec, task, {"name": "bidirectional", "hidden_size": 6}, {"tokens": {"size": 5}}).eval()


def without_crf(task):
    """A stand-in for a model: the head of a task without a CRF, which decodes logits that a test has made."""
    return SimpleNamespace(head=task.head(1))


def measured(task, *pairs):
    metrics = task.metrics()
    model = without_crf(task)
    for output, batch in pairs:
        task.update(metrics, output, batch, task.loss(model, output, batch), model)
    return {name: float(value) for name, value in metrics.compute().items()}


def test_tagging_counts_words_and_ignores_padding():
    task = Tagging(TAGGED)
    logits = torch.tensor([[[3.0, 0, 0], [0, 3, 0], [0, 0, 3]], [[0, 3, 0], [9, 9, 9], [9, 9, 9]]])
    target = torch.tensor([[0, 1, 1], [1, IGNORE, IGNORE]])
    batch = Batch({}, torch.tensor([3, 1]), target)
    output = Output(logits)
    assert measured(task, (output, batch))["accuracy"] == pytest.approx(3 / 4)
    right, wrong = -math.log(math.exp(3) / (math.exp(3) + 2)), -math.log(1 / (math.exp(3) + 2))
    assert task.loss(without_crf(task), output, batch).item() == pytest.approx((3 * right + wrong) / 4)
    assert task.count(batch) == 4


def test_recall_is_the_share_right_of_words_whose_tag_is_not_the_outside_one():
    task = Tagging(TAGGED, outside="X")
    logits = F.one_hot(torch.tensor([[0, 1, 2, 0], [1, 1, 0, 0]]), 3).float()
    target = torch.tensor([[0, 1, 1, 0], [0, 1, IGNORE, IGNORE]])
    halves = [(Output(logits[b : b + 1]), Batch({}, torch.tensor([n]), target[b : b + 1])) for b, n in ((0, 4), (1, 2))]
    assert measured(task, *halves) == pytest.approx({"accuracy": 4 / 6, "recall": 2 / 3})


def test_metrics_that_agree_on_the_first_batch_are_still_two():
    task = Tagging(TAGGED, outside="X")
    logits = F.one_hot(torch.tensor([[1, 1], [1, 1]]), 3).float()
    target = torch.tensor([[1, 1], [0, 0]])
    halves = [(Output(logits[b : b + 1]), Batch({}, torch.tensor([2]), target[b : b + 1])) for b in (0, 1)]
    assert measured(task, *halves) == pytest.approx({"accuracy": 2 / 4, "recall": 1})


def test_an_outside_that_is_no_tag_is_refused():
    with pytest.raises(ValueError, match="outside must be one of the tags X, Y, Z, got 'O'"):
        Tagging(TAGGED, outside="O")
    with pytest.raises(ValueError, match="of spans it is always 'O'"):
        Tagging(SPANNED, outside="O")


def test_tags_are_predicted_for_each_word_and_for_no_padding():
    task = Tagging(TAGGED)
    rows = task.predictions(
        model_of(task), Batch({"tokens": torch.tensor([[4, 5, 6], [7, 0, 0]])}, torch.tensor([3, 1]))
    )
    assert [len(row["tags"]) for row in rows] == [3, 1]


def test_spans_choose_the_checkpoint_where_tags_are_such_and_words_where_they_are_not():
    assert Tagging(TAGGED).monitor == ("accuracy", "max")
    assert Tagging(SPANNED).monitor == ("f1", "max")
    assert set(Tagging(SPANNED).metrics()) == {"accuracy", "precision", "recall", "f1"}


def test_a_predicted_span_has_its_type_and_its_words():
    task = Tagging(SPANNED)
    model = model_of(task)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(F.one_hot(torch.tensor(SPANS.index("I-Y")), len(SPANS)))
    (row,) = task.predictions(model, Batch({"tokens": torch.tensor([[4, 5, 6]])}, torch.tensor([3])))
    assert row == {"tags": ["I-Y"] * 3, "spans": [["Y", 0, 3]]}


@pytest.mark.parametrize("constrained", [True, False])
def test_a_crf_tells_no_tags_that_their_scheme_forbids(constrained):
    task = Tagging(SPANNED, crf=True, constrained=constrained)
    model = model_of(task)
    with torch.no_grad():
        model.head.emissions.weight.zero_()
        model.head.emissions.bias.copy_(F.one_hot(torch.tensor(SPANS.index("I-Y")), len(SPANS)))
    batch = Batch({"tokens": torch.tensor([[4, 5, 6], [7, 0, 0]])}, torch.tensor([3, 1]))
    tags = [row["tags"] for row in task.predictions(model, batch)]
    if constrained:
        assert tags[0] == ["B-Y", "I-Y", "E-Y"] and tags[1][0][0] in "OS"
    else:
        assert tags == [["I-Y"] * 3, ["I-Y"]]


def test_a_crf_is_a_head_of_the_model():
    head = model_of(Tagging(SPANNED, crf=True)).head
    assert isinstance(head, CRF) and head.transitions.shape == (len(SPANS), len(SPANS))
    assert {"transitions", "start", "end"} < {name for name, _ in head.named_parameters()}


TAGS = st.lists(st.lists(st.tuples(st.sampled_from(SPANS), st.sampled_from(SPANS)), max_size=6), min_size=1)


@given(TAGS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_scores_of_any_tags_in_any_batches_are_those_of_seqeval(rows, random):
    true, found = [[a for a, _ in row] for row in rows], [[b for _, b in row] for row in rows]
    random.shuffle(rows)
    cut = random.randint(0, len(rows))
    for name in ("precision", "recall", "f1"):
        metric = SpanScore(SPANS, name)
        for part in (rows[:cut], rows[cut:]):
            length = max(map(len, part), default=0)
            target, preds = torch.full((2, len(part), length), IGNORE).unbind()
            preds = preds.masked_fill(preds == IGNORE, 3)
            for b, row in enumerate(part):
                for t, (a, told_tag) in enumerate(row):
                    target[b, t], preds[b, t] = SPANS.index(a), SPANS.index(told_tag)
            metric.update(preds, target)
        wanted = getattr(seqeval.metrics, f"{name}_score")(true, found, zero_division=0)
        spans = [bool(get_entities(tags)) for tags in (true, found)]
        asked = {"precision": any(spans), "recall": spans[0], "f1": any(spans)}[name]
        assert metric.compute().item() == pytest.approx(wanted if asked else math.nan, nan_ok=True)


def test_a_part_without_any_of_the_others_has_no_recall_of_them():
    metric = Recall(3, outside=0)
    metric.update(torch.tensor([[0, 1, 2]]), torch.tensor([[0, 0, 0]]))
    assert metric.compute().isnan()
    metric.update(torch.tensor([[0, 1, 2]]), torch.tensor([[1, 1, IGNORE]]))
    assert metric.compute().item() == 0.5


def test_spans_are_right_only_with_their_type_and_both_ends():
    metric = SpanScore(SPANS, "f1")
    true = ["B-X", "E-X", "O", "S-Y", "S-X"]
    found = ["B-X", "E-X", "S-X", "S-X", "S-X"]  # two right, two false, one missed
    metric.update(*(torch.tensor([[SPANS.index(tag) for tag in tags]]) for tags in (found, true)))
    assert metric.compute().item() == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))


@pytest.mark.parametrize("texts", [[""], ["", "Ann sees Bob"]])
def test_a_text_without_words_is_told_no_tag(texts):
    form = TaggedText(characters=True, case=True)
    rows = {"words": [["Ann", "sees", "Bob"], ["Bob", "sees", "Ann"]], "tags": [["B-X", "O", "B-X"]] * 2}
    task = Tagging(form.fit(rows))
    examples = form.ask(texts, task.spec)
    batch = examples.collate(range(len(texts)))
    answers = dict(zip(batch.index.tolist(), task.predictions(model_of(task), batch), strict=True))
    assert answers[0] | examples.echoed(0) == {"words": [], "tags": [], "spans": []}
    assert all(len(answers[row]["tags"]) == 3 for row in range(1, len(texts)))


def test_a_sentence_without_words_counts_for_nothing():
    form = TaggedText()
    rows = {"words": [["Ann", "sees"], []], "tags": [["B-X", "O"], []]}
    task = Tagging(form.fit(rows))
    examples = form.encode(rows, task.spec)
    both, alone = examples.collate([0, 1]), examples.collate([0])
    model = model_of(task)
    assert task.count(both) == task.count(alone) == 2
    torch.testing.assert_close(
        task.loss(model, task.forward(model, both), both), task.loss(model, task.forward(model, alone), alone)
    )


@pytest.mark.parametrize("scheme", sorted(LETTERS))
def test_tags_of_any_scheme_are_counted_as_spans(scheme):
    labels = ("O", *(f"{letter}-X" for letter in letters(scheme)))
    task = Tagging(DataSpec("tagged_text", {"tokens": WORDS}, Field("tags", labels, options={"scheme": scheme})))
    target = torch.tensor([[labels.index("B-X"), labels.index("O")]])
    logits = F.one_hot(target, len(labels)).float()
    assert measured(task, (Output(logits), Batch({}, torch.tensor([2]), target)))["f1"] == 1
