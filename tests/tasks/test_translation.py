"""Translation: what is fed, what is counted and what is written, by hand arithmetic and against sacrebleu."""

import pytest
import sacrebleu
import torch
import torch.nn.functional as F

from rnnzoo import recipe as recipes
from rnnzoo.batch import BOS, EOS, IGNORE, PAD, SPECIALS, Batch, DataSpec, Field
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.inference import predictor
from rnnzoo.model import build_model
from rnnzoo.tasks.metrics.bleu import BLEU, signature
from rnnzoo.tasks.translation import NEVER, Translation

WORDS = Field("tokens", (*SPECIALS, *"abcdef"), options={"unit": "space", "lowercase": True})
PAIRS = DataSpec("text_pairs", {"tokens": WORDS}, WORDS)
TOLD = ["The cat sat on the mat .", "a dog", "", "Two men are playing football, outside!"]
WANTED = ["the cat sat on a mat.", "A dog runs home.", "nothing", "two men play football outside!"]


def model_of(task, **settings):
    torch.manual_seed(0)
    architecture = {"name": "encoder_decoder", "cell": "gru", "hidden_size": 6, **settings}
    return build_model(task.spec, task, architecture, {"tokens": {"size": 5}}).eval()


def pairs_batch():
    target = torch.tensor([[4, 5, EOS], [6, EOS, IGNORE]])
    source = {"tokens": torch.tensor([[4, 5], [6, PAD]])}
    return Batch(source, torch.tensor([2, 1]), target, torch.tensor([3, 2]), references=["a b", "c"])


def rows(batch, row):
    length, steps = int(batch.lengths[row]), int(batch.target_lengths[row])
    return Batch(
        {"tokens": batch.inputs["tokens"][row : row + 1, :length]},
        batch.lengths[row : row + 1],
        batch.target[row : row + 1, :steps],
        batch.target_lengths[row : row + 1],
        references=[batch.references[row]],
    )


def test_teacher_forcing_feeds_bos_and_then_the_true_tokens():
    task = Translation(PAIRS)
    model, batch = model_of(task), pairs_batch()
    wanted, _ = model.decoder_logits(torch.tensor([[BOS, 4, 5], [BOS, 6, PAD]]), model.start_decoder(batch))
    output = task.forward(model, batch)
    torch.testing.assert_close(output.logits, torch.cat([wanted[0], wanted[1, :2]]))  # of the real tokens alone
    nll = F.cross_entropy(output.logits, torch.tensor([4, 5, EOS, 6, EOS]))
    assert task.loss(model, output, batch).item() == pytest.approx(nll.item())
    assert task.count(batch) == 5


@pytest.mark.parametrize("settings", [{}, {"input_feeding": True}])
def test_without_teacher_forcing_training_feeds_the_likeliest_tokens(settings):
    task = Translation(PAIRS, teacher_forcing=0.0)
    model, batch = model_of(task, **settings).train(), pairs_batch()
    state = model.start_decoder(batch)
    token, wanted = torch.full((2, 1), BOS), []
    for _ in range(3):
        logits, state = model.decoder_logits(token, state)
        token = logits.argmax(-1)
        wanted.append(logits)
    wanted = torch.cat(wanted, 1)
    torch.testing.assert_close(task.forward(model, batch).logits, torch.cat([wanted[0], wanted[1, :2]]))


def test_with_teacher_forcing_for_nearly_every_token_the_steps_give_what_all_at_once_gives():
    batch = pairs_batch()
    whole, steps = Translation(PAIRS), Translation(PAIRS, teacher_forcing=1 - 1e-12)
    model = model_of(whole).train()
    found = steps.forward(model, batch)
    torch.testing.assert_close(found.logits, whole.forward(model, batch).logits)
    assert found.attention.shape == (2, 3, 2)


def test_teacher_forcing_falls_on_a_line_to_its_end_and_is_whole_in_evaluation():
    task = Translation(PAIRS, teacher_forcing=0.9, teacher_forcing_end=0.5, teacher_forcing_steps=100)
    assert [task.forced(step) for step in (0, 50, 100, 1000)] == pytest.approx([0.9, 0.7, 0.5, 0.5])
    model, batch = model_of(task), pairs_batch()
    torch.testing.assert_close(task.forward(model, batch).logits, Translation(PAIRS).forward(model, batch).logits)


def test_label_smoothing_mixes_the_target_with_the_uniform_distribution_in_training_alone():
    task = Translation(PAIRS, label_smoothing=0.2)
    model, batch = model_of(task), pairs_batch()
    nll = -task.forward(model, batch).logits.log_softmax(-1)
    true = nll.gather(1, torch.tensor([4, 5, EOS, 6, EOS])[:, None]).squeeze(1)
    assert task.loss(model, task.forward(model, batch), batch).item() == pytest.approx(true.mean().item(), rel=1e-5)
    smoothed = (0.8 * true + 0.2 * nll.mean(1)).mean()
    assert task.loss(model, task.forward(model.train(), batch), batch).item() == pytest.approx(
        smoothed.item(), rel=1e-5
    )


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("settings", [{}, {"attention": "additive", "input_feeding": True}, {"cell": "lstm"}])
def test_what_is_written_is_the_same_alone_and_in_a_batch(beam, settings):
    task = Translation(PAIRS, max_steps=9, beam=beam)
    model, batch = model_of(task, **settings), pairs_batch()
    together = task.predictions(model, batch)
    for row in range(2):
        assert task.predictions(model, rows(batch, row)) == [together[row]]


