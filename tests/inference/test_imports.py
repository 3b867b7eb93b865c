"""To ask a model imports torch, and nothing that only training needs."""

import subprocess
import sys

import pytest

ASK = {
    "rnnzoo predict": "from rnnzoo.cli import main; main(['predict', 'sentiment', '--text', 'a fine film'])",
    "rnnzoo.load": "import rnnzoo; rnnzoo.load('sentiment').predict(['a fine film'])",
}
TRAINING = ("lightning", "torchmetrics", "datasets", "wandb", "sacrebleu", "scipy", "tokenizers", "torch._dynamo")


@pytest.mark.parametrize("asked", ASK.values(), ids=ASK)
def test_asking_a_model_imports_nothing_that_only_training_needs(asked):
    code = f"{asked}\nimport sys; print(*sorted(sys.modules.keys() & {{*{TRAINING!r}}}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
