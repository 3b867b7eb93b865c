"""Training states in a run's folder: none is ever written over, and the newest comes first."""

import torch

from rnnzoo.runs import snapshot


def test_the_newest_state_comes_first_whatever_the_width_of_its_number(tmp_path):
    for batch in (9, 10, 11):
        snapshot.write(tmp_path / f"step-000000003-{batch}", {"batch": batch, "weight": torch.ones(2)})
    assert [snapshot.read(path)["batch"] for path in snapshot.complete(tmp_path)] == [11, 10]


def test_a_state_of_the_same_step_stands_beside_the_one_before_until_it_is_complete(tmp_path):
    for value in (1, 2, 3, 4):
        snapshot.write(tmp_path / "step-000000003-9", {"value": value})
        assert snapshot.read(snapshot.complete(tmp_path)[0])["value"] == value
    assert len(list(tmp_path.iterdir())) == snapshot.KEPT


def test_what_is_cut_short_is_no_state(tmp_path):
    snapshot.write(tmp_path / "step-000000003-9", {"value": 1})
    (tmp_path / "step-000000004-9").mkdir()
    (tmp_path / "step-x").mkdir()
    assert [path.name for path in snapshot.complete(tmp_path)] == ["step-000000003-9"]
