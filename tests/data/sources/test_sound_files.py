import wave

import numpy as np
import pytest

from rnnzoo import recipe as recipes
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms.sounds import LabelledSound
from rnnzoo.data.sources.sound_files import SoundFiles
from rnnzoo.errors import DataError
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.inference import predictor


@pytest.fixture
def table(tmp_path):
    """A table of six recordings in a folder beside it, low tones and high ones."""
    (tmp_path / "takes").mkdir()
    rows = ["file,label"]
    for take in range(6):
        kind, hertz = ("low", 100) if take % 2 else ("high", 300)
        tone = np.sin(2 * np.pi * hertz * np.arange(200 + 10 * take) / 1000) / 2
        with wave.open(str(tmp_path / "takes" / f"{take}.wav"), "wb") as file:
            file.setparams((1, 2, 1000, 0, "NONE", ""))
            file.writeframes((tone * 2**15).astype("<i2").tobytes())
        rows.append(f"takes/{take}.wav,{kind}")
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "train.csv"


def test_recordings_are_read_from_the_tables_folder_and_some_of_each_label_held_out(table):
    parts = SoundFiles(str(table), dev_fraction=0.3).read()
    assert [len(sound) for sound in parts["train"]["sound"]] == [200, 210, 220, 230]
    assert parts["dev"]["label"] == ["high", "low"] and parts["dev"]["rate"] == [1000, 1000]
    data = ZooData(SoundFiles(str(table)), LabelledSound(n_mels=4))
    assert data.spec.labels == ("high", "low") and data.sizes == {"train": 4, "dev": 2}


def test_a_wrong_column_is_told_with_the_keys_that_name_columns(table):
    with pytest.raises(
        DataError, match=r"no column 'wav'.\n  Found: file, label.\n  file_column and label_column name"
    ):
        SoundFiles(str(table), file_column="wav").read()


def test_a_bad_recording_is_named_with_its_table_and_row(table):
    (table.parent / "takes" / "2.wav").write_bytes(b"not sound")
    with pytest.raises(DataError, match=r"train.csv, row 3: takes/2.wav is not a WAV file"):
        SoundFiles(str(table)).read()
    (table.parent / "takes" / "0.wav").unlink()
    with pytest.raises(DataError, match=r"cannot read the sound .*train.csv, row 1: takes/0.wav: No such file"):
        SoundFiles(str(table)).read()


@pytest.mark.parametrize("take", [2, 4])
def test_a_row_keeps_its_number_in_the_table_when_others_are_held_out(table, take):
    with wave.open(str(table.parent / "takes" / f"{take}.wav"), "wb") as file:
        file.setparams((1, 2, 44100, 0, "NONE", ""))
        file.writeframes(bytes(2000))
    source = SoundFiles(str(table))
    assert source.read()["dev"]["rate"] == [44100 if take == 4 else 1000, 1000]  # rows 5 and 6 are held out
    with pytest.raises(DataError, match=rf"train.csv, row {take + 1}: column 'rate': 44100 Hz, where 1000 Hz"):
        ZooData(source, LabelledSound(n_mels=4)).prepare()


def test_a_model_of_recordings_is_asked_with_paths(table, tmp_path):
    recipe = resolve(
        recipes.of(
            {
                "data": {"name": "sound_files", "train": str(table), "n_mels": 4, "batch_size": 4},
                "task": {"name": "classification"},
                "model": {"architecture": {"name": "gru", "hidden_size": 4}},
                "optimizer": {"name": "adam", "lr": 0.1},
                "trainer": {"max_epochs": 15, "enable_progress_bar": False},
                "tracking": {"mode": "disabled"},
            },
            "tones",
        )
    )
    _, run = fit(recipe, tmp_path / "run")
    asked = [str(table.parent / "takes" / f"{take}.wav") for take in (0, 1)]
    assert [answer["label"] for answer in predictor.load(run.path).predict(asked)] == ["high", "low"]
