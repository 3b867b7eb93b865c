import subprocess
import sys
from pathlib import Path

import pytest

from rnnzoo.data.sources.sst2 import carved

HUB = Path(__file__).parents[3].parent / "shared" / "hub"
TREES = [
    "a film of great charm and no wit .",
    "great charm and no wit .",
    "of great charm and",
    "no wit",
    "it is dull from the first minute on .",
    "from the first minute on .",
    "great charm",
    "a dull film .",
]


def test_what_shares_four_words_with_a_carved_sentence_is_not_trained_on():
    kept, test = carved(TREES, count=2, shared=4)
    assert [TREES[row] for row in test] == ["it is dull from the first minute on .", "a dull film ."]
    assert [TREES[row] for row in kept] == [
        "a film of great charm and no wit .",
        "great charm and no wit .",
        "of great charm and",
        "no wit",
        "great charm",
    ]


def test_the_end_of_a_longer_row_is_no_sentence():
    _, test = carved(TREES, count=100, shared=4)
    assert [TREES[row] for row in test] == [TREES[0], TREES[4], TREES[7]]


def test_a_sentence_too_short_to_be_kept_out_of_training_is_not_tested():
    kept, test = carved([*TREES, "a mess .", "a mess ."], count=2, shared=4)
    assert [TREES[row] for row in test] == [TREES[4], TREES[7]] and {8, 9} <= {*kept}


@pytest.mark.slow
@pytest.mark.skipif(not HUB.is_dir(), reason="needs the folder ../shared/hub beside the repository")
def test_the_hub_gives_phrases_to_train_on_and_whole_sentences_to_judge_by():
    code = (
        "from rnnzoo.data.sources.sst2 import Sst2\n"
        "parts = Sst2().read()\n"
        "train, dev, test = (parts[name]['text'] for name in ('train', 'dev', 'test'))\n"
        "assert (len(dev), len(test)) == (872, 1000) and len(train) > 55_000\n"
        "words = [sum(len(text.split()) for text in part) / len(part) for part in (train, dev, test)]\n"
        "assert words[0] < 10 and abs(words[1] - words[2]) < 1, words\n"
        "assert not {*train} & {*test} and not {*dev} & {*test}\n"
        "assert {*parts['test']['label']} == {'negative', 'positive'}\n"
    )
    command = [sys.executable, str(HUB / "serve_hub.py"), "--", sys.executable, "-c", code]
    subprocess.run(command, check=True)
