import hashlib
import json

import pytest

from rnnzoo.data.readers.midi import chords
from rnnzoo.data.sources.jsb_chorales import JsbChorales, line
from rnnzoo.errors import DataError

PIECES = {"train": [[[60, 64, 67], [], [60]]], "valid": [[[48, 72]]], "test": [[[72, -1, 60, 60], [74, 65, -1, -1]]]}


def test_a_piece_is_a_line_of_notes_from_the_highest_down_with_a_stop_after_each_step(tmp_path):
    file = tmp_path / "pieces.json"
    file.write_text(json.dumps(PIECES))
    source = JsbChorales(str(file))
    assert source.read() == {
        "train": {"text": ["67 64 60 . . 60 ."]},
        "dev": {"text": ["72 48 ."]},
        "test": {"text": ["72 60 60 . 74 65 ."]},
    }
    assert source.identity() == {"id": "pieces.json", "revision": hashlib.sha256(file.read_bytes()).hexdigest()}


def test_a_line_read_back_is_the_same_chords():
    piece = [[84, 79, 76, 60], [], [84, 79, 72]]
    assert chords(line(piece, "a piece").split()) == piece


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"train": []}', "\x00\x01"])
def test_a_file_without_the_three_parts_is_refused(content, tmp_path):
    file = tmp_path / "pieces.json"
    file.write_text(content)
    with pytest.raises(DataError, match="holds no chorales"):
        JsbChorales(str(file)).read()


@pytest.mark.parametrize("step", [[60, "a"], 60, [200], [60.5], None])
def test_a_step_that_is_no_list_of_notes_is_refused_with_its_place(step, tmp_path):
    file = tmp_path / "pieces.json"
    file.write_text(json.dumps(PIECES | {"valid": [[[60]], [[60], step]]}))
    with pytest.raises(DataError, match=r"dev piece 2, step 2: expected a list of MIDI numbers"):
        JsbChorales(str(file)).read()
