"""A warning that many layers have cause for is shown once."""

import logging

from rnnzoo.engine.once import Once


def test_each_text_is_shown_once_by_each_object(caplog):
    log = logging.getLogger("rnnzoo")
    for once in (Once(log), Once(log)):
        for name in ("gru", "lstm", "gru"):
            once.warn("%s runs step by step", name)
    assert caplog.messages == ["gru runs step by step", "lstm runs step by step"] * 2


def test_a_text_with_a_percent_sign_in_its_arguments_is_shown_as_it_is(caplog):
    Once(logging.getLogger("rnnzoo")).warn("failed: %s", "100 %s of it")
    assert caplog.messages == ["failed: 100 %s of it"]
