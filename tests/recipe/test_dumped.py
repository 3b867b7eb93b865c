"""The quick reader of written recipes gives what YAML's full grammar gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo import recipe as recipes
from rnnzoo.errors import RecipeError
from rnnzoo.recipe.dumped import _mapping, parse_dumped

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
keys = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
values = st.recursive(
    scalars, lambda inner: st.dictionaries(keys, inner, max_size=4) | st.lists(scalars, max_size=3), max_leaves=12
)


@given(st.dictionaries(keys, values, max_size=5))
def test_every_recipe_that_is_written_is_read_as_the_full_grammar_reads_it(recipe):
    text = recipes.dump(recipe)
    try:
        expected = recipes.parse(text, "file")
    except RecipeError:
        with pytest.raises(RecipeError):
            parse_dumped(text, "file")
        return
    assert repr(parse_dumped(text, "file")) == repr(expected)


@pytest.mark.parametrize("name", recipes.shipped())
def test_a_shipped_recipe_is_read_alike_and_quickly_once_it_is_written(name):
    text = recipes.dump(recipes.read(name).data)
    assert _mapping(text) == recipes.parse(text, "file")


LINES = st.sampled_from(
    [
        "a:",
        "b: 1",
        "  c: x",
        "  d:",
        "    e: 2",
        "- f",
        "  - g: 1",
        "a: |",
        " text",
        "h: [1",
        "#",
        "? i",
        "j: &k 1",
        "l: *k",
        "m: 'x",
        "'",
        "--- ",
        "n: o: p",
        "q: {r: 1}",
        "s: 1e3 # t",
    ]
)


@given(st.lists(LINES, max_size=7).map("\n".join))
def test_any_other_text_means_what_the_full_grammar_says_or_is_refused_as_there(text):
    try:
        expected = recipes.parse(text, "file")
    except RecipeError as error:
        with pytest.raises(RecipeError) as refused:
            parse_dumped(text, "file")
        assert str(refused.value) == str(error)
        return
    assert repr(parse_dumped(text, "file")) == repr(expected)
