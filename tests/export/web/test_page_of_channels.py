"""A page of named channels in a headless Chromium: its gaps are filled as Python fills them, its rows read by name."""

import itertools
import json

import numpy as np
import page_models as made
import pytest
from browser import Browser, needs_chromium

from rnnzoo.data.encoding.gaps import filled
from rnnzoo.errors import DataError
from rnnzoo.export.web import pages

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


@pytest.fixture
def show(browser, tmp_path):
    """Show a model's page; every script must run without an error."""

    def shown(model, **size) -> None:
        path = tmp_path / "page.html"
        path.write_text(pages.page(model), encoding="utf-8")
        browser.open(path, **size)
        browser.run("ready.then(() => null)")

    yield shown
    assert browser.errors == []


def labeller(missing: str, **settings):
    return made.predictor("classification", made.channels("label", missing, **settings), {"name": "gru"} | SMALL)


SMALL = {"hidden_size": 5}


def python_fills(values: np.ndarray, missing: str, mean: np.ndarray) -> list[list[float]] | None:
    """A list for each channel; None where it is refused."""
    try:
        return filled(values, ("a", "b"), missing, mean).T.tolist()
    except DataError:
        return None


def test_a_page_fills_gaps_as_python_does_and_refuses_what_it_refuses(browser, show):
    show(labeller("mask"))
    random, cases = np.random.default_rng(0), []
    for missing, steps in itertools.product(("refuse", "mask", "forward", "interpolate"), (1, 2, 3, 8, 40)):
        for share in (0.0, 0.2, 0.5, 0.9):
            values, mean = random.normal(1e3, 1e2, (steps, 2)), random.normal(size=2)
            gaps = random.random((steps, 2)) < share
            gaps[0] &= missing != "forward" or random.random() < 0.2
            values[gaps] = np.nan
            cases.append((values, missing, mean))
    expected = [python_fills(*case) for case in cases]
    asked = [
        [[[None if np.isnan(v) else v for v in channel] for channel in values.T.tolist()], missing, mean.tolist()]
        for values, missing, mean in cases
    ]
    found = browser.run(
        f"""{json.dumps(asked)}.map(([numbers, missing, mean]) => {{
          const channels = numbers.map((one) => one.map((value) => value ?? NaN));
          try {{ return FILL[missing](channels, ["a", "b"], mean); }} catch {{ return null; }}
        }})"""
    )
    assert 10 < sum(one is None for one in expected) < len(expected) - 10
    for one, other, case in zip(expected, found, cases, strict=True):
        assert (one is None) == (other is None), case
        if one is not None:
            np.testing.assert_allclose(other, one, rtol=1e-12, err_msg=str(case))


def values_of(browser, text: str) -> list[float]:
    return browser.run(f"Array.from(model.ask({json.dumps(text)}).fields.values)")


def message(browser, text: str) -> str:
    return browser.run(f"(() => {{ try {{ model.ask({json.dumps(text)}) }} catch (e) {{ return e.message }} }})()")


def test_rows_are_read_in_the_order_of_the_channels_or_by_a_line_of_their_names(browser, show):
    model = labeller("interpolate", scale="none", static=False)
    show(model)
    expected = [1, 10, 2, 15, 3, 20]
    for text in (
        "1, 10\n2, \n3, 20",
        "1\t10\r\n2\t\r\n3\t20\r\n",
        "2;heart rate\n10;1\nNaN;2\n20;3\n\n",
        '"2","heart rate"\n10,1\n,2\n20,3',
        "1 1e1\n+2 nan\n3.0 20.",
        "[[1, 10], [2, null], [3, 20]]",
        "[[1, 10], [2, NaN], [3, 20]]",
        '{"2": [10, null, 20], "heart rate": [1, 2, 3]}',
    ):
        assert values_of(browser, text) == expected, text
    for text, words in {
        "": "no numbers yet",
        "heart rate,2": "no numbers yet",
        "1, 10\n2": "step 2 has 1 values, where 2 are expected: heart rate, 2",
        "1, 10\n\n2, 3": "step 2 has 1 values, where 2 are expected: heart rate, 2",
        "1, ten": "step 1: '2' is 'ten', not a number",
        "1, 0x10": "step 1: '2' is '0x10', not a number",
        "pulse, x\n1, 2": "expected the channels heart rate, 2, found pulse, x",
        "1,\n2,": "'2' has no value at all, so there is none to go by",
        "1, 1e39": "a number is infinite, or too far from those of the training split",
        "[[1, 2": "this is no JSON yet",
        '{"2": [1]}': "'heart rate' is not as expected: heart rate, 2",
    }.items():
        assert message(browser, text) == words


def test_tags_of_steps_are_shown_as_stretches(browser, show):
    model = made.predictor("tagging", made.channels("tags", static=False), {"name": "recurrent"} | SMALL)
    show(model)
    (expected,) = model.predict([[[1, 2], [60, 3], [90, 4], [0, 5]]])
    assert browser.run("model.reply('1 2\\n60 3\\n90 4\\n0 5').answer") == expected
    assert browser.run("stretches(['a', 'a', 'b', 'a'])") == [["1\u20132", "a"], ["3", "b"], ["4", "a"]]
    assert browser.run("document.querySelectorAll('.tagged .word').length") >= 1


def test_a_series_has_its_static_columns_in_fields_and_is_answered_as_the_model_does(browser, show):
    model = made.predictor("regression", made.channels("target", "mask"), {"name": "gru"} | SMALL)
    show(model, width=390, height=844)
    named = "[...document.querySelectorAll('[data-static]')].map((one) => one.labels[0].firstChild.textContent.trim())"
    assert browser.run(named) == ["age", "10"]
    browser.run(
        """(() => {
          const [age, kind] = document.querySelectorAll("[data-static]");
          field.value = "2, heart rate\\n0.5, 41\\n, 43";
          age.value = "31.5";
          kind.selectedIndex = [...kind.options].findIndex((one) => one.text === "<b>");
          kind.dispatchEvent(new Event("input"));
        })()"""
    )
    (expected,) = model.predict([{"heart rate": [41, 43], "2": [0.5, float("nan")], "age": 31.5, "10": "<b>"}])
    answer = browser.run("model.reply(field.value).answer")
    assert answer["targets"] == expected["targets"] == ["weight", "size"]
    assert answer["values"] == pytest.approx(expected["values"], rel=1e-4)
    answer = "{ values: [-2.5e-7, 1234567], targets: ['a', 'b'] }"
    shown = f"SHOW.numbers(model, {{ answer: {answer}, asked: model.ask(field.value) }})"
    assert browser.run(f"{shown}[0].textContent") == "a \u22122.5e\u22127, b 1234570"
    assert browser.run("document.querySelector('.best').textContent").startswith("weight ")
    assert browser.run("document.documentElement.scrollWidth") == 390
    browser.run("document.querySelector('[data-static]').value = ''; respond()")
    assert browser.run("says.textContent") == "'age' is not a number."
