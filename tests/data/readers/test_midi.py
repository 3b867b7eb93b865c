import pytest

from rnnzoo.data.readers.midi import QUARTER, TICKS, chords, encoded, quantity, write
from rnnzoo.errors import DataError


def read(data):
    """The tempo, and (ticks from the start, on or off, note) of each note event, by the format's own arithmetic."""
    assert data[:14] == b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1]) + TICKS.to_bytes(2, "big")
    assert data[14:18] == b"MTrk" and int.from_bytes(data[18:22], "big") == len(data) - 22
    place, now, events, tempo = 22, 0, [], None
    while place < len(data):
        delta = 0
        while True:
            delta, more, place = delta * 128 + data[place] % 128, data[place] >= 128, place + 1
            if not more:
                break
        now += delta
        if data[place] == 0xFF:
            kind, size = data[place + 1 : place + 3]
            if kind == 0x51:
                tempo = int.from_bytes(data[place + 3 : place + 3 + size], "big")
            ended = kind == 0x2F
            place += 3 + size
        else:
            events.append((now, {0x90: "on", 0x80: "off"}[data[place]], data[place + 1]))
            place += 3
    assert ended and place == len(data)
    return tempo, events


def test_a_chord_sounds_for_its_step_and_a_note_that_stays_is_held():
    tempo, events = read(encoded([[60, 64], [60, 65], [], [72]], ticks=TICKS))
    assert tempo == QUARTER
    assert events == [
        (0, "on", 60),
        (0, "on", 64),
        (TICKS, "off", 64),
        (TICKS, "on", 65),
        (2 * TICKS, "off", 60),
        (2 * TICKS, "off", 65),
        (3 * TICKS, "on", 72),
        (4 * TICKS, "off", 72),
    ]


def test_a_file_of_nothing_has_no_notes():
    assert read(encoded([])) == (QUARTER, [])


def test_quantities_are_those_of_the_standards_table():
    table = {0: "00", 0x40: "40", 0x7F: "7f", 0x80: "8100", 0x2000: "c000", 0x3FFF: "ff7f", 0x4000: "818000"}
    assert {number: quantity(number).hex() for number in table} == table


def test_a_text_of_notes_is_chords_of_which_the_last_may_be_unfinished():
    assert chords(["84", "79", "76", "60", ".", ".", "84", "79"]) == [[84, 79, 76, 60], [], [84, 79]]
    assert chords(["84", "."]) == [[84]]
    assert chords([]) == []


@pytest.mark.parametrize("word", ["dog", "128", "-1", "6.5", "<unk>"])
def test_what_is_no_note_is_refused_as_midi(word, tmp_path):
    with pytest.raises(DataError, match=f"cannot write '{word}' as MIDI: it is no note"):
        write(tmp_path / "a.mid", ["60", word])
    assert not (tmp_path / "a.mid").exists()