def test_no_special_token_is_written_but_the_end():
    task = Translation(PAIRS, max_steps=5)
    model, batch = model_of(task), pairs_batch()
    with torch.no_grad():
        model.head.bias[list(NEVER)] = 1e4
    assert not {token for row in task.generate(model, batch) for token in row} & set(NEVER)
    with torch.no_grad():
        model.head.bias[EOS] = 1e6
    for task.beam in (1, 3):
        assert task.generate(model, batch) == [[EOS], [EOS]]


def test_exact_match_counts_sequences_that_are_right_from_beginning_to_end():
    task, batch = Translation(PAIRS), pairs_batch()
    metrics = task.metrics()
    for written in ([[4, 5, EOS], [6, 6, EOS]], [[4, 5, EOS], [6, EOS]]):
        task.generate = lambda model, batch, written=written: written
        task.update(metrics, None, batch, torch.tensor(2.0), None)
    found = metrics.compute()
    assert found["exact_match"].item() == pytest.approx(3 / 4)
    assert found["perplexity"].item() == pytest.approx(torch.e**2)
    hypotheses, references = ["a b", "c c", "a b", "c"], ["a b", "c", "a b", "c"]
    assert found["bleu"].item() == pytest.approx(sacrebleu.corpus_bleu(hypotheses, [references]).score)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_bleu_is_that_of_sacrebleu_for_any_batches(size):
    metric = BLEU()
    for at in range(0, len(TOLD), size):
        metric.update(TOLD[at : at + size], WANTED[at : at + size])
    assert metric.compute().item() == pytest.approx(sacrebleu.corpus_bleu(TOLD, [WANTED], lowercase=True).score)


def test_bleu_of_two_processes_is_that_of_one():
    first, second = BLEU(), BLEU()
    first.update(TOLD[:1], WANTED[:1])
    second.update(TOLD[1:], WANTED[1:])
    first.merge_state(second)
    assert first.compute().item() == pytest.approx(sacrebleu.corpus_bleu(TOLD, [WANTED], lowercase=True).score)


def test_bleu_of_nothing_written_is_zero_and_the_signature_says_how_it_is_counted():
    metric = BLEU()
    metric.update(["", ""], ["a b", "c"])
    assert metric.compute().item() == 0
    assert "case:lc" in signature() and "tok:13a" in signature()
    assert Translation(PAIRS).metric_signatures()["bleu"] == signature()


def test_tied_and_shared_vectors_are_one_matrix():
    task = Translation(PAIRS)
    architecture = {"name": "encoder_decoder", "hidden_size": 6}
    inputs = {"tokens": {"size": 6}, "target": {"share": True}}
    model = build_model(PAIRS, task, architecture, inputs, head={"tie_weights": True})
    assert model.head.weight is model.target_inputs.embedding.weight is model.inputs[0].embedding.weight
    other = DataSpec("text_pairs", {"tokens": Field("tokens", (*SPECIALS, "x"))}, WORDS)
    with pytest.raises(ValueError, match=r"target\.share needs one vocabulary for source and target"):
        build_model(other, task, architecture, inputs)


@pytest.mark.parametrize(
    ("name", "value"),
    [("teacher_forcing", 1.5), ("teacher_forcing_end", -0.1), ("beam", 0), ("length_penalty", -1), ("max_steps", 0)],
)
def test_settings_out_of_range_are_refused_before_anything_is_built(name, value):
    recipe = {"data": {"name": "toy_pairs"}, "task": {"name": "translation", name: value}}
    with pytest.raises(RecipeError, match=f"task.{name}"):
        resolve(recipes.of({**recipe, "model": {"architecture": "encoder_decoder"}}))


def test_a_trained_model_answers_whatever_it_is_asked(tmp_path, caplog):
    given = ["--data.examples=60", "--data.max_length=6", "--trainer.max_epochs=1", "--tracking.mode=disabled"]
    given += ["--model.architecture.hidden_size=8", "--trainer.enable_progress_bar=false", "--task.beam=2"]
    _, run = fit(resolve(recipes.read("toy_reverse", given)), tmp_path / "run")
    model = predictor.load(run.path)
    texts = ["a b c", "", "漢 字", "a b c d e f g h"]
    answers = model.predict(texts)
    assert [answer["unknown_share"] for answer in answers] == pytest.approx([0, 1, 1, 0])
    assert all(set(answer["text"].split()) <= set("abcdefghij") for answer in answers)
    assert "1 of 4 texts are longer than max_length and were cut." in caplog.text
    assert answers[3] == model.predict(["a b c d e f"])[0]
