"""A text written in the recipe is learned by heart."""

import pytest

from rnnzoo.data.forms import TextStream
from rnnzoo.data.sources.inline_text import TypedText

SENTENCE = "I love recurrent neural network and convolution neural network"


def test_the_training_part_and_the_dev_part_are_the_text_line_by_line():
    parts = TypedText("one two\n\nthree").read()
    assert parts == {"train": {"text": ["one two", "three"]}, "dev": {"text": ["one two", "three"]}}


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_a_text_without_a_word_is_refused(text):
    with pytest.raises(ValueError, match="text must hold at least one word"):
        TypedText(text)


def test_three_streams_of_the_lectures_sentence_begin_where_the_prompt_does():
    form = TextStream(batch_size=3, tbptt_steps=3)
    columns = TypedText(SENTENCE).read()["train"]
    examples = form.encode(columns, spec := form.fit(columns))
    (window,) = form.batches(examples, training=True)
    names = spec.target.names
    starts = [names[row[0]] for row in examples[window].inputs["tokens"].tolist()]
    assert starts == ["I", "neural", "convolution"]
