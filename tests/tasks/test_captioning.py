import pytest
import torch

from rnnzoo.batch import EOS
from rnnzoo.data.forms.described import DescribedSeries
from rnnzoo.model import build_model
from rnnzoo.tasks.captioning import Captioning

WORDS = ["a", "small", "red", "cube", "or", "round", "thing"]
VECTORS = torch.eye(6).unsqueeze(1).numpy()  # (rows, one step, features)
ROWS = {"values": list(VECTORS), "text": [" ".join(WORDS[row : row + 1 + row % 4]) for row in range(6)]}


@pytest.mark.parametrize("attention", ["bilinear", "none"])
def test_a_vector_of_features_starts_a_decoder_that_learns_its_words(attention):
    torch.manual_seed(0)
    form = DescribedSeries()
    spec = form.fit(ROWS)
    task = Captioning(spec, max_steps=6)
    architecture = {"name": "encoder_decoder", "cell": "gru", "hidden_size": 24, "attention": attention}
    model = build_model(spec, task, architecture)
    batch = form.encode(ROWS, spec)[range(6)]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        task.loss(model, task.forward(model, batch), batch).backward()
        optimizer.step()
    model.eval()
    metrics = task.metrics()
    output = task.forward(model, batch)
    task.update(metrics, output, batch, task.loss(model, output, batch), model)
    assert metrics.compute()["exact_match"] == 1
    asked = form.ask([VECTORS[3].tolist()], spec)
    assert task.predictions(model, asked[[0]])[0]["text"] == ROWS["text"][3]


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize("beam", [1, 2])
def test_a_caption_of_a_vector_may_be_as_long_as_those_that_were_learned(unit, beam):
    text = " ".join(WORDS * 4)  # 28 words, 139 characters
    columns = {"values": list(VECTORS[:2]), "text": ["a", text]}
    form = DescribedSeries(unit=unit)
    spec = form.fit(columns)
    batch = form.encode(columns, spec)[[0, 1]]
    longest = {"word": 28, "character": len(text)}[unit] + 1
    assert int(batch.target_lengths.max()) == longest
    task = Captioning(spec, beam=beam)
    architecture = {"name": "encoder_decoder", "cell": "gru", "hidden_size": 4}
    model = build_model(spec, task, architecture).eval()
    with torch.no_grad():
        model.head.bias[EOS] = -100.0  # it never ends
    assert [len(row) for row in task.generate(model, batch)] == [longest + 10] * 2
    assert [len(row) for row in Captioning(spec, beam=beam, max_steps=7).generate(model, batch)] == [7, 7]
