"""Strings of spoken digits."""

import struct
from collections import Counter

import numpy as np
import pytest
from datasets import Dataset

from rnnzoo.data.sources.digit_strings import WORDS, DigitStrings
from rnnzoo.data.sources.spoken_digits import SpokenDigits


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


def test_a_string_is_of_one_speaker_and_its_own_part_and_says_its_words():
    parts = hub(takes=8)
    apart = SpokenDigits(dev_fraction=0.25).recordings(parts)
    strings = DigitStrings(dev_fraction=0.25, examples=80).parts(parts)
    assert {part: len(columns["text"]) for part, columns in strings.items()} == {"train": 80, "dev": 10, "test": 20}
    lengths, pauses = Counter(), []
    for part, columns in strings.items():
        rows = zip(apart[part]["sound"], apart[part]["speaker"], apart[part]["label"], strict=True)
        known = {values(sound)[0]: (speaker, WORDS[int(label)]) for sound, speaker, label in rows}
        for sound, rate, text in zip(columns["sound"], columns["rate"], columns["text"], strict=True):
            said = [known[value] for value in values(sound)]
            assert len({speaker for speaker, _ in said}) == 1 and [word for _, word in said] == text.split()
            assert rate == 8000
            lengths[len(said)] += 1
            pauses.append((len(sound) - 5 * len(said)) / (len(said) - 1) / rate)
    assert set(lengths) == {3, 4, 5, 6, 7}
    assert min(pauses) >= 0 and max(pauses) <= 0.2 and np.mean(pauses) == pytest.approx(0.1, abs=0.01)


def test_a_seed_gives_its_strings_again_and_another_one_others():
    parts = hub(takes=4)
    texts = [DigitStrings(examples=20, seed=seed).parts(parts)["train"]["text"] for seed in (3, 3, 4)]
    assert texts[0] == texts[1] != texts[2]
