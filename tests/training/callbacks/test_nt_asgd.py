import pytest
import torch
from test_checkpoints import Tiny, fit, same

from rnnzoo.runs import checkpoint
from rnnzoo.training.callbacks.checkpoints import Checkpoints
from rnnzoo.training.callbacks.nt_asgd import NTASGD


def steps_to(module, evaluation):
    """How many steps were taken before an evaluation, counted from 1; each epoch has one."""
    return (len(module.trained) - 1) // len(module.validated) * evaluation


def mean(weights):
    return {name: torch.stack([step[name] for step in weights]).mean(0) for name in weights[0]}


@pytest.mark.parametrize(
    ("scores", "interval", "trigger"),
    [
        ([5, 4, 3, 2, 1, 0.5], 1, None),  # always better
        ([5, 4, 4.5, 3, 4.2, 2], 1, 5),  # 4.5 is worse than 4, but 4 is the last one; 4.2 is worse than 4
        ([5, 4, 6, 3, 2, 2.5], 1, 3),
        ([5, 4, 6, 7, 3, 3], 2, 4),  # 6 is compared with the first alone
        ([5, 5, 5, 5, 5, 5], 1, None),  # equal is not worse
    ],
)
def test_averaging_begins_when_the_metric_is_worse_than_the_best_but_the_last_few(scores, interval, trigger):
    module = Tiny(scores)
    fit(module, [NTASGD("val/accuracy", "min", interval)], max_epochs=len(scores))
    for evaluation, found in enumerate(module.validated, start=1):
        steps = steps_to(module, evaluation)
        if trigger is None or evaluation <= trigger:
            assert same(found, module.trained[steps])
        else:
            wanted = mean(module.trained[steps_to(module, trigger) + 1 : steps + 1])
            torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_the_averages_that_were_validated_are_saved_and_stay_in_the_model(tmp_path):
    module, saver = Tiny([1, 2, 0.5, 0.7]), Checkpoints(tmp_path, {}, {}, mode="min")
    fit(module, [saver, NTASGD("val/accuracy", "min", interval=1)], max_epochs=4)
    assert same(checkpoint.load(saver.best_path).weights, module.validated[2])  # before the trigger: 0.7 is not > 1
    module, saver = Tiny([0, 1, 2, 3]), Checkpoints(tmp_path / "max", {}, {}, mode="max")
    fit(module, [saver, NTASGD("val/accuracy", "min", interval=1)], max_epochs=4)
    assert same(checkpoint.load(saver.best_path).weights, module.validated[3])
    assert same(module.model.state_dict(), module.validated[3]) and not same(module.validated[3], module.trained[-1])


def test_a_metric_to_be_raised_is_worse_when_it_is_lower():
    module = Tiny([0.5, 0.6, 0.4, 0.4])
    fit(module, [NTASGD("val/accuracy", "max", interval=1)], max_epochs=4)
    assert same(module.validated[2], module.trained[steps_to(module, 3)])
    assert not same(module.validated[3], module.trained[-1])


def test_a_second_training_begins_without_what_the_first_averaged():
    averaging = NTASGD("val/accuracy", "min", interval=1)
    fit(Tiny([0, 1, 2, 3]), [averaging])
    module = Tiny([3, 2, 1, 0])
    fit(module, [averaging])
    assert same(module.validated[3], module.trained[-1])


def test_an_interval_of_no_evaluations_is_refused():
    with pytest.raises(ValueError, match="interval must be a whole number >= 1, got 0"):
        NTASGD("val/perplexity", "min", interval=0)
