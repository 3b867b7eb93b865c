"""A trained model, ready for a user's own text: needs a run's folder and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rnnzoo import checkpoint, registry, runs
from rnnzoo.batch import DataSpec
from rnnzoo.data.forms import FORMS
from rnnzoo.experiment import make_module


class Predictor:
    """Answers for texts, from a run's best checkpoint.

    model: the SequenceModel, an nn.Module in evaluation mode. recipe: what made it. spec: the data it knows.
    """

    def __init__(self, kept: checkpoint.Checkpoint, device: str | torch.device = "cpu") -> None:
        self.recipe: dict[str, Any] = kept.meta["recipe"]
        self.spec = DataSpec.from_json(kept.spec)
        module = make_module(self.recipe, self.spec)
        checkpoint.apply(module.model, kept)
        self.model, self.task = module.model.eval().to(device), module.task
        self.device = device
        self.form = FORMS[self.spec.form].from_spec(self.spec)

    @torch.inference_mode()
    def predict(self, texts: Sequence[str], batch_size: int = 64) -> list[dict[str, Any]]:
        """One JSON object for each text, in order; what it holds is the task's (label and confidence, tags, ...).

        A text without a known word gets an answer too. Raises: TypeError if `texts` is a single string.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts, got a string; write predict([text])")
        examples = self.form.ask(texts, self.spec)
        rows: list[dict[str, Any]] = [{}] * len(texts)
        order = sorted(range(len(texts)), key=lambda row: -examples.lengths[row])
        for start in range(0, len(order), batch_size):
            batch = examples.collate(order[start : start + batch_size])
            assert batch.index is not None
            answers = self.task.predictions(self.model, batch.to(self.device))
            for row, answer in zip(batch.index.tolist(), answers, strict=True):
                rows[row] = answer
        return rows


def load(run: str | Path, device: str | torch.device = "cpu") -> Predictor:
    """The model of a run, given by its folder or id, from its best checkpoint. Raises: RunError, PluginError."""
    return Predictor(checkpoint.load(checkpoint.locate(runs.find(run))), device)


def create_model(name: str, input_size: int, **given: Any) -> torch.nn.Module:
    """A registered architecture as a plain nn.Module: `create_model("stacked", 128, cell="gru", num_layers=3)`.

    It takes x (batch, time, input_size) and lengths (batch,), and returns an `Encoded`: outputs, last, state.
    Raises: UnknownName, PluginError; TypeError or ValueError for wrong parameters.
    """
    return registry.load("architectures", name)(input_size, **given)
