"""The same text, answered by the model and by its files: each shipped model, and strangers' cells."""

import shutil

import pytest
import torch
from test_c_file import Affine, Squared, language

import rnnzoo
from rnnzoo.export.base import Exported
from rnnzoo.export.format import write
from rnnzoo.export.formats import find

TEXTS = ["One of the best films I have seen, and not boring at all.", "it was truly not a surprise"]
FORMS = ("torch", "onnx", *(("c",) if shutil.which("cc") else ()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quickstart", "imdb_bilstm", "ud_pos", "shakespeare_lstm"])
def test_the_same_text_has_the_same_answer_in_torch_onnx_and_c(name, tmp_path, record_property):
    model = rnnzoo.load(name)
    exported = Exported(model)
    batch = model.form.ask(TEXTS, model.spec).collate([0, 1])
    first = [slot.initial.expand(len(TEXTS), *slot.shape).contiguous() for slot in exported.slots]
    inputs = [batch.inputs[field] for field in exported.fields]
    wanted = exported(*inputs, batch.lengths, *first)
    real = torch.arange(inputs[0].shape[1]) < batch.lengths[:, None]
    for form in FORMS:
        path = tmp_path / f"model{find(form).suffix}"
        write(exported, find(form), path)
        with find(form).running(exported, path) as run:
            found = run(*inputs, batch.lengths, *first)
            if exported.slots:
                cut = 7
                lengths = batch.lengths.clamp(max=cut)
                head, *state = run(*(x[:, :cut] for x in inputs), lengths, *first)
                tail, *state = run(*(x[:, cut:] for x in inputs), batch.lengths - lengths, *state)
                parts = torch.cat([head, tail], 1)
                assert (parts - wanted[0])[real].abs().max() < 1e-4
                for a, b in zip(state, wanted[1:], strict=True):
                    assert (a - b).abs().max() < 1e-4
        gap = found[0] - wanted[0]
        difference = (gap if exported.answers_once else gap[real]).abs().max().item()
        record_property(f"{name} {form}", difference)
        print(f"{name}  {form}  largest difference {difference:.2g}")
        assert difference < 1e-4


@pytest.mark.slow
def test_a_strangers_cell_is_exported_by_its_own_step(tmp_path):
    """One whose step traces, and one that no trace can hold."""
    try:
        for name, cell in {"affine": Affine, "squared": Squared}.items():
            rnnzoo.register("cells", name, cell)
            report = write(language(name), find("onnx"), tmp_path / f"{name}.onnx")  # by way of a program of torch
            assert report.difference < 1e-4
    finally:
        rnnzoo.unregister("cells", "affine")
        rnnzoo.unregister("cells", "squared")
