"""What a forecast says of each number to come: one number, some quantiles, or a normal distribution.

Losses and scores are of the numbers as the model sees them, standardised. Raw answers are (..., size), `size` numbers
for each number that is forecast; truth is (...).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = tuple(number / 10 for number in range(1, 10))
CENTRAL = 0.8  # the share of a normal distribution that its interval holds
LEAST_STD = 1e-3


class Point:
    """One number, by its mean absolute or squared error."""

    size = 1
    share: float | None = None  # of the truths that `interval` should hold

    def __init__(self, error: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.error = error

    def parameters(self, raw: Tensor) -> Tensor:
        """The raw answers as what they mean: here themselves."""
        return raw

    def shifted(self, said: Tensor, by: Tensor) -> Tensor:
        """What is said, of numbers that are moved by `by`, (...)."""
        return said + by.unsqueeze(-1)

    def loss(self, said: Tensor, truth: Tensor) -> Tensor:
        """A scalar, the mean over all numbers."""
        return self.error(said.squeeze(-1), truth)

    def point(self, said: Tensor) -> Tensor:
        """(...): the one number that stands for what is said."""
        return said[..., 0]

    def crps(self, said: Tensor, truth: Tensor) -> Tensor:
        """(...): the continuous ranked probability score; of one number it is the absolute error."""
        return (self.point(said) - truth).abs()

    def interval(self, said: Tensor) -> tuple[Tensor, Tensor] | None:
        """The ends of the interval that should hold `share` of the truths, both (...)."""
        return None

    def quantiles(self, said: Tensor) -> dict[str, Tensor]:
        """The quantiles that an answer tells, by their level."""
        return {}


class Quantiles(Point):
    """Quantiles, by the pinball loss; answers are sorted, so that no two of them cross.

        loss(q, y) = max(a (y - q), (a - 1) (y - q))            of the quantile at level a
        CRPS = 2 * integral over a of the loss                  here the mean over the levels

    levels: rising, 0.5 among them, whose quantile stands for the whole.
    Sources: Koenker, Bassett, Econometrica 46(1), 1978; Gneiting, Ranjan, JBES 29(3), 2011 (CRPS); Chernozhukov et al.,
    arXiv:0704.3649 (sorting).
    """

    def __init__(self, levels: Sequence[float] = LEVELS) -> None:
        if list(levels) != sorted(set(levels)) or 0.5 not in levels or not 0 < levels[0] <= levels[-1] < 1:
            raise ValueError(f"quantiles must rise, within 0 and 1, with 0.5 among them, got {list(levels)}")
        self.levels, self.size = tuple(levels), len(levels)
        self.share = self.levels[-1] - self.levels[0] if len(levels) > 1 else None

    def parameters(self, raw: Tensor) -> Tensor:
        return raw.sort(-1).values

    def pinball(self, said: Tensor, truth: Tensor) -> Tensor:
        """(..., levels)."""
        apart, level = truth.unsqueeze(-1) - said, said.new_tensor(self.levels)
        return torch.maximum(level * apart, (level - 1) * apart)

    def loss(self, said: Tensor, truth: Tensor) -> Tensor:
        return self.pinball(said, truth).mean()

    def point(self, said: Tensor) -> Tensor:
        return said[..., self.levels.index(0.5)]

    def crps(self, said: Tensor, truth: Tensor) -> Tensor:
        return 2 * self.pinball(said, truth).mean(-1)

    def interval(self, said: Tensor) -> tuple[Tensor, Tensor] | None:
        return None if self.share is None else (said[..., 0], said[..., -1])

    def quantiles(self, said: Tensor) -> dict[str, Tensor]:
        return {f"{level:g}": said[..., place] for place, level in enumerate(self.levels)}


class Gaussian(Point):
    """A normal distribution, by its negative log-likelihood in nats. A pair says its mean and its deviation.

        CRPS = s (z (2 P(z) - 1) + 2 p(z) - 1 / sqrt(pi)),  z = (y - m) / s;  P, p: of the standard normal distribution

    Source: Gneiting, Raftery, Westveld, Goldman, Monthly Weather Review 133(5), 2005.
    """

    size = 2
    share = CENTRAL

    def __init__(self) -> None:
        self.reach = math.sqrt(2) * float(torch.erfinv(torch.tensor(CENTRAL, dtype=torch.float64)))  # in deviations

    def parameters(self, raw: Tensor) -> Tensor:
        return torch.stack([raw[..., 0], F.softplus(raw[..., 1]) + LEAST_STD], -1)

    def shifted(self, said: Tensor, by: Tensor) -> Tensor:
        return torch.stack([said[..., 0] + by, said[..., 1]], -1)

    def loss(self, said: Tensor, truth: Tensor) -> Tensor:
        return F.gaussian_nll_loss(said[..., 0], truth, said[..., 1].square(), full=True, eps=LEAST_STD**2)

    def crps(self, said: Tensor, truth: Tensor) -> Tensor:
        mean, std = said.unbind(-1)
        z = (truth - mean) / std
        density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
        return std * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))

    def interval(self, said: Tensor) -> tuple[Tensor, Tensor] | None:
        mean, std = said.unbind(-1)
        return mean - self.reach * std, mean + self.reach * std

    def quantiles(self, said: Tensor) -> dict[str, Tensor]:
        low, high = self.interval(said) or (said[..., 0], said[..., 0])
        return {f"{(1 - CENTRAL) / 2:.2g}": low, "0.5": said[..., 0], f"{(1 + CENTRAL) / 2:.2g}": high}


class KnownHead(nn.Module):
    """Answers for steps to come from what was read and what is known of each of them in advance.

        [c_1; ...; c_H; c] = relu(W h + b)            a context for each of the H steps, and one for all
        y_j = MLP([c_j; c; x_j])                      x_j: what is known of step j; the same MLP for all steps

    Source: Wen, Torkkola, Narayanaswamy, Madeka, arXiv:1711.11053 (MQ-RNN).
    Differs: any architecture reads the window, and no step of it but the last is answered.
    features: of h. known: of x_j. outputs: of y_j.
    """

    def __init__(self, features: int, horizon: int, known: int, outputs: int, context: int = 16) -> None:
        super().__init__()
        self.horizon = horizon
        self.contexts = nn.Linear(features, (horizon + 1) * context)
        self.steps = nn.Sequential(
            nn.Linear(2 * context + known, 2 * context), nn.ReLU(), nn.Linear(2 * context, outputs)
        )

    def forward(self, features: Tensor, known: Tensor) -> Tensor:
        """features: (batch, features); known: (batch, horizon, known). Returns (batch, horizon * outputs)."""
        contexts = F.relu(self.contexts(features)).unflatten(1, (self.horizon + 1, -1))
        whole = contexts[:, -1:].expand(-1, self.horizon, -1)
        answers: Tensor = self.steps(torch.cat([contexts[:, :-1], whole, known], -1)).flatten(1)
        return answers
