"""A page is one closed file, whatever the model's words are; what a page cannot run is refused by name."""

import copy
import json
import math
import re
import zlib
from dataclasses import replace

import page_models as made
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Page

from rnnzoo.batch import DataSpec, Field
from rnnzoo.cli import main
from rnnzoo.engine.codegen.ir import BINARY, UNARY
from rnnzoo.errors import ZooError
from rnnzoo.export import cost
from rnnzoo.export.web import bundle, expressions, forms, pages, tasks, verify
from rnnzoo.system import chromium
from rnnzoo.tasks.forecasting import Forecasting

MEAN = '</script><script>alert("1")</script>'


def decoded(text: str) -> bytes:
    """What `bundle.encoded` wrote, by arithmetic: 13 bits in two letters, the lowest first."""
    size, letters = text.split(" ")
    values = [bundle.ALPHABET.index(ord(letter)) for letter in letters]
    pairs = zip(values[::2], values[1::2], strict=True)
    whole = sum((low + 91 * high) << (13 * k) for k, (low, high) in enumerate(pairs))
    return whole.to_bytes(math.ceil(len(values) / 2 * 13 / 8) + 1, "little")[: int(size)]


def described(source: str) -> dict:
    """What a page says of its model."""
    data = zlib.decompress(decoded(Page(source).texts["script"][0]))
    return json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_come_back_from_letters_that_html_does_not_read_as_markup(data):
    text = bundle.encoded(data)
    assert decoded(text) == data and not set(text) & set("<>&\n")


def test_a_page_is_one_file_that_loads_nothing():
    source = pages.page(made.sentiment())
    assert "http" not in re.sub(r"http-equiv|http://www.w3.org/2000/svg", "", source)
    facts = described(source)
    assert facts["shown"]["labels"] == ["a", "b", "c"] and facts["fields"]["tokens"]["names"][0] == "<pad>"


def test_labels_and_words_that_are_markup_stay_words():
    model = made.sentiment()
    field = model.spec.inputs["tokens"]
    tokens = replace(field, names=(*field.names[:-1], MEAN))
    model.spec = replace(
        model.spec, inputs={"tokens": tokens}, target=replace(model.spec.target, names=(MEAN, "b", "c"))
    )
    model.task.spec = model.spec
    model.recipe |= {"name": MEAN, "data": {"name": MEAN}}
    source = pages.make(model, text=MEAN).source
    assert MEAN not in source and "alert(" not in "".join(Page(source).texts["script"])
    assert described(source)["shown"]["labels"] == [MEAN, "b", "c"]


def test_weights_are_stored_as_they_are_where_half_precision_has_them():
    model = made.sentiment()
    assert pages.make(model).stored.keys() == {"float32"}
    with torch.no_grad():
        for parameter in model.model.parameters():
            parameter.copy_(parameter.half())
    page = pages.make(model)
    assert page.stored.keys() == {"float16"} and not page.rounds


def test_a_model_is_rounded_to_what_its_page_stores_and_is_left_alone_itself(monkeypatch):
    monkeypatch.setattr(bundle, "SMALL", 1)
    model = made.sentiment()
    before = copy.deepcopy(model.model.state_dict())
    page = pages.make(model, "int8")
    weight, rounded = (m.inputs[0].embedding.weight.detach() for m in (model.model, page.network))
    step = weight.abs().amax(1) / 127
    assert ((weight - rounded).abs() <= 0.5001 * step[:, None]).all() and not torch.equal(weight, rounded)
    assert all(torch.equal(before[name], value) for name, value in model.model.state_dict().items())


def test_a_page_takes_the_highest_precision_that_fits_and_refuses_what_never_fits(monkeypatch):
    model = made.sentiment()
    sizes = {precision: pages.make(model, precision).size for precision in bundle.PRECISIONS}
    monkeypatch.setattr(bundle, "SMALL", 1)
    monkeypatch.setattr(pages, "MOST", sizes["float32"] - 1)
    assert pages.make(model).precision == "float16"
    monkeypatch.setattr(pages, "MOST", 1000)
    with pytest.raises(ZooError, match=r"the page would have 0.1 MB, and may have 0: the model has [\d,]+ weights"):
        pages.make(model)


