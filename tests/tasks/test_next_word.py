"""The language model's task, by hand arithmetic; training in windows, as one process and as two."""

import math
from itertools import pairwise

import pytest
import torch

from rnnzoo import recipe as recipes
from rnnzoo.batch import IGNORE, Batch, DataSpec, Field
from rnnzoo.errors import RecipeError
from rnnzoo.experiment import build
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.model import build_model
from rnnzoo.tasks.next_word import NextWord
from rnnzoo.training.trainer import make_trainer

WORDS = Field("tokens", ("<pad>", "<unk>", "<bos>", "<eos>", *"abcdef"))
STREAM = DataSpec("text_stream", {"tokens": WORDS}, WORDS)


def model_of(task):
    torch.manual_seed(0)
    return build_model(task.spec, task, {"name": "gru", "hidden_size": 6}, {"tokens": {"size": 5}}).eval()


def ragged():
    tokens = torch.tensor([[4, 5, 6, 7], [8, 9, 4, 0]])
    target = torch.tensor([[5, 6, 7, 8], [9, 4, 5, IGNORE]])
    return Batch({"tokens": tokens}, torch.tensor([4, 3]), target)


@pytest.mark.parametrize("cutoffs", [None, [5, 7]])
def test_perplexity_is_the_exponential_of_the_mean_over_all_tokens(cutoffs):
    task = NextWord(STREAM, cutoffs=cutoffs)
    model, batch, metrics = model_of(task), ragged(), task.metrics()
    for row, length in enumerate(batch.lengths):
        own = Batch(
            {"tokens": batch.inputs["tokens"][row, None, :length]}, length[None], batch.target[row, None, :length]
        )
        output = task.forward(model, own)
        task.update(metrics, output, own, task.loss(model, output, own), model)
    told = model.step_logits(batch)[0].log_softmax(-1)
    asked = batch.target != IGNORE
    total = -told[asked].gather(1, batch.target[asked][:, None]).sum().item()
    assert metrics.compute()["perplexity"].item() == pytest.approx(math.exp(total / 7), rel=1e-5)
    assert task.loss(model, task.forward(model, batch), batch).item() == pytest.approx(total / 7, rel=1e-5)


def test_the_penalties_are_those_of_the_paper_in_training_and_none_in_evaluation():
    plain, task = NextWord(STREAM), NextWord(STREAM, alpha=2.0, beta=3.0)
    model, batch = model_of(task), ragged()
    h = [row[:length] for row, length in zip(model.encode(batch).outputs, batch.lengths, strict=True)]
    size = sum(step.square().mean() for row in h for step in row) / 7
    change = sum((a - b).square().mean() for row in h for a, b in pairwise(row)) / 5
    wanted = plain.loss(model, plain.forward(model, batch), batch)
    torch.testing.assert_close(task.loss(model, task.forward(model, batch), batch), wanted)
    model.train()
    torch.testing.assert_close(task.loss(model, task.forward(model, batch), batch), wanted + 2 * size + 3 * change)


def test_the_activation_penalty_reads_what_dropout_left_and_the_temporal_one_does_not():
    task = NextWord(STREAM, alpha=1.0, beta=1.0)
    kept, half = torch.ones(1, 3, 4), torch.tensor([0.0, 2.0, 0.0, 2.0]).expand(1, 3, 4)
    assert task.penalty(half, kept, torch.tensor([3])).item() == pytest.approx(2)
    rising = torch.arange(3.0)[None, :, None].expand(1, 3, 4)
    assert task.penalty(kept, rising, torch.tensor([3])).item() == pytest.approx(1 + 1)
    assert task.penalty(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4), torch.tensor([1])).item() == 0


def test_penalties_below_zero_are_refused():
    with pytest.raises(ValueError, match=r"numbers >= 0, got 1\.0 and -1\.0"):
        NextWord(STREAM, alpha=1.0, beta=-1.0)


def resolved(*overrides):
    fixed = ("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--tracking.mode=disabled")
    return resolve(recipes.read("toy_text", (*fixed, *overrides)))


