"""Weights of classes in a training loss, so that rare classes count as much as frequent ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from rnnzoo.batch import DataSpec
from rnnzoo.errors import unknown
from rnnzoo.limits import Positive

ClassWeights = Literal["balanced"] | dict[str, Positive] | None


def class_weights(spec: DataSpec, asked: Literal["balanced"] | Mapping[str, float] | None) -> Tensor | None:
    """(labels,) the weight of each label, 1 on average over the training examples; None where all count alike.

        balanced:   w_k = n / (K n_k)       n_k of n training examples have label k of K

    asked: "balanced", or weights by label; a label that is not named has weight 1 before the weights are scaled.
    Raises: ValueError for a label that the data do not have, with the nearest one; or for data that do not say n_k.
    """
    if asked is None:
        return None
    counts = torch.tensor(spec.target.counts, dtype=torch.float64)
    if isinstance(asked, str):
        if len(counts) != len(spec.labels):
            raise ValueError("task: class_weights: balanced needs to know how often each label occurs in training")
        weights = counts.sum() / (len(counts) * counts.clamp(min=1))
    else:
        for label in asked:
            if label not in spec.labels:
                raise ValueError(f"task: {unknown('class_weights: the data have no label', label, spec.labels)}")
        weights = torch.tensor([float(asked.get(label, 1.0)) for label in spec.labels], dtype=torch.float64)
    mean = (weights * counts).sum() / counts.sum() if len(counts) == len(weights) and counts.sum() else torch.ones(())
    return (weights / mean).float()
