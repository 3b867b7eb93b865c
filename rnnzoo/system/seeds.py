"""Seeds of the random numbers: one for each purpose, so that none depends on how many others were drawn before."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def derived(*purpose: int) -> int:
    """A seed in [0, 2**32) made of whole numbers: of a recipe's seed, say, a rank and an epoch."""
    return int.from_bytes(hashlib.sha256(repr(purpose).encode()).digest()[:4], "big")


def seed(*purpose: int) -> None:
    """Seed Python, numpy and torch on all devices with `derived(*purpose)`."""
    number = derived(*purpose)
    random.seed(number)
    np.random.seed(number)
    if torch.accelerator.is_available():
        torch.manual_seed(number)
    else:  # the same numbers; `manual_seed` would note the whole call stack, each time, for devices that are not there
        torch.default_generator.manual_seed(number)
