"""The usual code that predictions are measured against is the same network."""

import pytest
from untrained import untrained

from rnnzoo.bench import prediction
from rnnzoo.cli import main
from rnnzoo.errors import ZooError
from rnnzoo.inference import predictor

TEXTS = ["the food was not bad at all", "good", "", "the film and the story, which we did not like, were bad bad bad"]


def network(text, *changes):
    return untrained("quickstart", "--data.examples=24", f"--model.architecture={text}", *changes)


@pytest.mark.parametrize(
    ("architecture", "pooling"),
    [
        ("{name: bidirectional, cell: lstm, hidden_size: 6}", "max_mean"),
        ("{name: stacked, cell: gru, hidden_size: 6, num_layers: 2}", "last"),
        ("{name: stacked, cell: vanilla, hidden_size: 6, num_layers: 2, bidirectional: true}", "mean"),
    ],
)
@pytest.mark.parametrize("truncate", ["head", "tail", "head_tail"])
def test_the_usual_code_gives_the_models_probabilities(architecture, pooling, truncate):
    cut = (f"--data.truncate={truncate}", "--data.max_length=5")
    model = network(architecture, f"--model.pooling={pooling}", *cut)
    usual = prediction.Usual(model).predict(TEXTS, batch_size=2)
    for row, answer in zip(usual, model.predict(TEXTS), strict=True):
        assert row == pytest.approx(list(answer["probabilities"].values()), abs=1e-5)


def test_both_are_timed_on_the_same_texts(tmp_path, monkeypatch, capsys):
    model = network("{name: bidirectional, cell: lstm, hidden_size: 4}")
    monkeypatch.setattr(predictor, "load", lambda run: model)
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    assert main(["bench", "predict", "run", "--file", str(tmp_path / "texts.txt"), "--rounds", "1"]) == 0
    assert capsys.readouterr().out.startswith("4 texts: ")


def test_a_network_that_torch_has_no_layer_for_is_refused():
    with pytest.raises(ZooError, match="the usual code has no such network"):
        prediction.Usual(network("{name: recurrent, cell: {name: zoneout, cell: lstm}}"))
