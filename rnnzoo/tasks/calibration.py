"""Calibration: probabilities that come true as often as they say, by one temperature fitted on dev.

    p = softmax(z / T)    or, where each class is a yes or no of its own,    p_k = sigmoid(z_k / T)

T minimises the negative log-likelihood on dev; the largest p stays the largest, so no label changes.
Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", arXiv:1706.04599.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnzoo.errors import RunError

KEY = "calibration"  # of a checkpoint's meta
COLDEST, HOTTEST = 0.1, 10.0  # temperatures that are looked for: a farther one is of a few answers, or of noise
BINS = 15  # of confidence, as in Guo et al.


@dataclass(frozen=True)
class Calibration:
    """How a trained model's logits become probabilities, and these become labels.

    temperature: what logits are divided by; 1 changes nothing. thresholds: by label, the probability from which on it
    is said; None where the likeliest label is said.
    """

    temperature: float = 1.0
    thresholds: Mapping[str, float] | None = None

    def probabilities(self, logits: Tensor, independent: bool = False) -> Tensor:
        """logits: (..., classes). Returns float32 probabilities of the same shape, that sum to 1 over the classes
        unless these are independent.
        """
        scaled = logits.float() / self.temperature
        return scaled.sigmoid() if independent else scaled.softmax(-1)

    def to_json(self) -> dict[str, Any]:
        thresholds = {} if self.thresholds is None else {"thresholds": dict(self.thresholds)}
        return {"temperature": self.temperature, **thresholds}

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any], labels: Sequence[str] = ()) -> Calibration:
        """What a checkpoint's meta says; temperature 1 where it says nothing. labels: that may have a threshold.

        Raises: RunError for what `to_json` does not give: a stranger may have written it.
        """
        found = meta.get(KEY, {})
        try:
            temperature, thresholds = float(found.get("temperature", 1.0)), found.get("thresholds")
            if not (math.isfinite(temperature) and temperature > 0):
                raise ValueError(f"the temperature is {temperature!r:.40}")
            if thresholds is not None:
                thresholds = {str(label): float(p) for label, p in thresholds.items()}
                if not thresholds.keys() <= set(labels) or not all(0 <= p <= 1 for p in thresholds.values()):
                    raise ValueError("a threshold is of no label of the model, or is not from 0 to 1")
        except (TypeError, ValueError, AttributeError) as error:
            raise RunError(
                f"the checkpoint's calibration is not what rnnzoo writes: {error}.\n"
                f"  Its meta.json has the key '{KEY}'; without that key the temperature is 1."
            ) from error
        return cls(temperature, thresholds)


# -- fitting --------------------------------------------------------------------------------------------------------


def fit_temperature(logits: Tensor, target: Tensor) -> float | None:
    """The temperature of the least negative log-likelihood.

    logits: (answers, classes). target: (answers,) class numbers; or (answers, classes) 0 or 1 where classes are
    independent. None where no temperature from 0.1 to 10 is best: as where every answer is right, or all are random.

    The negative log-likelihood is convex in b = 1 / T: Newton's steps find the root of its slope, within a bracket that
    is halved where they leave it. Sums are in float64.
    """
    z = logits.double()
    if not len(z) or not z.isfinite().all():
        return None
    low, high = 1 / HOTTEST, 1 / COLDEST
    if not _slopes(z, target, low)[0] < 0 < _slopes(z, target, high)[0]:
        return None
    b = 1.0
    for _ in range(100):
        slope, curvature = _slopes(z, target, b)
        low, high = (b, high) if slope < 0 else (low, b)
        step = b - slope / curvature if curvature > 0 else math.inf
        new = step if low < step < high else math.sqrt(low * high)
        if abs(new - b) <= 1e-9 * b:
            break
        b = new
    return 1 / new


def _slopes(z: Tensor, target: Tensor, b: float) -> tuple[float, float]:
    """The first and second derivative of the summed negative log-likelihood by b, where logits are b z."""
    if target.ndim == z.ndim:
        p = (b * z).sigmoid()
        return float((z * (p - target)).sum()), float((z.square() * p * (1 - p)).sum())
    p = (b * z).softmax(-1)
    mean = (p * z).sum(-1)
    variance = (p * (z - mean[..., None]).square()).sum(-1)
    return float((mean - z.gather(-1, target[:, None]).squeeze(-1)).sum()), float(variance.sum())


def best_threshold(p: Tensor, target: Tensor) -> float | None:
    """The probability from which on a class is to be said, so that its F1, 2 tp / (2 tp + fp + fn), is largest.

    p: (answers,) probabilities of the class. target: (answers,) 1 where it is true, else 0. The threshold is half way
    between two probabilities; of equally good ones it is the highest. None where the class is never true.
    """
    if not len(p) or not target.any():
        return None
    ordered, index = p.double().sort(descending=True)
    true = target[index].double().cumsum(0)
    said = torch.arange(1, len(p) + 1, dtype=torch.float64)
    f1 = 2 * true / (said + true[-1])  # where the first so many are said
    below = torch.cat([ordered[1:], torch.zeros(1, dtype=torch.float64)])
    f1[ordered == below] = -1  # answers of one probability are said together
    best = int(f1.argmax())
    return float((ordered[best] + below[best]) / 2)


# -- how well confidences come true ---------------------------------------------------------------------------------


class Reliability(NamedTuple):
    """Answers by their confidence, in bins of equal width from 0 to 1: sums, which add up over batches and processes.

    answers, confidence, right: (BINS,) float64: how many, the sum of their confidences, and how many are right.
    """

    answers: Tensor
    confidence: Tensor
    right: Tensor

    @classmethod
    def of(cls, probabilities: Tensor, target: Tensor) -> Reliability:
        """Of the likeliest class; where classes are independent, of each class's probability to be there.

        probabilities, target: as in `fit_temperature`.
        """
        if target.ndim == probabilities.ndim:
            confidence, right = probabilities.flatten(), target.flatten()
        else:
            best = probabilities.max(-1)
            confidence, right = best.values, best.indices == target
        bins = (confidence * BINS).long().clamp(max=BINS - 1).cpu()
        zeros = torch.zeros(BINS, dtype=torch.float64)
        values = (torch.ones_like(confidence), confidence, right)
        return cls(*(zeros.index_add(0, bins, value.double().cpu()) for value in values))

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance of confidence and share, by answers. 0 to 1."""
        return float((self.confidence - self.right).abs().sum() / self.answers.sum())

    def to_json(self) -> list[list[float]]:
        """[answers, mean confidence, share right] of each bin that has any, from the lowest confidence on."""
        rows = zip(*(sums.tolist() for sums in self), strict=True)
        return [[int(count), confidence / count, right / count] for count, confidence, right in rows if count]


def reliability(logits: Tensor, target: Tensor, temperature: float) -> dict[str, Any]:
    """How well confidences come true, as JSON: {"answers", "before": {"ece", "bins"}, "after": {...}}, where before is
    at temperature 1.
    """
    found: dict[str, Any] = {"answers": len(target)}
    for name, calibration in {"before": Calibration(), "after": Calibration(temperature)}.items():
        bins = Reliability.of(calibration.probabilities(logits, target.ndim == logits.ndim), target)
        found[name] = {"ece": bins.error, "bins": bins.to_json()}
    return found
