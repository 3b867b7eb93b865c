"""Several processes score and train as one does; `python tests/ranks.py` says how near."""

import pytest
import ranks
from ranks import TASKS, Case


def check(world, cases):
    gaps = ranks.gaps(ranks.run(1, cases), ranks.run(world, cases))
    far = {case: gap for case, gap in zip(cases, gaps, strict=True) if gap > ranks.TOLERANCE}
    assert len(gaps) == len(cases) and not far


FEW = [task for task in TASKS if task not in ("classification", "music", "captioning")]  # which have near relations


def test_two_processes_score_each_task_as_one_does_even_where_one_has_nothing_to_do_and_train_alike():
    cases = [Case(ranks.scores, (task, 1)) for task in FEW] + [Case(ranks.scores, ("translation", 7))]
    check(2, [*cases, Case(ranks.gradient, ("spans", 23, 2)), Case(ranks.resumed, ("tagging", 3, 4, 0))])


def test_fsdp2_trains_scores_saves_and_goes_on_as_ddp_does():
    accumulated = (("accumulate_grad_batches", 2), ("gradient_clip_val", 0.1))
    cases = [Case(ranks.shared_out, ("sentiment", "sgd", "batch_norm", accumulated))]
    check(
        2, [*cases, Case(ranks.shared_out, ("next_word", "adamw")), Case(ranks.resumed, ("tagging", 3, 4, 0, "fsdp2"))]
    )


def test_three_processes_share_out_weights_of_fewer_rows_than_processes():
    check(3, [Case(ranks.shared_out, ("sentiment", "sgd", None, (("max_steps", 2),)))])


@pytest.mark.slow
@pytest.mark.parametrize("world", ranks.WORLDS)
def test_processes_score_train_and_go_on_as_one_does(world):
    check(world, ranks.cases_of(world))


def test_what_differs_is_told():
    """The comparison can fail: in numbers, in counts, in what is missing and in what is not a number."""
    one = {"val/loss": 2.0, "val/accuracy": 0.5}
    assert ranks.difference(one, one) == 0
    assert ranks.difference(one, one | {"val/loss": 2.00002}) == pytest.approx(1e-5, rel=1e-3)
    for change in ({"val/accuracy": 0.5 + 1e-9}, {"val/loss": float("nan")}, {"val/f1": 1.0}):
        assert ranks.difference(one, one | change) == float("inf")
