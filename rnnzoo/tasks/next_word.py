"""Next word: at each step, what comes next (a language model; causal many to many)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from rnnzoo.architectures.base import CAUSAL
from rnnzoo.batch import EOS, IGNORE, Batch, DataSpec
from rnnzoo.cells.base import State
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.layers.heads import AdaptiveSoftmax, Softmax
from rnnzoo.limits import NonNegative
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Answer, Output, Task, percentages
from rnnzoo.tasks.decoding.continuation import Continuation, continue_text
from rnnzoo.tasks.units import Counted, Stretches, Units, Updates, ratio, vocabulary

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

WINDOW = 1024  # tokens, of all texts together, that are predicted at once
STRETCH = 64  # tokens of a stream that a test counts as one unit, wherever its batches end


class NextWord(Task):
    """Predict each next token of a stream from all before it; the state is carried from window to window.

    alpha, beta: weights of two penalties on the top layer's outputs h, in training; m is dropout's mask, the means are
    over steps and features (activation regularisation and its temporal form; Merity et al., arXiv:1708.02182).

        alpha mean (m h_t)^2 + beta mean (h_t - h_{t+1})^2

    cutoffs: word numbers where the clusters of an adaptive softmax begin, for a vocabulary of ten thousands; see
    `AdaptiveSoftmax`. Word numbers go by falling frequency.
    """

    form = "text_stream"
    needs = CAUSAL
    needs_reason = "next_word predicts each word from those before it; a backward direction would see the answer"
    monitor = ("perplexity", "min")
    carries_state = True
    generates_text = True
    unit = "window"

    def __init__(
        self, spec: DataSpec, alpha: NonNegative = 0.0, beta: NonNegative = 0.0, cutoffs: list[int] | None = None
    ) -> None:
        super().__init__(spec)
        if alpha < 0 or beta < 0:
            raise ValueError(f"alpha and beta must be numbers >= 0, got {alpha} and {beta}")
        self.alpha, self.beta, self.cutoffs = alpha, beta, cutoffs

    def head(self, features: int) -> nn.Module:
        words = self.spec.target.size
        return Softmax(features, words) if self.cutoffs is None else AdaptiveSoftmax(features, words, self.cutoffs)

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """Features (batch, time, features) for the head, whose logits of all words would be many times as large.

        state: as the batch before left it. Returns the state after the batch as well.
        """
        features, encoded = model.step_features(batch, state, need_state=True)
        penalised = model.training and (self.alpha or self.beta)
        extras = {"penalty": self.penalty(features, encoded.outputs, batch.lengths)} if penalised else {}
        return Output(features=features, state=encoded.state, extras=extras)

    def penalty(self, dropped: Tensor, outputs: Tensor, lengths: Tensor) -> Tensor:
        """dropped, outputs: the top layer's (batch, time, features), with and without dropout, zeros past the ends."""
        penalty = outputs.new_zeros((), dtype=torch.float32)
        if self.alpha:
            penalty = penalty + self.alpha * dropped.float().square().sum() / (lengths.sum() * dropped.shape[-1])
        if self.beta:
            real = (torch.arange(1, outputs.shape[1]) < lengths[:, None]).to(outputs.device)  # (batch, time - 1)
            change = (outputs[:, 1:] - outputs[:, :-1])[real].float()
            penalty = penalty + self.beta * change.square().sum() / max(1, change.numel())
        return penalty

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        head = cast(Softmax | AdaptiveSoftmax, model.head)
        nll = head.nll(output.features, batch.target, each=not model.training)
        output.extras["nll"] = nll.detach()  # of each token, for `units`
        loss = nll.sum() / max(self.count(batch), 1)
        return loss + output.extras["penalty"] if "penalty" in output.extras else loss

    def count(self, batch: Batch) -> int:
        return int((batch.target != IGNORE).sum()) if batch.target is not None else 0

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from rnnzoo.tasks.metrics.sums import Perplexity

        return MetricCollection({"perplexity": Perplexity()})

    def metric_signatures(self) -> dict[str, str]:
        return {"perplexity": vocabulary(self.spec)}

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """Perplexity comes from the loss, a scalar in nats."""
        metrics.update(loss, weight=self.count(batch))

    def units(self, updates: Updates, output: Output, batch: Batch, loss: Tensor, model: SequenceModel) -> Units:
        """Each stretch of a stream by itself; the state was carried to it from all before."""
        stretches = Stretches(batch, STRETCH)
        metrics = self.stretch_counts(stretches, output.extras["nll"], batch)
        encoder = Encoder.from_field(self.spec.target)
        texts = [encoder.decode([token for token in row if token != EOS]) for row in stretches.texts(batch.target)]
        return Units(stretches.ids, metrics, truth=texts, glue="" if encoder.unit == "character" else " ")

    def stretch_counts(self, stretches: Stretches, nll: Tensor, batch: Batch) -> dict[str, Counted]:
        """nll: of each token, (batch, time), nats."""
        tokens = stretches.sums((batch.target != IGNORE).float())
        return {"perplexity": ratio(stretches.sums(nll), tokens, ("nll", "tokens"), "exp_ratio")}

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """next: the five likeliest tokens after the text, each with its probability; perplexity of the text itself.

        A long text is read window by window, the state carried on, so that its logits never exist all at once.
        """
        tokens, lengths = batch.inputs["tokens"], batch.lengths
        vocabulary = self.spec.target.names
        log_likelihood = torch.zeros(
            len(batch), device=tokens.device
        )  # (batch,) log-likelihood of each text so far, nats
        ends = log_likelihood.new_zeros(len(batch), len(vocabulary))  # the answer to each text's last token
        state = None
        width = max(1, WINDOW // len(batch))
        for start in range(0, tokens.shape[1], width):
            window = tokens[:, start : start + width]
            steps = (lengths - start).clamp(0, window.shape[1])
            logits, state = model.step_logits(Batch({"tokens": window}, steps), state, need_state=True)
            logits = logits.float().log_softmax(-1)
            following = tokens[:, start + 1 : start + width + 1]
            known = torch.arange(start + 1, start + 1 + following.shape[1]) < lengths[:, None]
            likely = logits[:, : following.shape[1]].gather(2, following.unsqueeze(-1)).squeeze(-1)
            log_likelihood += likely.masked_fill(~known.to(likely.device), 0).sum(1)
            rows = ((lengths > start) & (lengths <= start + width)).nonzero().squeeze(1)
            ends[rows] = logits[rows, lengths[rows] - 1 - start]
        best = ends.exp().topk(min(5, len(vocabulary)))
        return [
            {
                "next": {vocabulary[i]: p for p, i in zip(*both, strict=True)},
                "perplexity": math.exp(-total / (length - 1)) if length > 1 else None,
            }
            for *both, total, length in zip(
                best.values.tolist(), best.indices.tolist(), log_likelihood.tolist(), lengths.tolist(), strict=True
            )
        ]

    def arrived(self, model: SequenceModel, batch: Batch, memory: dict[str, Tensor]) -> list[Answer]:
        """For each token: its probability after all before it, None for the first, and `next`, the five likeliest."""
        names = self.spec.target.names
        answers: list[Answer] = []
        for start in range(0, batch.inputs["tokens"].shape[1], WINDOW):
            tokens = batch.inputs["tokens"][:, start : start + WINDOW]
            features, _ = model.step_features(Batch({"tokens": tokens}, torch.tensor([tokens.shape[1]])))
            before = [memory["features"]] if memory else []
            probabilities = model.head(torch.cat([*before, features], 1)).float().softmax(-1)[0]  # (steps, vocabulary)
            arrived = tokens[0] if before else tokens[0, 1:]
            sure = probabilities[: len(arrived)].gather(1, arrived[:, None]).squeeze(1).tolist()
            best = probabilities[-tokens.shape[1] :].topk(min(5, len(names)))
            likely = zip(tokens[0].tolist(), sure if before else [None, *sure], *map(Tensor.tolist, best), strict=True)
            answers += [
                {
                    "token": names[token],
                    "probability": p,
                    "next": {names[i]: q for q, i in zip(*following, strict=True)},
                }
                for token, p, *following in likely
            ]
            memory["features"] = features[:, -1:].clone()
        return answers

    def describe(self, answer: Answer) -> list[str]:
        return [percentages(answer["next"])]

    def continue_text(self, model: SequenceModel, prompt: str, length: int, **sampling: Any) -> Continuation:
        return continue_text(model, self.spec, prompt, length, **sampling)
