"""A page in a headless Chromium: it answers as PyTorch does, cuts texts as Python does, and can be used by anyone."""

import json
import unicodedata
from dataclasses import replace

import page_models as made
import pytest
import regex
import torch
import torch.nn.functional as F
from browser import Browser, needs_chromium
from torch import nn

import rnnzoo
from rnnzoo import Named, PointwiseCell, StateSpec
from rnnzoo.data.encoding import word_features
from rnnzoo.data.encoding.text import WORD, Encoder
from rnnzoo.data.forms.tagged import bare
from rnnzoo.export.web import pages, verify
from rnnzoo.runs import pretrained_models
from rnnzoo.tasks.calibration import Calibration

pytestmark = [needs_chromium, pytest.mark.slow]
ODD = [
    "",
    " \t\n",
    "naïve “quotes” don’t 'tis o'clock I'M 'S y'all'd",
    "日本語とひらがな",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301 it\uff07s",
    "ΣΟΦΟΣ Σ ΑΣ.",
    "İstanbul ﬁ ǅ ß ẞ",
    "कि\u0301ताब ไทย",
    "a_b __c__ 3.14 ²³ ① Ⅷ ½",
    "x\u2028y\x1cz\x85w\ufeffv\u200bu",
    "<unk> <eos> <pad>",
    "\u1100\u1161\u11a8 \uac01",
    "a\u0327\u0301b\U0001d165\U0001d16e",
    "…—–!?¿¡«»",
]


class Blocks(PointwiseCell):
    """A product by blocks, an activation of its own, and a number that it owns."""

    gates = ("a", "b")
    recurrent = "block"
    blocks = 4
    params = ("scale",)

    def update(self, gx: Named, gh: Named, state: Named):
        a = torch.sigmoid(gx.a + self.scale * gh.a)
        return (a * state.h + (1 - a) * F.softplus(gx.b - gh.b).clamp(max=2),)


class Skipping(PointwiseCell):
    """An input that goes around the step, normalised over units on its way out."""

    gates = ("c", "f")
    recurrent = None

    def state_specs(self):
        return StateSpec("c", (self.hidden_size,)), StateSpec("m", (self.hidden_size,), initial=0.5)

    def make_recurrent_bias(self) -> None:
        super().make_recurrent_bias()
        self.skip = nn.Linear(self.input_size, self.hidden_size)
        self.norm = nn.LayerNorm(self.hidden_size)

    def project(self, x):
        return super().project(x), torch.tanh(self.skip(x))

    def gates_of(self, gx):
        return gx[0]

    def update(self, gx: Named, gh: Named, state: Named):
        f = torch.sigmoid(gx.f + state.m)
        return f * state.c + (1 - f) * gx.c, torch.maximum(state.m * 0.9, gx.f)

    def readout(self, gx, state: Named):
        return self.norm(state.c) * gx[1]


CELLS = [
    "lstm",
    "vanilla_relu",
    {"name": "zoneout", "rate": 0.2, "cell": "lstm"},
    {"name": "weight_drop", "cell": "gru"},
    {"name": "output_norm", "kind": "rms", "cell": "lstm"},
    {"name": "residual", "cell": "gru"},
    {"name": "highway", "cell": {"name": "output_norm", "cell": "gru"}},
    Blocks,
    Skipping,
]
SPANS = ("B-A", "I-A", "O", "B-B")
LETTERS = {"encoder": {"name": "bidirectional", "cell": "gru", "hidden_size": 3}}


def calibrated():
    model = made.sentiment()
    model.task.calibration = Calibration(temperature=2.5)
    return model


MODELS = {
    "calibrated": calibrated,
    "both directions, merged by a product": lambda: made.sentiment(name="bidirectional", num_layers=2, merge="product"),
    "residual layers in both directions": lambda: made.sentiment(num_layers=3, bidirectional=True, residual=True),
    "attention": lambda: made.predictor(
        "sentiment",
        made.labelled(unit="character", max_length=9, truncate="head_tail"),
        {"name": "recurrent", "cell": "gru", "hidden_size": 5},
        pooling="attention",
    ),
    "the largest": lambda: made.predictor(
        "classification", made.series("label"), {"name": "lstm", "hidden_size": 5}, pooling="max"
    ),
    "numbers": lambda: made.predictor(
        "regression", made.series("target"), {"name": "gru", "hidden_size": 5}, pooling="mean"
    ),
    **{
        f"channels, {missing}": lambda missing=missing: made.predictor(
            "classification", made.channels("label", missing), {"name": "lstm", "hidden_size": 5}
        )
        for missing in ("refuse", "mask", "forward", "interpolate")
    },
    "numbers in units": lambda: made.predictor(
        "regression", made.channels("target", "mask", "none"), {"name": "gru", "hidden_size": 5}
    ),
    **{
        f"a tag a step, crf {crf}": lambda crf=crf: made.predictor(
            "tagging", made.channels("tags", "interpolate"), {"name": "bidirectional", "hidden_size": 4}, {"crf": crf}
        )
        for crf in (False, True)
    },
    "tags together": lambda: made.predictor(
        "tagging",
        made.tagged(SPANS, characters=True, case=True, lowercase=True),
        {"name": "bidirectional", "hidden_size": 4},
        {"crf": True},
        inputs={"characters": LETTERS},
    ),
    "tags one by one": lambda: made.predictor(
        "tagging", made.tagged(characters=True, max_length=4), {"name": "recurrent", "hidden_size": 4}
    ),
    "words by clusters": lambda: made.predictor(
        "next_word", made.stream(unit="word"), {"name": "stacked", "hidden_size": 8}, {"cutoffs": [6, 11]}
    ),
    "tied weights": lambda: made.predictor(
        "next_word",
        made.stream(),
        {"name": "gru", "hidden_size": 6},
        inputs={"tokens": {"size": 6}},
        head={"tie_weights": True},
    ),
    "gaps": lambda: made.predictor("masked_word", made.masked(), {"name": "bidirectional", "hidden_size": 4}),
}


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture(autouse=True)
def no_error(browser):
    yield
    assert browser.errors == []


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_page_runs_any_cell_that_can_be_traced(browser, cell):
    model = made.sentiment(cell)
    assert verify.compare(browser, pages.make(model), model).size <= 2e-5


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_a_page_answers_as_the_model_does(browser, build):
    model = build()
    assert verify.compare(browser, pages.make(model), model).size <= 2e-5


