"""Seeds give the numbers of the libraries' own functions."""

import random

import numpy as np
import pytest
import torch

from rnnzoo.system import seeds


@pytest.mark.parametrize("accelerator", [False, True])
def test_seeding_draws_what_each_librarys_own_seed_draws(accelerator, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerator)
    seeds.seed(1, 2, 3)
    drawn = torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()
    number = seeds.derived(1, 2, 3)
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)
    assert drawn == (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random())
