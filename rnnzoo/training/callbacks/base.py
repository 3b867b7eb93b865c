"""What a run asks of a callback beside what Lightning asks."""

from typing import Protocol, runtime_checkable

from lightning.pytorch import LightningModule


@runtime_checkable
class ChecksModule(Protocol):
    """A callback that not every module suits."""

    def check(self, pl_module: LightningModule) -> None:
        """Refuse a module that the callback cannot work with, before the run's folder is made. Raises: RecipeError."""
