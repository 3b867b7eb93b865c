"""A module that works when it is imported."""

import torch
from broken import Healthy

torch.manual_seed(3)
print("welcome to my cells")
DEFAULT = torch.nn.Parameter(torch.zeros(3))


class Noisy(Healthy):
    pass