def test_cutoffs_beyond_the_vocabulary_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(RecipeError, match=r"the model cannot be built: cutoffs must rise"):
        fit(resolved("--task.cutoffs=[10,9000]"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_tied_weights_and_an_adaptive_softmax_exclude_each_other(tmp_path):
    with pytest.raises(RecipeError, match=r"tie_weights needs a head of the embedding's shape .*, got AdaptiveSoftmax"):
        fit(resolved("--task.cutoffs=[10]", "--model.head.tie_weights=true"), tmp_path / "run")


def by_hand(model, task, data, clip, accumulate, precision):
    """An epoch of truncated backpropagation through time, written out."""
    state, batches = None, list(data.train_dataloader())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for number, batch in enumerate(batches, start=1):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            output = task.forward(model, batch, state)
            loss = task.loss(model, output, batch)
        start = (number - 1) // accumulate * accumulate
        (loss * task.count(batch) / sum(map(task.count, batches[start : start + accumulate]))).backward()
        state = [tuple(part.detach() for part in layer) for layer in output.state]
        if number % accumulate == 0 or number == len(batches):
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            optimizer.zero_grad()


@pytest.mark.parametrize(
    ("clip", "accumulate", "precision"),
    [(None, 1, "32-true"), (0.05, 1, "32-true"), (0.05, 3, "32-true"), (0.05, 2, "bf16-mixed")],
)
def test_training_is_truncated_backpropagation_with_the_state_carried_on(clip, accumulate, precision):
    recipe = resolved(
        "--data.examples=40",
        "--data.tbptt_steps=9",
        "--data.batch_size=4",
        "--model.architecture.hidden_size=8",
        "--optimizer.name=sgd",
        "--optimizer.lr=0.5",
        "--schedule.name=constant",
        "--trainer.max_epochs=1",
        f"--trainer.accumulate_grad_batches={accumulate}",
        f"--trainer.precision={precision}",
        f"--trainer.gradient_clip_val={clip or 'null'}",
        "--trainer.limit_val_batches=0",
    )
    data = build.make_data(recipe)
    build.seed_everything(1)
    module = build.make_module(recipe, data.spec)
    model = build_model(data.spec, module.task, **recipe["model"])
    model.load_state_dict(module.model.state_dict())
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    by_hand(model, module.task, data, clip, accumulate, precision)
    make_trainer(recipe).fit(module, data)
    for name, weight in module.model.state_dict().items():
        assert not torch.equal(weight, before[name])
        rounding = 1e-4 if precision == "bf16-mixed" else 1e-6  # of gradients that are scaled after they are rounded
        torch.testing.assert_close(weight, model.state_dict()[name], atol=rounding, rtol=1e-4)


@pytest.mark.parametrize("task", ["next_word", "music"])
@pytest.mark.parametrize(
    "settings", [(1, 32), (8, 32), (1000, 32), (3, 7), (8, 1)], ids=lambda sizes: f"{sizes[0]} x {sizes[1]}"
)
def test_perplexity_is_that_of_one_stream_for_every_batch_size_and_window(task, settings):
    size, steps = settings
    recipe = resolved(
        "--data.examples=60",
        f"--data.eval_batch_size={size}",
        f"--data.tbptt_steps={steps}",
        "--task",
        task,
        "--model.architecture={name: stacked, cell: gru, hidden_size: 8}",
    )
    module, data = build.start(recipe, build.make_data(recipe))[0], build.make_data(recipe)
    with torch.no_grad():
        for weight in module.model.parameters():
            weight.mul_(3)  # the past is to matter
        data.prepare()
        ids = torch.from_numpy(data.parts["dev"].ids).long()[None]
        whole = Batch({"tokens": ids[:, :-1]}, torch.tensor([ids.shape[1] - 1]), ids[:, 1:])
        loss = module.task.loss(module.model, module.task.forward(module.model.eval(), whole), whole)
    trainer = make_trainer(recipe)
    trainer.validate(module, data, verbose=False)
    assert trainer.callback_metrics["val/perplexity"].item() == pytest.approx(loss.exp().item(), rel=1e-5)


def test_every_regulariser_of_awd_lstm_is_a_word_in_a_recipe(tmp_path):
    layers = "{name: stacked, cell: {name: weight_drop, rate: 0.3, cell: lstm}, hidden_size: 32, num_layers: 2"
    recipe = resolved(
        "--data.examples=300",
        "--data.tbptt_jitter=true",
        "--task.alpha=0.1",
        "--task.beta=0.1",
        f"--model.architecture={layers}, last_hidden_size: 16, locked_dropout: 0.1}}",
        "--model.inputs.tokens.size=16",
        "--model.inputs.tokens.type_dropout=0.05",
        "--model.inputs.tokens.dropout=0.1",
        "--model.head.locked_dropout=0.1",
        "--model.head.tie_weights=true",
        "--optimizer={name: sgd, lr: 10}",
        "--schedule.name=constant",
        "--callbacks={nt_asgd: {interval: 1}}",
        "--trainer.max_epochs=8",
        "--trainer.gradient_clip_val=0.5",
    )
    summary, _ = fit(recipe, tmp_path / "run")
    words = len(build.make_data(recipe).spec.target.names)
    assert 1 < summary["metrics"]["test/perplexity"] < words / 2
