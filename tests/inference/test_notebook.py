"""A real notebook: training shows a bar as a widget, a model and its page are shown inline."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("ipywidgets")

WIDGET = "application/vnd.jupyter.widget-view+json"
CELLS = """
import rnnzoo
rows = [(f"a {word} film {n}", word) for n in range(20) for word in ("good", "bad")]
sections = dict(trainer={"max_epochs": 2}, tracking={"mode": "disabled"}, **{"data.batch_size": 8})
---
model = rnnzoo.fit(data=rows, **sections)
---
model
---
model.report()
---
again = rnnzoo.fit(data=rows, **sections)
print(again.run != model.run, again.predict(["a good film"]) == model.predict(["a good film"]))
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each cell put out, after all have run in one kernel."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS.split("---")])
    home = {"JUPYTER_CONFIG_DIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder), "IPYTHONDIR": str(folder)}
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute(env=os.environ | home)
    return folder, [cell.outputs for cell in notebook.cells]


def printed(cell):
    return "".join(output.text for output in cell if output.output_type == "stream")


def shown(cell):
    return [output.data for output in cell if output.output_type in ("display_data", "execute_result")]


@pytest.mark.slow
def test_a_training_is_a_widget_and_a_line_for_each_epoch(outputs):
    folder, cells = outputs
    assert any(WIDGET in data for data in shown(cells[1]))
    text = printed(cells[1])
    assert "epoch 1/2  train/loss" in text and "epoch 2/2  train/loss" in text and "\r" not in text and "%|" not in text
    assert len(list(Path(folder).glob("runs/sentiment/*/summary.json"))) == 2


@pytest.mark.slow
def test_a_model_and_its_page_are_shown_inline(outputs):
    _, cells = outputs
    (model,), (page,) = shown(cells[2]), shown(cells[3])
    assert "rnnzoo model" in model["text/plain"] and model["text/html"].startswith("<table")
    assert page["text/html"].startswith("<iframe") and "&lt;svg" in page["text/html"]


@pytest.mark.slow
def test_a_second_training_in_the_same_kernel_gives_the_same_model(outputs):
    assert printed(outputs[1][4]).endswith("True True\n")
