"""The transformers of the Hub."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HUB = Path(__file__).parents[3].parent / "shared" / "hub"


@pytest.mark.slow
@pytest.mark.skipif(not HUB.is_dir(), reason="needs the folder ../shared/hub beside the repository")
def test_the_hub_gives_transformers_of_seven_variables_cut_by_months():
    code = (
        "import json\n"
        "from rnnzoo.data.sources.ett import EttH1, EttH2, EttM1\n"
        "from rnnzoo.data.forms.forecast import WindowedSeries\n"
        "told = []\n"
        "for kind in (EttH1, EttH2, EttM1):\n"
        "    parts, form = kind().read(), WindowedSeries(96, 96)\n"
        "    spec = form.fit(parts['train'])\n"
        "    own = {part: int(columns['own'].sum()) for part, columns in parts.items()}\n"
        "    windows = {part: len(form.encode(columns, spec)) for part, columns in parts.items()}\n"
        "    test = form.encode(parts['test'], spec)\n"
        "    errors = [((b.target - b.inputs['values'][:, -1:]) ** 2).sum().item()\n"
        "              for b in map(test.collate, form.batches(test, training=False))]\n"
        "    told.append([own, windows, sum(errors) / (windows['test'] * 96 * 7), spec.inputs['values'].names])\n"
        "print(json.dumps(told))"
    )
    command = [sys.executable, str(HUB / "serve_hub.py"), "--", sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    for (own, windows, persistence, names), hourly, known in zip(
        json.loads(result.stdout.splitlines()[-1]), (1, 1, 4), (1.294, None, None), strict=True
    ):
        assert own == {"train": 8640 * hourly, "dev": 2880 * hourly, "test": 2880 * hourly}
        assert windows == {"train": own["train"] - 191, "dev": own["dev"] - 95, "test": own["test"] - 95}
        assert names == ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
        if known:
            assert persistence == pytest.approx(known, abs=1e-3)  # as the papers have it
