"""Pictures of what a decoder attends to."""

import math
from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo.batch import Batch, DataSpec
from rnnzoo.errors import RecipeError
from rnnzoo.limits import Count, checked
from rnnzoo.model import SequenceModel
from rnnzoo.pictures import svg
from rnnzoo.runs.tracking import draw


class AttentionPictures(Callback):
    """At each validation, draws the attention for a few sentences of the dev split, teacher-forced: an SVG file each.

    The sentences are the same each time and of medium length, as batches of the dev split are sorted by length.
    Raises: RecipeError if the architecture has no attention.
    """

    @checked
    def __init__(self, sentences: Count = 2) -> None:
        self.sentences = sentences

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.check(pl_module)

    def check(self, pl_module: LightningModule) -> None:
        """Refuse a module that has nothing to draw, before a run begins. Raises: RecipeError."""
        decoder = cast(SequenceModel, pl_module.model).architecture.target_decoder()
        if decoder is None or not decoder.attends:
            raise RecipeError(
                "callbacks.attention: the architecture attends to nothing that could be drawn.\n"
                "  Take an encoder_decoder whose attention is not none, or leave this callback out."
            )

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        batches = trainer.num_val_batches[0]  # infinity where some process has none: then this one has a single batch
        middle = int(batches) // 2 if math.isfinite(batches) else 0
        if batch_idx != middle or trainer.sanity_checking or not trainer.is_global_zero:
            return
        spec: DataSpec = pl_module.task.spec  # type: ignore[union-attr, assignment]
        attention = pl_module(batch).attention.float().cpu()
        for row in range(min(self.sentences, len(batch))):
            steps, read = int(batch.target_lengths[row]), int(batch.lengths[row])
            source = [spec.inputs["tokens"].names[i] for i in batch.inputs["tokens"][row, :read].tolist()]
            target = [spec.target.names[i] for i in batch.target[row, :steps].tolist()]
            picture = svg.grid(
                f"Attention after {trainer.global_step:,} steps", source, target, attention[row, :steps, :read].tolist()
            )
            draw(trainer.loggers, f"attention_{row + 1}", picture, trainer.global_step)