@pytest.mark.parametrize("name", sorted({*pretrained_models.names()} - {*pretrained_models.ALIASES}))
def test_every_shipped_model_runs_in_a_page_of_5_mb(browser, name):
    model = rnnzoo.load(name)
    page = pages.make(model)
    assert page.size <= 5_000_000
    assert verify.compare(browser, page, model).size <= 1e-4
    assert browser.requests[-1].startswith("file:")  # the page itself


def test_weights_of_8_bits_answer_as_the_model_with_those_weights(browser):
    model = rnnzoo.load("quickstart")
    page, whole = pages.make(model, "int8"), pages.make(model)
    assert page.size < whole.size and page.stored["int8"] > 70_000
    assert verify.compare(browser, page, model).size <= 1e-5
    assert verify.rounding(page, model).logits > 1e-4 and verify.rounding(whole, model).logits == 0


def test_a_page_cuts_texts_as_python_does(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(pages.page(made.sentiment()), encoding="utf-8")
    browser.open(path)
    for unit in ("word", "space", "character", "subword"):
        pieces = [*ODD, *made.TEXTS] * 2
        encoder = Encoder.fit(pieces, 400, 1, unit, lowercase=False)
        for lowercase in (False, True):
            encoder = Encoder(encoder.names, unit, lowercase, merges=encoder.merges)
            field = {"names": encoder.names, "options": encoder.field().options}
            script = f"((e) => {json.dumps(ODD)}.map((text) => e.tokens(text)))(new Encoder({json.dumps(field)}))"
            assert browser.run(script) == list(map(list, encoder.tokens(ODD)))
    words = Encoder.fit([text.split() for text in ODD], 30, 1, "space")
    field = {"names": words.names, "options": words.field().options}
    script = f"((e) => {json.dumps(ODD)}.map((text) => bareWords(text, e)))(new Encoder({json.dumps(field)}))"
    assert browser.run(script) == [[w for piece in text.split() for w in bare(piece, words)] for text in ODD]
    pieces = [piece for text in ODD for piece in text.split()]
    assert browser.run(f"{json.dumps(pieces)}.map(shape)") == list(map(word_features.shape, pieces))


def test_a_page_knows_the_kinds_of_all_characters_that_python_knows(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(pages.page(made.sentiment()), encoding="utf-8")
    browser.open(path)
    ignored = ("Cn", "Cs", "Co")  # what is not assigned in Python's Unicode may be in the browser's
    known = "".join(c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ignored)
    words = set(regex.findall(r"\w", known))
    expected = {"word": words, "mark": set(re_marks(known)) - words, "digit": {c for c in known if c.isdigit()}}
    script = f"""(() => {{
      const all = Array.from({json.dumps(known)}), word = new RegExp(`^[${{W}}]$`, "u");
      const one = new RegExp(`^(?:${{WORD.source}})$`, "u");
      return {{ word: all.filter((c) => word.test(c)).join(""), digit: all.filter((c) => DIGIT.test(c)).join(""),
        mark: all.filter((c) => one.test(c) && !word.test(c)).join("") }};
    }})()"""
    for kind, characters in browser.run(script).items():
        assert set(characters) ^ expected[kind] == set(), kind


def re_marks(known: str) -> list[str]:
    """The characters that are a token by themselves."""
    return [token for token in WORD.findall(" ".join(known)) if len(token) == 1]


def shown(browser, folder, model, **size) -> None:
    """A model's page in the browser, unpacked."""
    path = folder / "page.html"
    path.write_text(pages.page(model), encoding="utf-8")
    browser.open(path, **size)
    browser.run("ready.then(() => null)")


def typed(browser, text: str) -> None:
    """Type a text, and wait for the answer: where answers are slow it comes after the last key."""
    browser.run(
        f"""(async () => {{
          const before = number;
          field.value = {json.dumps(text)};
          field.dispatchEvent(new Event("input"));
          while (number === before) await new Promise((resume) => setTimeout(resume, 10));
        }})()"""
    )


def content(browser, what: str) -> str:
    return browser.run(f"document.querySelector({json.dumps(what)}).textContent")


def test_what_comes_next_is_the_same_however_a_text_was_typed(browser, tmp_path):
    model = made.predictor("next_word", made.stream(unit="character"), {"name": "stacked", "hidden_size": 8})
    shown(browser, tmp_path, model)
    for text in ("the", "the d", "the dog was", "the dot", "", "a", "a bad day"):
        found = browser.run(f"following({json.dumps(text)}).next")
        (expected,) = model.predict([text])
        assert found == pytest.approx(expected["next"], abs=1e-5)


@pytest.mark.parametrize("dark", [False, True])
def test_answers_and_pictures_follow_what_is_typed_on_a_phone_too(browser, tmp_path, dark):
    shown(browser, tmp_path, rnnzoo.load("quickstart"), width=390, height=844, dark=dark)
    typed(browser, "the food was not bad at all")
    assert content(browser, ".best b") == "positive" and "Answered in" in content(browser, "#says")
    assert browser.run("[...document.querySelectorAll('.token')].slice(0, 3).map((t) => t.textContent)") == [
        "the",
        "food",
        "was",
    ]
    typed(browser, "the food was bad and not good")
    assert content(browser, ".best b") == "negative"
    assert content(browser, "#heat-says").endswith("64 units, 7 steps")
    assert browser.run("document.documentElement.scrollWidth") == 390
    unnamed = (
        "[...document.querySelectorAll('button,select,input,textarea,canvas')].filter((e) => !(e.labels?.length || "
    )
    assert browser.run(unnamed + "e.textContent.trim() || e.getAttribute('aria-label'))).length") == 0


def test_the_keyboard_reads_each_value_and_chooses_each_gate(browser, tmp_path):
    shown(browser, tmp_path, made.sentiment("lstm"))
    typed(browser, "the dog was bad")
    browser.run("document.getElementById('heat').focus()")
    browser.press("ArrowRight")
    browser.press("ArrowDown")
    value = browser.run("model.reply('the dog was bad').seen[0].states[2 * 8 + 1 - 2 * 8]")
    assert content(browser, "#heat-says") == f"step 1 “the”, unit 2: state h is {value:.3f}".replace("-", "\u2212")
    browser.run("[...document.querySelectorAll('#what button')][1].focus()")
    browser.press("Enter")
    assert content(browser, "#what [aria-pressed=true]") == "gate f" and content(browser, "#low") == "0"


def test_a_language_model_writes_the_same_for_the_same_seed_and_can_be_stopped(browser, tmp_path):
    shown(browser, tmp_path, rnnzoo.load("shakespeare_lstm"))
    typed(browser, "KING:")
    assert browser.run("document.querySelectorAll('.bars li').length") == 5
    browser.run("document.getElementById('length').value = 80")
    texts = []
    for seed in (3, 3, 4):
        browser.run(f"document.getElementById('seed').value = {seed}")
        browser.run("writeOn()")
        texts.append(content(browser, ".written"))
    assert texts[0] == texts[1] != texts[2] and texts[0].startswith("KING:") and len(texts[0]) == 85
    browser.run("document.getElementById('length').value = 5000")
    stopped = browser.run("(async () => { const all = writeOn(); await writeOn(); await all; return 1 })()")
    assert stopped == 1 and len(content(browser, ".written")) < 5000 and content(browser, "#write") == "Write on"


def test_words_that_are_markup_are_shown_as_words(browser, tmp_path):
    model = made.sentiment()
    mean = "<img src=x onerror=alert(1)>"
    model.spec = replace(model.spec, target=replace(model.spec.target, names=(mean, mean + "b", mean + "c")))
    model.task.spec = model.spec
    shown(browser, tmp_path, model)
    typed(browser, mean)
    assert content(browser, ".best b").startswith(mean) and browser.run("document.images.length") == 0


def test_a_series_that_is_no_series_is_said_to_be_none(browser, tmp_path):
    model = made.predictor("regression", made.series("target"), {"name": "gru", "hidden_size": 5})
    shown(browser, tmp_path, model)
    for text, words in {
        "1 2\n3": "step 2 has 1 numbers, where 2 are expected.",
        "1 x": "step 1 is not a number.",
        "": "no numbers yet.",
    }.items():
        typed(browser, text)
        assert content(browser, "#says") == words
    typed(browser, "1, 2\n3; 4")
    (expected,) = model.predict([[[1, 2], [3, 4]]])
    assert browser.run("model.reply('1, 2\\n3; 4').answer.values") == pytest.approx(expected["values"], abs=1e-5)
