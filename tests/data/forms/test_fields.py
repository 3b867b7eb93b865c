"""What a form says of its inputs without data is what it makes of data."""

import numpy as np
import pytest

from rnnzoo.data.forms import FORMS
from rnnzoo.testing.tasks.samples import sample


def rows(form):
    if form == "tagged_text":
        return {"words": [["aa", "ab"], ["bb"]], "tags": [["X", "Y"], ["Y"]]}
    if not form.endswith("_sound"):
        return sample(form)
    sounds = [np.sin(np.arange(4000) * pitch).astype(np.float32) for pitch in (0.1, 0.2, 0.3)]
    return {"sound": sounds, "rate": [8000] * 3, "label": ["x", "y", "x"], "text": ["a", "b", "a b"]}


@pytest.mark.parametrize(
    ("form", "settings"),
    [*((form, {}) for form in FORMS), ("tagged_text", {"characters": True}), ("tagged_text", {"case": True})],
    ids=str,
)
def test_the_fields_of_the_settings_are_those_of_the_data(form, settings):
    spec = FORMS[form](**settings).fit(rows(form))
    assert FORMS[form].fields(settings) == {name: field.kind for name, field in spec.inputs.items()}
