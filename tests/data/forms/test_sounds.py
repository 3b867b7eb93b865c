import io
import json
import wave

import numpy as np
import pytest

from rnnzoo.batch import DataSpec
from rnnzoo.data.forms import FORMS, fits
from rnnzoo.data.forms.sounds import LabelledSound, TranscribedSound
from rnnzoo.data.readers.audio import LogMel, read_wav, resampled
from rnnzoo.errors import DataError

RATE = 1000
RANDOM = np.random.default_rng(0)
SOUNDS = [RANDOM.normal(scale=0.1, size=size).astype(np.float32) for size in (300, 120, 210)]
LABELLED = {"sound": SOUNDS, "rate": [RATE] * 3, "label": ["b", "a", "b"]}
SMALL = {"n_mels": 3, "window_ms": 20, "hop_ms": 10}


def wav(samples):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((samples * 2**15).astype("<i2").tobytes())
    return out.getvalue()


def test_the_training_part_has_features_of_mean_zero_and_deviation_one():
    form = LabelledSound(**SMALL, stack=2)
    spec = form.fit(LABELLED)
    examples = form.encode(LABELLED, spec)
    assert spec.inputs["values"].size == examples.values.shape[1] == 6
    np.testing.assert_allclose(examples.values.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(examples.values.std(0), 1, atol=1e-5)
    assert [spec.labels[label] for label in examples.target] == LABELLED["label"]


def test_other_parts_are_standardised_by_the_training_part():
    form = LabelledSound(**SMALL)
    spec = form.fit(LABELLED)
    louder = form.encode({"sound": [sound * 10 for sound in SOUNDS], "rate": [RATE] * 3}, spec)
    deviation = np.array(spec.inputs["values"].options["deviation"])
    np.testing.assert_allclose(louder.values.mean(0), 2 * np.log(10) / deviation, rtol=1e-3)


def test_a_band_that_is_the_same_everywhere_is_zero_and_not_infinite():
    silent = {"sound": [np.zeros(50)] * 2, "rate": [RATE] * 2, "label": ["a", "b"]}
    form = LabelledSound(**SMALL)
    np.testing.assert_allclose(form.encode(silent, form.fit(silent)).values, 0, atol=1e-5)


def test_files_are_heard_as_the_rows_were_that_the_spec_is_of(tmp_path):
    files = [wav(sound) for sound in SOUNDS]
    columns = LABELLED | {"sound": [read_wav(file)[0] for file in files]}
    form = LabelledSound(**SMALL, stack=2)
    spec = form.fit(columns)
    wanted = form.encode(columns, spec)
    stored = DataSpec.from_json(json.loads(json.dumps(spec.to_json())))
    (tmp_path / "x.wav").write_bytes(files[1])
    found = FORMS["labelled_sound"].from_spec(stored).ask([files[0], str(tmp_path / "x.wav"), files[2]], stored)
    np.testing.assert_array_equal(found.values, wanted.values)
    np.testing.assert_array_equal(found.offsets, wanted.offsets)
    assert found.target is None


def test_another_rate_is_refused_with_its_row():
    form = LabelledSound(**SMALL)
    with pytest.raises(DataError, match=r"column 'rate', row 3: 1001 Hz, where 1000 Hz are expected"):
        form.fit(LABELLED | {"rate": [RATE, RATE, 1001]})


def test_other_rates_are_resampled_where_a_rate_is_given_in_prediction_too():
    form = LabelledSound(**SMALL, sample_rate=RATE)
    twice = [np.repeat(sound, 2) for sound in SOUNDS]
    mixed = {"sound": [SOUNDS[0], resampled(SOUNDS[1], RATE, 1500), twice[2]], "rate": [RATE, 1500, 2 * RATE]}
    alike = {"sound": [s if r == RATE else resampled(s, r, RATE) for s, r in zip(*mixed.values(), strict=True)]}
    spec = form.fit(mixed | {"label": LABELLED["label"]})
    stored = DataSpec.from_json(json.loads(json.dumps(spec.to_json())))
    asked = FORMS["labelled_sound"].from_spec(stored)
    found, wanted = asked.encode(mixed, stored), asked.encode(alike | {"rate": [RATE] * 3}, stored)
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-5)


@pytest.mark.parametrize("sound", [[], [0.0, np.nan], np.zeros((2, 2))])
def test_what_is_no_sound_is_refused_with_its_row(sound):
    form = LabelledSound(**SMALL)
    with pytest.raises(DataError, match="column 'sound', row 2"):
        form.fit(LABELLED | {"sound": [SOUNDS[0], sound, SOUNDS[2]]})


def test_a_transcribed_sound_has_its_text_and_its_steps():
    columns = {"sound": SOUNDS, "rate": [RATE] * 3, "text": ["One two", "two", "one two one"]}
    form = TranscribedSound(**SMALL, stack=3)
    spec = form.fit(columns)
    batch = form.encode(columns, spec)[[0, 1, 2]]
    assert batch.lengths.tolist() == [len(LogMel(RATE, **SMALL, stack=3)(SOUNDS[row])) for row in (0, 2, 1)]
    names = [[spec.target.names[token] for token in row if token >= 0] for row in batch.target.tolist()]
    assert names == [["one", "two"], ["one", "two", "one"], ["two"]]


def test_a_labelled_sound_is_a_labelled_series_and_no_transcribed_one():
    assert fits("labelled_sound", "labelled_series") and fits("transcribed_sound", "transcribed_series")
    assert not fits("labelled_series", "labelled_sound") and not fits("labelled_sound", "transcribed_series")
