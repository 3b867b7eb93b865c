"""What a language model writes as training goes on."""

from __future__ import annotations

from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import FSDPStrategy

from rnnzoo.errors import RecipeError
from rnnzoo.limits import Count, NonNegative, Seed, checked
from rnnzoo.runs import tracking
from rnnzoo.training.module import ZooModule

MOST = 50  # tables of a training
LETTERS = 2000  # of a text


class Samples(Callback):
    """At each validation, up to 50 times, trackers get a table `val/samples`: how the model continues each prompt.

    A run of a task that writes text has it where anything is tracked. prompts: an empty one begins a line. length:
    tokens. seed: of a generator of its own, so that training draws what it would have drawn without. Where the weights
    are spread over processes (fsdp), nothing is written.
    Raises: RecipeError if the task writes no text.
    """

    @checked
    def __init__(
        self, prompts: list[str] | None = None, length: Count = 60, temperature: NonNegative = 0.8, seed: Seed = 0
    ) -> None:
        self.prompts = prompts or [""]
        self.length, self.temperature, self.seed = length, temperature, seed
        self._tables = 0

    def check(self, pl_module: LightningModule) -> None:
        """Refuse a module that writes nothing, before a run begins. Raises: RecipeError."""
        if not cast(ZooModule, pl_module).task.generates_text:
            raise RecipeError("callbacks.samples: the task does not generate text.\n  Leave this callback out.")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if isinstance(trainer.strategy, FSDPStrategy) or self._tables == MOST:
            return
        self._tables += 1
        module = cast(ZooModule, pl_module)
        settings = {"length": self.length, "temperature": self.temperature, "seed": self.seed}
        rows = [
            [prompt, module.task.continue_text(module.model, prompt, **settings).text[:LETTERS]]  # type: ignore[arg-type]
            for prompt in self.prompts
        ]
        tracking.log_table(trainer.loggers, "val/samples", ["prompt", "text"], rows, trainer.global_step)
