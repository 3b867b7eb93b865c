"""Averaging of weights that begins when the dev metric stops improving."""

from typing import ClassVar, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from rnnzoo.limits import Count, checked
from rnnzoo.runs.state import State
from rnnzoo.training.callbacks.averaging import Averaging


class NTASGD(Averaging):
    """Non-monotonically triggered averaged stochastic gradient descent.

    The mean of the weights of all steps since the trigger: the first evaluation that is worse than the best of those
    more than `interval` before it. Until then nothing is averaged. For plain SGD at a constant rate.
    Source: Merity, Keskar, Socher, arXiv:1708.02182, algorithm 1.
    """

    needs_validation = True
    expected_failures: ClassVar[dict[str, str]] = {}  # nothing is averaged in a training that gets better

    @checked
    def __init__(self, monitor: str, mode: Literal["max", "min"] = "min", interval: Count = 5) -> None:
        """monitor: the dev metric, as logged. interval: the paper's n, in evaluations."""
        super().__init__()
        self.monitor, self.sign, self.interval = monitor, 1 if mode == "min" else -1, interval
        self.costs: list[float] = []  # of each evaluation, less is better

    def state_dict(self) -> State:
        return super().state_dict() | {"costs": self.costs}

    def load_state_dict(self, state_dict: State) -> None:
        super().load_state_dict(state_dict)
        self.costs = [float(cost) for cost in state_dict["costs"]]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self.costs = []

    def share(self, updates: int) -> float:
        return 1 / (updates + 1)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        if self.average is not None or trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        cost = self.sign * float(trainer.callback_metrics[self.monitor])
        if any(cost > before for before in self.costs[: -self.interval]):
            self.begin(trainer, pl_module)
        self.costs.append(cost)