def test_what_a_page_cannot_run_is_refused_in_one_line():
    refused = {
        "ProjectedLSTMCell: a state is not a real vector of hidden_size": lambda: made.sentiment("lstm_projected"),
        "the architecture Segment: it runs layers": lambda: made.predictor(
            "classification",
            made.series("label"),
            {"name": "segment", "cell": "gru", "hidden_size": 4, "segment": 2},
        ),
    }
    for words, build in refused.items():
        with pytest.raises(ZooError, match=re.escape(words)) as raised:
            pages.page(build())
        assert "\n" not in str(raised.value)


def test_what_a_page_cannot_ask_or_answer_is_refused_with_what_to_use_instead():
    for refused in (
        lambda: tasks.shown(Forecasting.__new__(Forecasting)),
        lambda: forms.of(DataSpec("labelled_sounds", {}, Field("label", ("a", "b")))),
    ):
        with pytest.raises(ZooError, match=r"\n  `rnnzoo predict RUN --file FILE` and `rnnzoo serve RUN`"):
            refused()


def test_a_page_names_the_channels_and_has_a_field_for_each_static_column():
    model = made.predictor("classification", made.channels("label", "forward"), {"name": "gru", "hidden_size": 4})
    source = pages.page(model)
    assert "A step a line: heart rate, 2, in this order or below a line of the names" in source
    assert source.count("data-static ") == 1 and source.count("<select data-static>") == 1
    assert "&lt;b&gt;" in source and "<b></option>" not in source
    assert [one["name"] for one in described(source)["fields"]["values"]["options"]["static"]] == ["age", "10"]


def test_every_operation_of_a_trace_has_javascript():
    assert {*UNARY, *BINARY, "where"} == expressions.EXPRESSIONS.keys()


def test_answers_differ_by_numbers_up_to_one_or_by_a_share_of_them_and_by_any_word():
    found = verify.differences({"a": 1000.0, "b": ["x", 0.5]}, {"a": 1001.0, "b": ["y", 0.25]}, "there")
    assert [one.size for one in found] == [0.001, float("inf"), 0.25]
    assert verify.differences([1], [1, 2], "there")[0].size == float("inf")
    assert verify.differences(0.0, float("nan"), "there")[0].size == float("inf")


def test_a_page_is_written_and_said_to_be_unverified_where_there_is_no_chromium(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(chromium, "find", lambda: None)
    monkeypatch.setattr(cost, "lines", lambda *_: ["test/accuracy: 1 with its own weights, 0.9 in 8 bits"])
    path = tmp_path / "quickstart.html"
    assert main(["page", "quickstart", "--out", str(path), "--int8", "--text", "not bad"]) == 0
    printed = capsys.readouterr().out
    assert "verified  no: no Chromium was found" in printed and "rounding  against the unrounded weights" in printed
    assert "cost      test/accuracy: 1 with its own weights, 0.9 in 8 bits" in printed
    assert ">\nnot bad</textarea>" in path.read_text(encoding="utf-8")


def test_a_page_that_does_not_answer_as_the_model_does_is_not_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(verify, "compare", lambda *_: verify.Difference(0.5, "0.1 of 'x', and PyTorch 0.6"))
    monkeypatch.setattr(chromium, "find", lambda: "chromium")
    monkeypatch.setattr(chromium, "Chromium", StandIn)
    path = tmp_path / "page.html"
    path.write_text("what was there")
    assert main(["page", "quickstart", "--out", str(path)]) == 2
    assert "the page does not answer as the model does, and was not kept: 0.1 of 'x'" in capsys.readouterr().err
    assert path.read_text() == "what was there"


class StandIn:
    """A browser that shows nothing."""

    errors: tuple[str, ...] = ()
    version = "none"

    def __init__(self, program: str) -> None:
        self.program = program

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        pass
