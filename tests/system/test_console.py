"""What is printed steers no terminal, whatever names it holds and whatever the terminal can show."""

import ast
import io
import json
import logging
import sys
import unicodedata
import warnings
from pathlib import Path

import pytest

import rnnzoo
from rnnzoo.system import console

HOSTILE = "".join(
    map(
        chr,
        [
            *range(32),
            *range(0x7F, 0xA0),
            0x061C,
            *range(0x200E, 0x2010),
            *range(0x2028, 0x202F),
            *range(0x2060, 0x2070),
            0xFEFF,
            0xDFFF,
            0xD800,
            0xE0041,
        ],
    )
)


def steering(text):
    """The characters of a text that a terminal does not just show; a joiner between letters is shown."""
    kinds = {"Cc", "Cs", "Zl", "Zp"}
    return {c for c in text if unicodedata.category(c) in kinds or unicodedata.bidirectional(c) in BIDI} - {"\n", "\t"}


BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_no_steering_character_is_left():
    assert steering(HOSTILE)
    assert not steering(console.escape(HOSTILE))
    assert not steering(console.inline(HOSTILE)) and not set(console.inline(HOSTILE)) & {"\n", "\t"}


@pytest.mark.parametrize("text", ["plain", "日本語　全角", "नमस्ते क्‍ष", "می‌خواهم", "👩‍👩‍👧", "a\tb\nc", "1\u00a0000 €"])
def test_what_scripts_need_is_printed_as_it_is(text):
    assert console.escape(text) == text


def test_every_way_to_print_escapes(capsys):
    console.print(f"a{HOSTILE}")
    console.print_error(f"b{HOSTILE}")
    console.print_json({"c": HOSTILE})
    out, err = capsys.readouterr()
    assert not steering(out) and not steering(err)
    assert json.loads(out.splitlines()[-1]) == {"c": HOSTILE}


def test_a_message_loses_the_secrets_of_its_addresses(capsys):
    console.print_error("cannot download 'https://me:canary@host/a?sig=canary'.")
    assert "canary" not in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "utf-16"])
def test_what_an_encoding_lacks_is_printed_as_an_escape(monkeypatch, encoding):
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding=encoding, write_through=True))
    console.print("日 \ud800")
    console.print_json(["日"])
    assert content.getvalue().decode(encoding).splitlines()[1:] in (['["日"]'], ['["\\u65e5"]'])


def test_a_closed_standard_output_is_silence(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    console.print("a")
    console.print_error("b")


def test_logs_and_warnings_of_any_library_are_escaped(capsys):
    log = logging.getLogger("stranger")
    handler = logging.StreamHandler(sys.stderr)
    log.addHandler(handler)
    with console.guarded(), warnings.catch_warnings():
        warnings.simplefilter("always")
        log.warning("file %s, at https://h/?sig=canary", "\x1b[31m")
        warnings.showwarning = lambda *said, **_: sys.stderr.write(warnings.formatwarning(*said[:4]))
        warnings.warn("name \x9b2J", stacklevel=1)
    log.removeHandler(handler)
    told = capsys.readouterr().err
    assert "file \\x1b[31m" in told and "name \\x9b2J" in told
    assert not steering(told) and "canary" not in told


PRINTING = {"print", "sys.stdout.write", "sys.stderr.write", "sys.stdout.buffer.write", "sys.__stdout__.write"}


def test_no_other_module_prints():
    package = Path(rnnzoo.__file__).parent
    calls = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in PRINTING
        if path != Path(console.__file__)
    ]
    assert not calls
