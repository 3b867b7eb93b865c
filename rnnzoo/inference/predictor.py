"""A trained model for one's own texts: it needs a run's folder and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rnnzoo import registry, runs
from rnnzoo.batch import UNK
from rnnzoo.data.base import Examples
from rnnzoo.data.batching import BucketBatches
from rnnzoo.data.forms import FORMS
from rnnzoo.errors import DataError, RunError, ZooError, unknown
from rnnzoo.experiment.network import make_network
from rnnzoo.experiment.restore import origin, restore
from rnnzoo.inference.stream import Stream
from rnnzoo.runs import checkpoint, pretrained_models
from rnnzoo.runs.record import read_summary
from rnnzoo.runs.summary import Summary, well_formed
from rnnzoo.tasks.base import Answer
from rnnzoo.tasks.decoding.continuation import Continuation

if TYPE_CHECKING:
    from rnnzoo.inference.card import Page

log = logging.getLogger("rnnzoo")
UNKNOWN_SHARE = "unknown_share"  # of an answer: of the text's tokens, those that the model does not know, 0 to 1
BATCH_TOKENS = 2**15  # tokens a batch, padding counted: one long text does not make room for 63 more
AHEAD = 1024  # texts of a stream that are read before the first of them is answered
AHEAD_CHARACTERS = 2**22  # or so many characters


class Predictor:
    """A trained model that predicts for texts and other inputs, from a run's best checkpoint.

    model: the SequenceModel, an nn.Module in evaluation mode. recipe: of the run. spec: the vocabulary and labels.
    run: the folder that it is from, None if it was made of a checkpoint alone. summary: what that says of the run.
    """

    def __init__(
        self, saved: checkpoint.Checkpoint, device: str | torch.device = "cpu", run: Path | None = None
    ) -> None:
        """Raises: RunError if no model can be built from the checkpoint; PluginError if a part is not installed."""
        self.run = run
        self.recipe, self.spec = origin(saved)
        if self.spec.form not in FORMS:
            raise RunError(
                unknown("the checkpoint's data have a form that this rnnzoo does not know:", self.spec.form, FORMS)
            )
        with registry.of_run(_of_model(saved)):
            network = restore(saved, self.recipe, self.spec)
        try:
            self.form = FORMS[self.spec.form].from_spec(self.spec)
        except (KeyError, AttributeError, IndexError, TypeError, ValueError) as error:  # JSON may hold anything
            raise RunError(f"the checkpoint's model cannot be built: {type(error).__name__}: {error}.") from error
        self.model, self.task, self.device = network.model.eval().to(device), network.task, device

    @cached_property
    def summary(self) -> Summary:
        """The facts of the run: `summary["metrics"]` has the scores. Empty without a run. Raises: RunError."""
        return well_formed(read_summary(self.run) if self.run is not None else {})

    def __repr__(self) -> str:
        from rnnzoo.inference import card  # it draws pages, for which no prediction waits

        return card.text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from rnnzoo.inference import card

        return card.markup(self)

    def report(self) -> Page:
        """The page of the run, with its pictures: a notebook shows it. Raises: RunError without a run."""
        from rnnzoo.inference import card

        return card.report(self)

    @torch.inference_mode()
    def predict(self, texts: Sequence[Any], batch_size: int = 512) -> list[Answer]:
        """One JSON object for each text, in order; what it holds is the task's (label and confidence, tags, ...).

        A model of numbers is asked with series: lists or arrays (time, features), or the same as JSON text.
        unknown_share: of the text's tokens that the model does not know, 0 to 1. A text without a known word, or
        without any, gets an answer too; texts beyond the data's max_length are cut, and a warning says how many.
        Raises: TypeError if `texts` is a single string.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts, got a string; write predict([text])")
        examples = self.form.ask(texts, self.spec)
        if examples.truncated:
            log.warning("%d of %d texts are longer than max_length and were cut.", examples.truncated, len(texts))
        return self.answer_examples(examples, batch_size)

    def answer_examples(self, examples: Examples, batch_size: int = 512) -> list[Answer]:
        """One JSON object for each row of encoded examples, in order; see `predict`."""
        answers: list[Answer] = [{}] * len(examples)
        lengths = examples.lengths
        for rows in BucketBatches(lengths, batch_size=batch_size, batch_tokens=BATCH_TOKENS, training=False):
            batch = examples.collate(rows)
            assert batch.index is not None
            predictions = self.task.predictions(self.model, batch.to(self.device))
            if "tokens" in batch.inputs:
                shares = (batch.inputs["tokens"] == UNK).sum(1) / batch.lengths.clamp(min=1)
                pairs = zip(predictions, shares.tolist(), strict=True)
                predictions = [{**prediction, UNKNOWN_SHARE: share} for prediction, share in pairs]
            for row, answer in zip(batch.index.tolist(), predictions, strict=True):
                answers[row] = answer | examples.echoed(row)
        return answers

    def describe(self, answer: Answer, every: bool = False) -> list[str]:
        """A prediction as lines for a person, in the words of its task. every: with the probability of every class."""
        told = {key: value for key, value in answer.items() if key != UNKNOWN_SHARE}
        return self.task.describe_all(told) if every else self.task.describe(told)

    @staticmethod
    def knows_no_word(answer: Answer) -> bool:
        """Whether the model knows no word of the text that a prediction is for."""
        return answer.get(UNKNOWN_SHARE) == 1

    def generate(self, prompt: str = "", length: int = 100, **sampling: Any) -> Continuation:
        """The prompt and `length` tokens more; see `rnnzoo.tasks.decoding.continuation.continue_text`.

        Raises: RunError if the model's task generates no text; ValueError for a number out of range.
        """
        if not self.task.generates_text:
            raise RunError(
                f"the task {self.recipe['task']['name']} does not generate text.\n"
                "  `rnnzoo generate` takes a language model, as of next_word; `rnnzoo predict` takes any model."
            )
        return self.task.continue_text(self.model, prompt, length, **sampling)

    def read_file(self, path: Path) -> list[tuple[str, Any]] | None:
        """What a file or a folder of the form that the model was trained on asks, each with a name.

        None for a file of texts. Raises: DataError.
        """
        return self.form.read_file(path, self.spec, self.recipe["data"])

    def stream(self, state: Mapping[str, torch.Tensor] | None = None) -> Stream:
        """One sequence that arrives in parts: `.feed(x)` answers as it comes, `.state` can be kept and set again.

        state: of an earlier stream of this model, from which it goes on.
        Raises: RunError, with the reason, for a model that answers whole sequences only; or for another model's state.
        """
        stream = Stream(self)
        if state is not None:
            stream.state = dict(state)
        return stream

    def answers(self, texts: Iterable[str]) -> Iterator[tuple[str, Answer]]:
        """Each text with its answer, in order; only a bounded number of `texts` is read ahead."""
        for group in _bounded(texts):
            try:
                answers = self.predict(group)
            except DataError:  # one text is no valid input: those before it are answered first
                for text in group:
                    yield text, self.predict([text])[0]
                raise
            yield from zip(group, answers, strict=True)


