import json
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from rnnzoo.data.sources.spoken_digits import SpokenDigits
from rnnzoo.errors import DataError

HUB = Path(__file__).parents[3].parent / "shared" / "hub"


def wav(value, samples=5):
    """A recording of one value, by which it is known again."""
    data = struct.pack(f"<{samples}h", *[value] * samples)
    head = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 36, b"WAVEfmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", len(data))
    return head + data


def hub(takes, named=True):
    """Both parts of the Hub's set, with `takes` recordings of each digit by two speakers in the training split."""
    parts, value = {}, 0
    for part, count in (("train", takes), ("test", 2)):
        rows = []
        for digit in range(10):
            for speaker in ("ann", "bob"):
                for take in range(count):
                    value += 1
                    path = f"{digit}_{speaker}_{take}.wav" if named else None
                    rows.append({"audio": {"bytes": wav(value), "path": path}, "label": digit})
        parts[part] = Dataset.from_list(rows)
    return parts


def values(sound):
    """The recordings in a sound, by their values, in order."""
    numbers = (np.asarray(sound) * 2**15).astype(int)
    assert not len(numbers[numbers == 0]) or (numbers[0] and numbers[-1])
    spoken = numbers[numbers != 0]
    return spoken.reshape(-1, 5)[:, 0].tolist()


def test_every_speaker_and_digit_is_in_every_part_and_the_last_takes_are_dev():
    parts = SpokenDigits(dev_fraction=0.25).parts(hub(takes=8))
    assert {part: Counter(columns["label"]) for part, columns in parts.items()} == {
        part: Counter({str(digit): 2 * count for digit in range(10)})
        for part, count in (("train", 6), ("dev", 2), ("test", 2))
    }
    first = [values(sound)[0] for sound in parts["train"]["sound"]]
    assert [number for number in range(1, 161) if (number - 1) % 8 < 6] == first
    assert set(parts["train"]) == {"sound", "rate", "label"}


def test_recordings_without_names_are_held_out_by_digit():
    parts = SpokenDigits(dev_fraction=0.25).parts(hub(takes=8, named=False))
    assert Counter(parts["dev"]["label"]) == Counter({str(digit): 4 for digit in range(10)})


def test_a_bad_recording_is_named_with_its_row():
    parts = hub(takes=2)
    rows = parts["train"].to_list()
    rows[3]["audio"]["bytes"] = rows[3]["audio"]["bytes"][:-1]
    with pytest.raises(DataError, match=r"^0_bob_1.wav \(row 4\) is cut short"):
        SpokenDigits().parts(parts | {"train": Dataset.from_list(rows)})


@pytest.mark.slow
@pytest.mark.skipif(not HUB.is_dir(), reason="needs the folder ../shared/hub beside the repository")
def test_the_hub_gives_three_thousand_recordings_by_six_speakers():
    code = (
        "import json\n"
        "from collections import Counter\n"
        "from rnnzoo.data.sources.hub import load_hub\n"
        "from rnnzoo.data.sources.spoken_digits import SpokenDigits\n"
        "from rnnzoo.testing import check_dataset\n"
        "check_dataset('spoken_digits')\n"
        "source = SpokenDigits()\n"
        "parts = source.recordings(load_hub(source.hub_id))\n"
        "groups = {name: Counter(zip(c['label'], c['speaker'])) for name, c in parts.items()}\n"
        "seconds = sum(len(sound) / 8000 for columns in parts.values() for sound in columns['sound'])\n"
        "print(json.dumps([{n: [len(g), *sorted(set(g.values()))] for n, g in groups.items()}, seconds]))"
    )
    command = [sys.executable, str(HUB / "serve_hub.py"), "--", sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    groups, seconds = json.loads(result.stdout.splitlines()[-1])
    assert groups == {"train": [60, 41], "dev": [60, 4], "test": [60, 5]}
    assert 20 < seconds / 60 < 25  # 3,000 recordings of less than half a second
