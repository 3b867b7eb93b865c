"""Translation: a sequence for a sequence, of another length (unaligned many to many)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnzoo.architectures.base import SEQUENCE
from rnnzoo.architectures.decoder import DecoderState
from rnnzoo.batch import BOS, EOS, IGNORE, PAD, UNK, Batch, DataSpec
from rnnzoo.cells.base import State
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.limits import Count, NonNegative, Probability, Share, checked
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Answer, Output, Task
from rnnzoo.tasks.decoding.beam import beam as beam_search
from rnnzoo.tasks.decoding.sampling import sample
from rnnzoo.tasks.units import Units, Updates, ratio, row_sums, vocabulary

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

NEVER = (PAD, UNK, BOS)  # tokens that are not written


class Translation(Task):
    """Write a sequence token by token, each from the source and from the tokens written so far.

    Two ways to look at a model are both reported. Teacher-forced, it is given the true previous tokens: `loss` and
    `perplexity`. Free-running, it is given its own: `bleu`, and `exact_match`, the share of sequences that are right
    from beginning to end.

    label_smoothing: of training. teacher_forcing: the probability that training feeds the true previous token and not
    the likeliest one, drawn for each token (scheduled sampling; Bengio et al., arXiv:1506.03099, linear decay): from
    `teacher_forcing` to `teacher_forcing_end`, if given, over so many optimizer steps. beam: hypotheses kept in
    decoding; 1 is greedy. length_penalty: see `rnnzoo.tasks.decoding.beam.penalty`. max_steps: tokens after which
    decoding stops; if not given, 10 more than twice the source's. monitor: the dev metric that chooses the checkpoint.
    """

    form = "text_pairs"
    needs = SEQUENCE
    needs_reason = "translation writes a sequence whose length is its own, which takes a decoder"
    monitor: tuple[str, Literal["max", "min"]] = ("bleu", "max")

    @checked
    def __init__(
        self,
        spec: DataSpec,
        label_smoothing: Probability = 0.0,
        teacher_forcing: Share = 1.0,
        teacher_forcing_end: Share | None = None,
        teacher_forcing_steps: Count = 10_000,
        beam: Count = 1,
        length_penalty: NonNegative = 1.0,
        max_steps: Count | None = None,
        monitor: Literal["bleu", "exact_match", "loss"] = "bleu",
    ) -> None:
        super().__init__(spec)
        self.label_smoothing = label_smoothing
        end = teacher_forcing if teacher_forcing_end is None else teacher_forcing_end
        self.teacher_forcing, self.teacher_forcing_steps = (teacher_forcing, end), teacher_forcing_steps
        self.beam, self.length_penalty, self.max_steps = beam, length_penalty, max_steps
        self.monitor = (monitor, "min" if monitor == "loss" else "max")
        self.encoder = Encoder.from_field(spec.target)

    def forced(self, step: int) -> float:
        """The probability that the true previous token is fed at this step of training."""
        begin, end = self.teacher_forcing
        return begin + (end - begin) * min(1.0, step / self.teacher_forcing_steps)

    def limits(self, batch: Batch) -> Tensor:
        """(batch,) tokens after which decoding stops by itself."""
        return 2 * batch.lengths + 10

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """logits: (tokens, vocabulary), of the target's real tokens alone, row by row."""
        previous = F.pad(batch.target[:, :-1], (1, 0), value=BOS)
        previous = previous.masked_fill(previous == IGNORE, PAD)
        forced = self.forced(step or 0) if model.training else 1.0
        decoding = model.start_decoder(batch)
        features: list[Tensor] = []
        attention: list[Tensor] = []
        for true in previous.split(previous.shape[1] if forced == 1 else 1, dim=1):
            fed = true
            if features and forced < 1:
                with torch.no_grad():
                    likeliest = model.head(features[-1]).argmax(-1)
                fed = torch.where(torch.rand(true.shape, device=true.device) < forced, true, likeliest)
            left = (batch.target_lengths - sum(part.shape[1] for part in features)).clamp(0, fed.shape[1])
            decoded = model.decoder_features(fed, decoding, left)
            decoding = decoded.state
            features.append(decoded.features)
            attention += [] if decoded.attention is None else [decoded.attention]
        return Output(
            model.head(torch.cat(features, 1)[batch.target != IGNORE]),
            attention=torch.cat(attention, 1) if attention else None,
        )

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        target = batch.target[batch.target != IGNORE]
        smoothing = self.label_smoothing if model.training else 0.0  # reported losses are plain
        how = "sum" if model.training else "none"
        nll = F.cross_entropy(output.logits.float(), target, reduction=how, label_smoothing=smoothing)
        output.extras["nll"] = nll.detach()  # of each token, for `units`
        return nll.sum() / max(self.count(batch), 1)

    def count(self, batch: Batch) -> int:
        return int(batch.target_lengths.sum())

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from rnnzoo.tasks.metrics.bleu import BLEU
        from rnnzoo.tasks.metrics.sums import Perplexity, Share

        metrics = {"bleu": BLEU(), "exact_match": Share(), "perplexity": Perplexity()}
        return MetricCollection(metrics, compute_groups=False)  # type: ignore[arg-type]

    def metric_signatures(self) -> dict[str, str]:
        from rnnzoo.tasks.metrics.bleu import signature

        return {"bleu": signature(), "perplexity": vocabulary(self.spec)}

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """Decodes the batch for BLEU and exact_match; perplexity comes from the teacher-forced loss, a scalar."""
        written = self.generate(model, batch)
        true = [row[:length] for row, length in zip(batch.target.tolist(), batch.target_lengths.tolist(), strict=True)]
        metrics["bleu"].update([self.encoder.decode(row) for row in written], batch.references)
        metrics["exact_match"].update(torch.tensor([float(a == b) for a, b in zip(written, true, strict=True)]))
        metrics["perplexity"].update(loss, weight=self.count(batch))

    def units(self, updates: Updates, output: Output, batch: Batch, loss: Tensor, model: SequenceModel) -> Units:
        units = super().units(updates, output, batch, loss, model)
        nll = row_sums(output.extras["nll"], batch.target != IGNORE)
        units.metrics["perplexity"] = ratio(nll, batch.target_lengths, ("nll", "tokens"), "exp_ratio")
        units.prediction, units.truth = updates["bleu"].arguments
        return units

    @torch.no_grad()
    def generate(self, model: SequenceModel, batch: Batch) -> list[list[int]]:
        """What beam search, or greedy decoding, writes for each sequence, <eos> included; the same for any batch."""

        def step(tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
            logits, state = model.decoder_logits(tokens.unsqueeze(1), state)
            return logits[:, 0], state

        state = model.start_decoder(batch)
        first = torch.full((len(batch),), BOS, device=next(iter(batch.inputs.values())).device)
        limits = self.limits(batch) if self.max_steps is None else torch.full_like(batch.lengths, self.max_steps)
        if self.beam > 1:
            hypotheses = beam_search(
                step,
                lambda state, rows: state.select(rows),
                state,
                first,
                size=self.beam,
                max_steps=limits,
                length_penalty=self.length_penalty,
                forbid=NEVER,
            )
            return [hypothesis.tokens for hypothesis in hypotheses]
        longest = int(limits.max())
        written = sample(step, state, first, longest, temperature=0, forbid=NEVER, end=EOS).tolist()
        ends = [row.index(EOS) + 1 if EOS in row else longest for row in written]
        return [row[: min(end, limit)] for row, end, limit in zip(written, ends, limits.tolist(), strict=True)]

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """text: what is written."""
        return [{"text": self.encoder.decode(row)} for row in self.generate(model, batch)]

    def describe(self, answer: Answer) -> list[str]:
        return [str(answer["text"])]
