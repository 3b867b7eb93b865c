"""The Hub: what happens without a network, and beside a local folder."""

import os
import subprocess
import sys

import pytest

from rnnzoo.data.sources.hub import load_hub
from rnnzoo.errors import DataError


def python(code, *launcher, **environment):
    return subprocess.run(
        [*launcher, sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_network_the_hub_is_told_with_what_works_instead(tmp_path):
    code = (
        "from rnnzoo.data.sources.imdb import Imdb\n"
        "from rnnzoo.errors import DataError\n"
        "try: Imdb(revision='main').read()\n"
        "except DataError as error: print(error)"
    )
    result = python(code, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert result.stdout.startswith("cannot read the data set 'stanfordnlp/imdb, revision main' from the Hub")
    assert "text_files" in result.stdout and "quickstart" in result.stdout
    assert len(result.stdout.splitlines()) <= 5


def test_a_local_folder_never_replaces_a_data_set_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stanfordnlp" / "imdb").mkdir(parents=True)
    with pytest.raises(DataError, match=r"'stanfordnlp/imdb' in .* has the name of a data set of the Hub"):
        load_hub("stanfordnlp/imdb")
