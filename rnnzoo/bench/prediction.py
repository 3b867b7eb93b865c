"""How fast a trained model answers a file of texts, beside the same network in the usual code of PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from rnnzoo.architectures.base import LayerStack
from rnnzoo.batch import UNK
from rnnzoo.bench import timing
from rnnzoo.data.encoding.text import Encoder, splitter
from rnnzoo.engine.paths.fused import recognise
from rnnzoo.engine.recurrence import report
from rnnzoo.errors import ZooError
from rnnzoo.inference.predictor import Predictor
from rnnzoo.system.files import JsonObject

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN}
AGREEMENT = 1e-3  # in probability, beyond which the two networks are not the same


class Usual(nn.Module):
    """A classifier of texts as tutorials write it: nn.Embedding, a packed nn.LSTM (or GRU, RNN), a pool, nn.Linear.

    Its weights are the trained model's. Batches are in the order of the file.
    """

    def __init__(self, model: Predictor) -> None:
        """Raises: ZooError where torch.nn has no such network."""
        super().__init__()
        body, names = model.model.architecture, model.model.input_names
        kind = recognise(body.cells[0]) if isinstance(body, LayerStack) else None
        if not isinstance(body, LayerStack) or names != ("tokens",) or kind not in LAYERS or body.merge != "concat":
            raise ZooError(
                "the usual code has no such network: it reads tokens by an LSTM, a GRU or a vanilla network.\n"
                "  Give a classifier of texts, such as the shipped model sentiment."
            )
        pool: Any = getattr(model.model, "pool", None)
        if pool is None or pool.name not in ("last", "mean", "max", "max_mean") or body.residual:
            raise ZooError("the usual code has no such network: it pools by last, mean or max.")
        cell = body.cells[0]
        self.encoder, self.pooling, self.labels = (
            Encoder.from_field(model.spec.inputs["tokens"]),
            pool.name,
            model.spec.labels,
        )
        self.split = splitter(self.encoder.unit, self.encoder.lowercase, (), (), self.encoder.quotes)
        self.embedding: Any = model.model.input_of("tokens").embedding
        self.rnn = LAYERS[kind](
            cell.input_size, cell.hidden_size, body.num_layers, batch_first=True, bidirectional=body.bidirectional
        )
        self.head = model.model.head
        suffixes = [f"_l{k}{d}" for k in range(body.num_layers) for d in ("", "_reverse")[: 1 + body.bidirectional]]
        with torch.no_grad():
            for one, suffix in zip(body.cells, suffixes, strict=True):
                for name, parameter in one.named_parameters():
                    getattr(self.rnn, name.rpartition(".")[2] + suffix).copy_(parameter)
        self.eval()

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """tokens: (batch, time) int64; lengths: (batch,). Returns logits (batch, labels)."""
        packed = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
        ran, state = self.rnn(packed)
        if self.pooling == "last":
            h = state[0] if isinstance(state, tuple) else state
            return self.head(torch.cat([h[-2], h[-1]], -1) if self.rnn.bidirectional else h[-1])
        outputs, _ = pad_packed_sequence(ran, batch_first=True)
        mask = (torch.arange(outputs.shape[1]) < lengths[:, None]).unsqueeze(-1)
        mean = (outputs * mask).sum(1) / lengths[:, None]
        top = outputs.masked_fill(~mask, -torch.inf).amax(1)
        return self.head({"mean": mean, "max": top, "max_mean": torch.cat([top, mean], -1)}[self.pooling])

    @torch.inference_mode()
    def predict(self, texts: Sequence[str], batch_size: int = 64) -> list[list[float]]:
        """The probabilities of the labels, by text."""
        ids, most = self.encoder.ids, self.encoder.max_length
        answers: list[list[float]] = []
        for at in range(0, len(texts), batch_size):
            rows = [
                self._cut([ids.get(token, UNK) for token in self.split(text)] or [UNK], most)
                for text in texts[at : at + batch_size]
            ]
            tokens = pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
            answers += self(tokens, torch.tensor([len(row) for row in rows])).softmax(-1).tolist()
        return answers

    def _cut(self, row: list[int], most: int | None) -> list[int]:
        if most is None or len(row) <= most:
            return row
        head = {"head": most, "tail": 0, "head_tail": (most + 1) // 2}[self.encoder.truncate]
        return row[:head] + row[len(row) - (most - head) :]


def measure(model: Predictor, texts: Sequence[str], rounds: int = 7, threads: int = 1) -> JsonObject:
    """Answer all texts in turns by `Predictor.answers` and by the usual code.

    Raises: ZooError for no texts, a network that torch.nn lacks, or answers that differ.
    """
    if not texts:
        raise ZooError("there are no texts to answer.\n  Give a file with a text a line.")
    load_before = timing.load()
    usual = Usual(model)
    answers = [answer["probabilities"] for _, answer in model.answers(texts)]
    apart = max(
        abs(ours[label] - theirs)
        for ours, row in zip(answers, usual.predict(texts), strict=True)
        for label, theirs in zip(usual.labels, row, strict=True)
    )
    if apart > AGREEMENT:
        raise ZooError(f"the usual code answers otherwise, by up to {apart:.2g}: there is nothing to compare.")
    calls = {"rnnzoo": lambda: list(model.answers(texts)), "usual": lambda: usual.predict(texts)}
    with timing.conditions(threads) as clock:
        seconds = timing.interleaved(calls, rounds, clock)
    timed = timing.summary(seconds, "rnnzoo")
    return {
        "machine": timing.facts(),
        "settings": {"threads": threads, "rounds": rounds, "clock": timing.clock_name(threads)},
        "load_before": load_before,
        "load_after": timing.load(),
        "texts": len(texts),
        "largest_difference": apart,
        "texts_per_second": {name: 1000 * len(texts) / ms for name, ms in timed["ms"].items()},
        "engine": report(model.model),
        **timed,
    }
