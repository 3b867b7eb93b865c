"""A predictor without a training: the network of a recipe, with weights drawn at random."""

from collections.abc import Mapping
from typing import Any

import torch

from rnnzoo import recipe
from rnnzoo.experiment.build import make_data
from rnnzoo.experiment.facts import used_parts
from rnnzoo.experiment.network import make_network
from rnnzoo.experiment.resolver import resolve
from rnnzoo.inference.predictor import Predictor
from rnnzoo.runs.checkpoint import Checkpoint


def untrained(text: str | Mapping[str, Any], *changes: str) -> Predictor:
    """The predictor of a recipe (a name) after `changes` as on the command line; its data are read for the words."""
    resolved = resolve(recipe.read(text, changes))
    data = make_data(resolved)
    data.prepare()
    torch.manual_seed(0)
    model = make_network(resolved, data.spec).model
    meta = {"recipe": resolved, "parts": used_parts(resolved)}
    return Predictor(Checkpoint(model.state_dict(), meta, data.spec.to_json()))
