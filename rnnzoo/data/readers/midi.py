"""Chords as a standard MIDI file (The MIDI Association, RP-001: one track, format 0)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rnnzoo.errors import DataError
from rnnzoo.system import files

TICKS = 480  # of a quarter note
QUARTER = 600_000  # microseconds: 100 quarter notes a minute
NOTE_ON, NOTE_OFF = 0x90, 0x80
VELOCITY = 80
STEP_END = "."  # ends the notes of a step, in a text of notes


def chords(words: Iterable[str]) -> list[list[int]]:
    """The notes of each step, of a text as "84 79 76 60 . 84 79 76 . ."; what is not yet ended is a step too.

    Raises: DataError for a word that is no MIDI number, 0 to 127.
    """
    steps: list[list[int]] = [[]]
    for word in words:
        if word == STEP_END:
            steps.append([])
        elif word.isdecimal() and int(word) < 128:
            steps[-1].append(int(word))
        else:
            raise DataError(
                f"cannot write '{word[:40]}' as MIDI: it is no note.\n  A model of chorales writes 84 79 76 ."
            )
    return steps if steps[-1] else steps[:-1]


def encoded(steps: Iterable[Sequence[int]], ticks: int = TICKS) -> bytes:
    """A MIDI file of chords. steps: the MIDI numbers that sound in each. ticks: a step's length; TICKS is a quarter.

    A note that sounds on from a step to the next is held.
    """
    track = bytearray(b"\0\xff\x51\x03" + QUARTER.to_bytes(3, "big"))
    sounding: set[int] = set()
    wait = 0
    for step in [*map(set, steps), set()]:
        ends, begins = sorted(sounding - step), sorted(step - sounding)
        for status, notes in ((NOTE_OFF, ends), (NOTE_ON, begins)):
            for note in notes:
                track += quantity(wait) + bytes([status, note, VELOCITY])
                wait = 0
        sounding = step
        wait += ticks
    track += b"\0\xff\x2f\0"
    header = b"".join(number.to_bytes(2, "big") for number in (0, 1, TICKS))
    return b"".join(
        name + len(body).to_bytes(4, "big") + body for name, body in ((b"MThd", header), (b"MTrk", bytes(track)))
    )


def quantity(number: int) -> bytes:
    """A number in groups of seven bits, the highest first, each but the last with its top bit set."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


def write(path: Path, words: Iterable[str]) -> None:
    """Write a text of notes as a MIDI file. Raises: DataError, RunError."""
    files.write_bytes(path, encoded(chords(words)))