def _bounded(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in lists of bounded size; if one cannot be read, those before it come first."""
    group: list[str] = []
    size = 0
    try:
        for text in texts:
            group.append(text)
            size += len(text)
            if len(group) >= AHEAD or size >= AHEAD_CHARACTERS:
                yield group
                group, size = [], 0
    except ZooError:
        yield group
        raise
    yield group


def load(run: str | Path, device: str | torch.device = "cpu") -> Predictor:
    """A run's best model, a shipped one, or one of the Hub: by folder, id, name, or `hf://owner/name`.

    Raises: RunError, PluginError.
    """
    folder = runs.find(run)
    return Predictor(checkpoint.load(checkpoint.locate(folder)), device, folder)


def _of_model(saved: checkpoint.Checkpoint) -> list[dict[str, str]]:
    """The registered parts of a checkpoint's model; its data set, optimizer and callbacks need not be installed."""
    return [part for part in saved.meta["parts"] if registry.KINDS[registry.kind_of(part["kind"])].in_model]


def create_model(
    name: str, input_size: int | None = None, *, pretrained: bool = False, **settings: Any
) -> torch.nn.Module:
    """A registered architecture, or a shipped model, as a plain nn.Module.

    `create_model("stacked", 128, cell="gru", num_layers=3)` takes x (batch, time, input_size) and lengths (batch,), and
    returns an `Encoded`: outputs, last, state. `create_model("imdb_bilstm", pretrained=True)` is a trained
    SequenceModel in evaluation mode; without `pretrained`, the same one untrained.
    Raises: UnknownName, PluginError, RunError; TypeError or ValueError for wrong parameters.
    """
    folder = pretrained_models.find(name)
    if folder is None:
        if pretrained:
            raise RunError(unknown("no trained model is shipped as", name, pretrained_models.names()))
        build = registry.load("architectures", name)
        if input_size is None:
            raise TypeError(f"create_model('{name}', input_size): an architecture needs the size of its input")
        model: torch.nn.Module = build(input_size, **settings)
        return model
    if input_size is not None or settings:
        raise TypeError(f"'{name}' is a complete model with the sizes of its recipe; give pretrained alone")
    saved = checkpoint.load(folder)
    if pretrained:
        return Predictor(saved).model
    with registry.of_run(_of_model(saved)):
        return make_network(*origin(saved)).model
